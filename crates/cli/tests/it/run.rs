//! `pgmill run`.

use nix::sys::signal::Signal;
use pgmill::{Manager, Role, TokenMeta};
use pgmill_testkit::{ChaosProxy, CutPoint, Mishap, TestDatabase};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::support::{PATIENCE, Program, output, pgmill, stderr};

/// A server on a database of its own, at any port that is free.
struct Served {
    program: Program,
    address: String,
    _database: TestDatabase,
}

fn run(database: &TestDatabase, options: &[&str]) -> Command {
    let mut command = pgmill(&["run", database.url(), "--http.addr", "127.0.0.1:0"]);
    command.args(options);
    command
}

impl Served {
    async fn start(options: &[&str]) -> Self {
        Self::on(TestDatabase::create().await, options).await
    }

    async fn on(database: TestDatabase, options: &[&str]) -> Self {
        let mut program = Program::start(&mut run(&database, options));
        program.says("http server starting").await;
        let line = program.said("http server starting");
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["level"], "INFO");
        Self { program, address: line["addr"].as_str().unwrap().to_owned(), _database: database }
    }

    /// Sends a request, and leaves its answer to be read.
    async fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let head = format!("{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    async fn get(&self, path: &str) -> String {
        let mut stream = self.send(&format!("GET {path}")).await;
        stream.write_all(b"\r\n").await.unwrap();
        rest(&mut stream).await
    }
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an end").unwrap();
    answer
}

#[tokio::test]
async fn it_serves_until_sigterm_or_sigint_and_ends_with_0() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut served = Served::start(&["--http.prefix", "v1/"]).await;
        assert!(served.get("/v1/queue").await.contains("\"count\": 0"));
        assert!(served.get("/health/ready").await.starts_with("HTTP/1.1 200"));
        served.program.signal(signal);
        assert_eq!(served.program.end().await, Some(0));
        assert_eq!(served.program.count("http server terminated"), 1);
        let line: Value = serde_json::from_str(&served.program.said("GET /v1/queue -> [200]")).unwrap();
        assert_eq!(
            (&line["status"], &line["path"], &line["method"]),
            (&200.into(), &"/v1/queue".into(), &"GET".into())
        );
    }
}

#[tokio::test]
async fn a_stream_and_a_request_that_waits_do_not_hold_up_the_end() {
    let mut served = Served::start(&[]).await;
    let mut stream = served.send("GET /api/ticker").await;
    stream.write_all(b"Accept: text/event-stream\r\n\r\n").await.unwrap();
    let mut first = [0; 15];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    let mut waiting = served.send("PUT /api/task?worker=w&wait=60s").await;
    waiting.write_all(b"\r\n").await.unwrap();
    // Connections are taken in the order in which they come.
    served.get("/health/live").await;
    served.program.signal(Signal::SIGTERM);
    assert_eq!(served.program.end().await, Some(0));
    assert_eq!(served.program.count("the grace of"), 0);
    rest(&mut stream).await;
}

#[tokio::test]
async fn what_it_cannot_do_it_says_and_ends_with_1() {
    let database = TestDatabase::create().await;
    for (options, reason) in [
        (&["--namespace", "pgmill"][..], "Error: namespace is reserved for system use"),
        (&["--http.addr", "nohost"], "missing port in address"),
        (&["--http.addr", "0.0.0.0:0"], "--tls.cert"),
        (&["--http.addr", "0.0.0.0:0", "--http.insecure"], "pgmill token create"),
        (&["--tls.cert", "/nowhere.crt", "--tls.key", "/nowhere.key"], "/nowhere.crt"),
        (&["--http.cors", "*"], "is no origin"),
    ] {
        let mut command = pgmill(&["run", database.url()]);
        let output = output(command.args(options)).await;
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{options:?}: {said}");
        assert!(said.contains(reason), "{options:?}: {said}");
    }
    let output = output(&mut pgmill(&["run", "mysql://localhost"])).await;
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
}

