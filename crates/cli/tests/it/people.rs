//! What people see on a terminal, which `script` of util-linux plays.

use std::process::Stdio;

use nix::sys::signal::Signal;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout, Command};

use crate::served::Served;
use crate::support::{PATIENCE, send};

const RED: &str = "\x1b[31m";

/// The size of a terminal, as `stty` has it.
const SIZE: &str = "cols 100 rows 12";

/// The program on a terminal, and what it has shown so far.
struct Terminal {
    child: Child,
    output: ChildStdout,
    shown: String,
}

impl Terminal {
    fn open(served: &Served, line: &str, variables: &[(&str, &str)]) -> Self {
        Self::sized(served, SIZE, line, variables)
    }

    fn sized(served: &Served, size: &str, line: &str, variables: &[(&str, &str)]) -> Self {
        let program = env!("CARGO_BIN_EXE_pgmill");
        let line = format!("stty {size}; echo $$ > pid.new; mv pid.new pid; exec {program} {line}");
        let mut command = Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).kill_on_drop(true).current_dir(served.bench.folder.path());
        command.env_remove("NO_COLOR").env("TERM", "xterm").env("PGMILL_ADDR", &served.address);
        command.envs(variables.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("script of util-linux");
        let output = child.stdout.take().unwrap();
        Self { child, output, shown: String::new() }
    }

    /// Waits until this is shown.
    async fn shows(&mut self, text: &str) {
        let mut bytes = [0; 4096];
        while !self.shown.contains(text) {
            let read = tokio::time::timeout(PATIENCE, self.output.read(&mut bytes)).await;
            let count = read.unwrap_or_else(|_| panic!("no {text:?} in {:?}", self.shown)).unwrap();
            assert!(count > 0, "no {text:?} in {:?}", self.shown);
            self.shown.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    }

    /// All that is shown until the end, and the exit code.
    async fn end(mut self) -> (String, Option<i32>) {
        let mut rest = Vec::new();
        tokio::time::timeout(PATIENCE, self.output.read_to_end(&mut rest)).await.expect("an end").unwrap();
        self.shown.push_str(&String::from_utf8_lossy(&rest));
        (self.shown.replace('\r', ""), self.child.wait().await.unwrap().code())
    }
}

async fn shown(served: &Served, line: &str) -> String {
    Terminal::open(served, line, &[]).end().await.0
}

#[tokio::test]
async fn lists_are_tables_as_wide_as_the_terminal_with_a_row_of_one_line_for_each() {
    let served = Served::new().await;
    let long = format!("--payload=\"{}\"", "x".repeat(500));
    served.json(&["create-task", "jobs", &long]).await;
    let table = shown(&served, "tasks").await;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 2, "{table}");
    assert!(lines[0].contains("ID") && lines[0].contains("PAYLOAD"), "{table}");
    assert!(lines[1].contains("jobs") && lines[1].contains("xxx"), "{table}");
    assert!(lines[1].chars().count() <= 100, "{table}");
    assert!(shown(&served, "queues").await.contains("RETRY DELAY"));
    assert!(shown(&served, "queue jobs").await.contains("max retry delay"));
    assert!(shown(&served, "tickers").await.starts_with("none"));
    assert!(shown(&served, "tasks --limit 0").await.contains("jobs"));
    let all = shown(&served, "queues --limit 0").await;
    assert!(all.contains("0 of 1 are shown"), "{all}");
    assert!(shown(&served, "tasks --json").await.starts_with("{\n  \"count\": 1"));
}

#[tokio::test]
async fn a_terminal_that_does_not_know_its_size_shows_everything() {
    let served = Served::new().await;
    let queues = Terminal::sized(&served, "cols 0 rows 0", "queues", &[]).end().await.0;
    assert_eq!(queues.lines().count(), 2, "{queues}");
    assert!(queues.contains("RETRY DELAY") && queues.contains("jobs"), "{queues}");
    let mut watch = Terminal::sized(&served, "cols 0 rows 0", "queues --watch=100ms", &[]);
    watch.shows("jobs").await;
}

#[tokio::test]
async fn statuses_are_coloured_unless_that_is_not_wanted() {
    let served = Served::new().await;
    served.json(&["create-task", "jobs", "--payload=1"]).await;
    let task = served.json(&["retain-task", "--worker=w"]).await;
    served.json(&["complete-task", &task["id"].to_string(), "--discard"]).await;
    for line in ["tasks", "status", "status jobs"] {
        let coloured = shown(&served, line).await;
        assert!(coloured.contains(RED) || coloured.contains("\x1b[38;5;1m"), "{coloured:?}");
        for variable in [("NO_COLOR", "1"), ("TERM", "dumb")] {
            let (plain, _) = Terminal::open(&served, line, &[variable]).end().await;
            assert!(plain.contains("jobs") && !plain.contains('\x1b'), "{plain:?}");
        }
    }
}

#[tokio::test]
async fn logs_are_coloured_unless_that_is_not_wanted() {
    let served = Served::new().await;
    let database = ("DATABASE_URL", served.bench.database.url());
    for (variables, coloured) in [
        (&[database][..], true),
        (&[database, ("NO_COLOR", "1")], false),
        (&[database, ("TERM", "dumb")], false),
    ] {
        let (shown, _) = Terminal::open(&served, "run --http.addr nohost", variables).end().await;
        assert!(shown.contains("pgmill@"), "{shown:?}");
        assert_eq!(shown.contains('\x1b'), coloured, "{shown:?}");
    }
}

#[tokio::test]
async fn errors_say_what_to_do_next() {
    let served = Served::new().await;
    for (line, message, next) in [
        ("queue nosuch", "Error: Not Found: not found", "create it with `pgmill create-queue NAME`"),
        ("create-queue jobs", "Error: Conflict: queue already exists", "`pgmill update-queue NAME`"),
        ("retain-task --worker w", "Error: no task is available", "`pgmill status` tells what waits"),
        ("queues --http.addr 127.0.0.1:1", "cannot connect to 127.0.0.1:1", "Start one with `pgmill run`"),
        ("complete-task 424242", "Error: Not Found", "`pgmill"),
    ] {
        let (shown, code) = Terminal::open(&served, line, &[]).end().await;
        assert_eq!(code, Some(1), "{line}: {shown}");
        assert!(shown.contains(message) && shown.contains(next), "{line}: {shown}");
        assert!(!shown.contains("ErrUnexpectedResponse"), "{line}: {shown}");
    }
}

#[tokio::test]
async fn watch_draws_anew_in_the_same_place_and_no_more_than_fits() {
    let served = Served::new().await;
    for number in 0..20 {
        served.json(&["create-queue", &format!("q{number:02}")]).await;
    }
    let mut watch = Terminal::open(&served, "queues --watch=100ms", &[]);
    watch.shows("\x1b[H\x1b[J").await;
    watch.shows("q05").await;
    watch.shown.clear();
    watch.shows("\x1b[H\x1b[J").await;
    watch.shows("q05").await;
    assert!(!watch.shown.contains("q15"), "{}", watch.shown);
    let pid = served.bench.sign("pid").await;
    send(pid.parse().unwrap(), Signal::SIGINT);
    assert_eq!(watch.end().await.1, Some(0));
}
