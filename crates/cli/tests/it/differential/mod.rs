//! Our program held against the reference's: every captured call, made again.
//!
//! The table in `differences.rs` says where ours is meant to print something else; any other difference fails, and so does a
//! line of the table that is not needed. What two runs cannot have in common is handled as in the test of the server, by the
//! same files.

#[path = "../../../../server/tests/it/differential/added.rs"]
mod added;
mod calls;
mod differences;
#[path = "../../../../server/tests/it/differential/json.rs"]
mod json;
#[path = "../../../../server/tests/it/differential/normalise.rs"]
mod normalise;
mod printed;
mod server;
mod state;
mod transcript;

use std::collections::HashSet;
use std::process::Stdio;

use nix::sys::signal::Signal;
use pgmill_testkit::TestDatabase;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::support::{PATIENCE, output, pgmill, send, stderr, stdout};
use differences::{Change, DIFFERENCES, Difference};
use printed::Printed;
use server::Server;
use transcript::{NEXT, Run, SERVER, runs};

#[tokio::test(flavor = "multi_thread")]
async fn every_captured_call_prints_what_the_reference_printed_but_for_the_table_of_differences() {
    let database = TestDatabase::create().await;
    let mut normal = (normalise::Run::default(), normalise::Run::default());
    state::make(&database, &mut normal.1).await;
    let server = Server::start(database.url()).await;
    let mut problems = Vec::new();
    for (at, captured) in runs(SERVER).iter().enumerate() {
        let found = call(captured, &server).await;
        let allowed = DIFFERENCES.iter().find(|difference| difference.at.contains(&(at + 1)));
        if allowed.is_some() && same(captured, &found, None, &mut normal.clone()).is_ok() {
            problems.push(format!("#{} {:?}: the line of the table is not needed", at + 1, captured.args));
        }
        if let Err(difference) = same(captured, &found, allowed, &mut normal) {
            let told = allowed.map(|it| format!(" ({}: {})", it.number, it.why)).unwrap_or_default();
            problems.push(format!("#{} {:?}{told}\n{difference}", at + 1, captured.args));
        }
        if at + 1 == 6 {
            state::untake(&database, &normal.1.here("2")).await;
        }
    }
    assert!(problems.is_empty(), "{} differences\n\n{}\n", problems.len(), problems.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn next_ticker_prints_the_captured_ticks_and_ends_well_at_sigint() {
    let database = TestDatabase::create().await;
    state::make(&database, &mut normalise::Run::default()).await;
    state::change_t2(&database).await;
    let server = Server::start(database.url()).await;
    let mut command = pgmill(&["next-ticker"]);
    command.env("PGQUEUE_ADDR", &server.address).env_remove("PGMILL_ADDR").env_remove("PGMILL_TOKEN");
    let mut program = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let mut next = async || {
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("a line").unwrap();
        line.expect("the program goes on")
    };
    let mut normal = (normalise::Run::default(), normalise::Run::default());
    // A ping comes first unless a tick does within 100 ms.
    for expected in NEXT.lines().filter(|line| !line.starts_with("[ping]")) {
        let mut found = next().await;
        while found.starts_with("[ping]") {
            found = next().await;
        }
        let (mut expected, mut found) = (tick(expected), tick(&found));
        added::without_ours(&mut found, &mut expected, &mut HashSet::new());
        normal.0.normalise(&mut expected);
        normal.1.normalise(&mut found);
        assert_eq!(found, expected);
    }
    send(program.id().expect("it runs"), Signal::SIGINT);
    assert_eq!(program.wait().await.unwrap().code(), Some(0));
}

fn tick(line: &str) -> json::Json {
    json::Json::parse(line.strip_prefix("[ticker] ").unwrap_or_else(|| panic!("no tick: {line:?}")))
}

/// Runs our program, with the address of the server of this run.
async fn call(captured: &Run, server: &Server) -> Run {
    let port = |arg: &String| arg.replace(":18080", &format!(":{}", server.port()));
    let args: Vec<String> = captured.args.iter().map(port).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut command = pgmill(&args);
    command.env("PGQUEUE_ADDR", &server.address).env_remove("PGMILL_ADDR").env_remove("PGMILL_TOKEN");
    let output = output(&mut command).await;
    Run {
        args: captured.args.clone(),
        code: output.status.code().unwrap(),
        stdout: stdout(&output),
        stderr: stderr(&output),
    }
}

fn same(
    captured: &Run,
    found: &Run,
    allowed: Option<&Difference>,
    normal: &mut (normalise::Run, normalise::Run),
) -> Result<(), String> {
    let mut expected = captured.clone();
    let mut found = found.clone();
    match allowed.map(|difference| &difference.change) {
        Some(Change::Output(text)) => {
            let (stdout, stderr) = (format!("{}\n", pretty(text)), String::new());
            expected = Run { code: 0, stdout, stderr, ..expected };
        }
        Some(Change::Error(start)) => {
            cut(&mut found.stderr, start);
            expected.stderr = (*start).to_owned();
        }
        Some(Change::Usage(start)) => {
            expected.stderr = format!("pgmill: error: {start}");
            cut(&mut found.stderr, &expected.stderr);
            // The command, up to its first argument.
            let end = expected.stdout.find([' ', '\n']).unwrap_or(0);
            let command = expected.stdout[end..].trim_start().split([' ', '\n']);
            let named = command.take_while(|word| !word.starts_with(['<', '[', '-'])).collect::<Vec<_>>();
            expected.stdout = format!("Usage: {}", named.join(" "));
            cut(&mut found.stdout, &expected.stdout);
        }
        None => {}
    }
    let mut seen = HashSet::new();
    let mut differ = expected.code != found.code;
    for (expected, found) in [(&expected.stdout, &found.stdout), (&expected.stderr, &found.stderr)] {
        let (mut expected, mut found) = (Printed::of(expected), Printed::of(found));
        Printed::normalise(&mut found, &mut expected, normal, &mut seen);
        differ |= expected != found;
    }
    if !differ {
        return Ok(());
    }
    let show = |run: &Run| format!("{} {:?} {:?}", run.code, run.stdout, run.stderr);
    Err(format!("  expected {}\n  found    {}", show(&expected), show(&found)))
}

/// An object as it is printed.
fn pretty(text: &str) -> String {
    text.replacen('{', "{\n", 1)
}

fn cut(text: &mut String, start: &str) {
    if text.starts_with(start) {
        text.truncate(start.len());
    }
}