#[tokio::test]
async fn its_address_and_its_database_are_those_that_are_named_nearest() {
    let database = TestDatabase::create().await;
    for (options, variables) in [
        (
            &["run", database.url()][..],
            &[("PGMILL_ADDR", "127.0.0.1:0"), ("DATABASE_URL", "postgres://127.0.0.1:1/no")][..],
        ),
        (&["run"], &[("PGQUEUE_ADDR", "127.0.0.1:0"), ("PGMILL_ADDR", ""), ("DATABASE_URL", database.url())]),
        (
            &["run"],
            &[("PGQUEUE_ADDR", "nohost"), ("PGMILL_ADDR", "127.0.0.1:0"), ("DATABASE_URL", database.url())],
        ),
        (&["run", "--http.addr=127.0.0.1:0"], &[("PGMILL_ADDR", "nohost"), ("DATABASE_URL", database.url())]),
    ] {
        let mut program = Program::start(pgmill(options).envs(variables.iter().copied()));
        program.says("http server starting").await;
        program.stop().await;
    }
}

#[tokio::test]
async fn credentials_of_their_own_take_the_place_of_those_in_the_url() {
    let database = TestDatabase::create().await;
    let mut command = run(&database, &["--pg.user", "nobody o'here"]);
    let said = stderr(&output(command.env("PG_PASSWORD", "p%&=w")).await);
    assert!(said.starts_with("Error: ") || said.contains("\nError: "), "{said}");
    assert!(!said.contains("p%&=w"), "{said}");
}

#[tokio::test]
async fn without_a_url_it_serves_the_embedded_postgresql() {
    let data = TempDir::new().unwrap();
    let mut program = Program::start(
        pgmill(&["run", "--http.addr", "127.0.0.1:0"]).env("PGMILL_DATA", data.path().join("pg")),
    );
    program.says("http server starting").await;
    program.stop().await;
}

#[tokio::test]
async fn a_server_whose_last_token_has_ended_lets_nobody_in() {
    let database = TestDatabase::create().await;
    let manager = Manager::connect(database.url()).await.unwrap();
    let new = manager.create_token(TokenMeta::new("only", Role::Admin), "cli").await.unwrap();
    manager.revoke_token(new.token.id).await.unwrap();
    let served = Served::on(database, &[]).await;
    assert!(served.get("/api/queue").await.starts_with("HTTP/1.1 401 "));
}

#[tokio::test]
async fn whoever_asks_too_often_is_told_to_wait() {
    let served = Served::start(&["--http.rate", "1", "--http.burst", "2"]).await;
    let mut answers = Vec::new();
    for _ in 0..20 {
        answers.push(served.get("/api/queue").await);
    }
    let refused = answers.iter().find(|answer| answer.starts_with("HTTP/1.1 429 ")).expect("a refusal");
    assert!(refused.to_ascii_lowercase().contains("retry-after: "), "{refused}");
    assert!(answers[0].starts_with("HTTP/1.1 200 "), "{}", answers[0]);
}

#[tokio::test]
async fn a_database_that_goes_away_at_the_start_is_told_as_one_that_cannot_be_used() {
    let database = TestDatabase::create().await;
    let proxy = ChaosProxy::start(database.url()).await;
    let mut command = pgmill(&["run", &proxy.url_for(database.url()), "--http.addr", "127.0.0.1:0"]);
    let tokens = "FROM pgmill.token WHERE revoked_at IS NULL";
    let looked = proxy.ambush(CutPoint::BeforeRequest, Mishap::Delay(PATIENCE), tokens, 1);
    let go_away = async {
        assert!(looked.within(PATIENCE).await, "it does not look for tokens");
        proxy.refuse(true);
        proxy.cut();
    };
    let (ended, ()) = tokio::join!(output(&mut command), go_away);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(stderr(&ended).contains("the database cannot be used"), "{}", stderr(&ended));
}
