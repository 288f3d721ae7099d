//! `pgmill demo` and `pgmill migrate`.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Output;

use nix::sys::signal::Signal;
use pgmill::{Manager, Role, Status, TaskFilter, TokenMeta};
use pgmill_testkit::TestDatabase;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::{Program, output, pgmill, stderr, stdout};

/// A folder with so many files to find, and others that are not to be.
fn folder(files: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..files {
        let place = folder.path().join(format!("d{}", number % 3));
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join(format!("file {number}")), "x".repeat(number)).unwrap();
    }
    for left_out in [".git", "target"] {
        fs::create_dir(folder.path().join(left_out)).unwrap();
        fs::write(folder.path().join(left_out).join("file"), "").unwrap();
    }
    symlink("/etc/passwd", folder.path().join("link")).unwrap();
    symlink("..", folder.path().join("loop")).unwrap();
    folder
}

async fn demo(database: &TestDatabase, folder: &Path, options: &[&str]) -> Value {
    let mut command = pgmill(&["demo", "--json", "--url", database.url()]);
    let output = output(command.args(options).arg(folder)).await;
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_str(stdout(&output).lines().last().unwrap()).unwrap()
}

#[tokio::test]
async fn every_file_is_hashed_and_every_result_is_in_the_database() {
    let database = TestDatabase::create().await;
    let folder = folder(40);
    let report = demo(&database, folder.path(), &["--fail-rate", "0.3", "--workers", "4"]).await;
    assert_eq!((report["tasks"].as_u64(), report["released"].as_u64()), (Some(40), Some(40)), "{report}");
    assert!(report["retries"].as_u64() > Some(0), "{report}");
    for figure in ["seconds", "per_second", "p50_ms", "p99_ms"] {
        assert!(report[figure].as_f64() > Some(0.0), "{figure} of {report}");
    }

    let manager = Manager::connect(database.url()).namespace("demo").await.unwrap();
    let queue = report["queue"].as_str().unwrap().parse().unwrap();
    let tasks = manager.list_tasks(TaskFilter::new().queue(queue)).await.unwrap();
    let results: BTreeMap<String, Value> = tasks
        .body
        .into_iter()
        .map(|task| {
            assert_eq!(task.status, Some(Status::Released));
            let payload: Value = task.payload.unwrap().decode().unwrap();
            (payload["path"].as_str().unwrap().to_owned(), task.result.unwrap().decode().unwrap())
        })
        .collect();
    assert_eq!(results.len(), 40);
    let path = folder.path().canonicalize().unwrap().join("d0/file 3");
    let hashed = &results[path.to_str().unwrap()];
    // printf xxx | sha256sum
    assert_eq!(hashed["sha256"], "cd2eb0837c9b4c962c22d2ff8b5441b7b45805887f051d39bf133b583baf6860");
    assert_eq!(hashed["size"], 3);
}

#[tokio::test]
async fn runs_do_not_disturb_each_other() {
    let database = TestDatabase::create().await;
    let folder = folder(10);
    let options = ["--fail-rate", "0"];
    let (first, second) =
        tokio::join!(demo(&database, folder.path(), &options), demo(&database, folder.path(), &options));
    let third = demo(&database, folder.path(), &options).await;
    for report in [first, second, third] {
        assert_eq!(
            (report["released"].as_u64(), report["retries"].as_u64()),
            (Some(10), Some(0)),
            "{report}"
        );
    }
}

#[tokio::test]
async fn tasks_that_fail_in_all_their_attempts_are_finished_too() {
    let database = TestDatabase::create().await;
    let report = demo(&database, folder(3).path(), &["--fail-rate", "1"]).await;
    assert_eq!((report["released"].as_u64(), report["failed"].as_u64()), (Some(0), Some(3)), "{report}");
    assert_eq!(report["retries"].as_u64(), Some(12), "{report}");
    assert!(report["p50_ms"].is_null());
}

#[tokio::test]
async fn the_table_names_a_command_without_the_password() {
    let database = TestDatabase::create().await;
    let folder = folder(7);
    let mut command = pgmill(&["demo", "--url", database.url(), "--limit", "5"]);
    let output = output(command.arg(folder.path())).await;
    assert!(output.status.success(), "{}", stderr(&output));
    let printed = stdout(&output);
    assert!(printed.lines().any(|line| line.contains("released") && line.contains(" 5 ")), "{printed}");
    assert!(stderr(&output).contains("there are more files than 5"));
    let password = database.url().split(['@', ':']).nth(2).unwrap();
    assert!(printed.contains("psql postgres://") && !printed.contains(password), "{printed}");
}

#[tokio::test]
async fn a_folder_without_files_is_refused() {
    let empty = tempfile::tempdir().unwrap();
    fs::write(empty.path().join("file"), "").unwrap();
    for (folder, reason) in [
        (folder(0).path().to_owned(), "there are no regular files below"),
        (empty.path().join("none"), "cannot be read: name another"),
        (empty.path().join("file"), "is not a folder"),
    ] {
        let output = output(pgmill(&["demo", "--url", "postgres://127.0.0.1:1/x"]).arg(folder)).await;
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(reason), "{}", stderr(&output));
    }
}

#[tokio::test]
async fn a_run_that_is_interrupted_says_what_is_left() {
    let database = TestDatabase::create().await;
    let folder = folder(20);
    // It takes no room on the disk, and minutes to read.
    fs::File::create(folder.path().join("large")).unwrap().set_len(200 << 30).unwrap();
    let mut command = pgmill(&["demo", "--url", database.url(), "--workers", "2"]);
    let mut run = Program::start(command.arg(folder.path()));
    run.says("20 of 21 tasks are finished").await;
    run.signal(Signal::SIGINT);
    assert_eq!(run.end().await, Some(1));
    assert_eq!(run.count("of 21 tasks, 1 are not finished and 0 are not in the database"), 1);
}

#[tokio::test]
async fn without_a_url_an_embedded_postgres_is_used() {
    let data = tempfile::tempdir().unwrap();
    fs::set_permissions(data.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let folder = folder(3);
    for _ in 0..2 {
        let mut command = pgmill(&["demo", "--json"]);
        let output = output(command.arg(folder.path()).env("PGMILL_DATA", data.path())).await;
        let said = stderr(&output);
        assert!(output.status.success(), "{said}");
        assert_eq!(said.matches("using the embedded PostgreSQL in").count(), 1, "{said}");
        assert!(!said.contains("WARN"), "{said}");
        let report: Value = serde_json::from_str(stdout(&output).trim()).unwrap();
        assert_eq!(report["released"].as_u64(), Some(3), "{report}");
    }
}

/// A demo that serves what it did, and what it says to try: three commands and a page.
async fn visit(database: &TestDatabase, options: &[&str]) -> (Program, [String; 4]) {
    let folder = folder(5);
    let mut command = pgmill(&["demo", "--serve", "--url", database.url()]);
    let mut demo = Program::start(command.args(options).arg(folder.path()));
    demo.line_with("The server is up at http://127.0.0.1:").await;
    assert_eq!(demo.line().await, "");
    let commands = [demo.line().await, demo.line().await, demo.line().await];
    assert_eq!(demo.line().await, "");
    let page = demo.line().await;
    let [first, second, third] = commands;
    (demo, [first, second, third, format!("curl -sSf {}", page.rsplit(' ').next().unwrap())])
}

async fn shell(command: &str) -> Output {
    let mut shell = Command::new("sh");
    output(shell.args(["-c", command]).current_dir("/").env_remove("PGMILL_TOKEN")).await
}

#[tokio::test]
async fn each_command_that_is_printed_to_try_next_does_what_it_is_to_show() {
    let database = TestDatabase::create().await;
    let (demo, commands) = visit(&database, &["--http.addr", "127.0.0.1:0"]).await;
    for (command, shown) in
        commands.iter().zip(["\"released\": 5", "\"count\": 5", "\"status\": \"released\"", "<html"])
    {
        let output = shell(command).await;
        assert!(output.status.success(), "{command}: {}", stderr(&output));
        assert!(stdout(&output).contains(shown), "{command}: {}", stdout(&output));
    }
    demo.stop().await;
}

#[tokio::test]
async fn where_there_are_tokens_what_to_try_next_works_with_one() {
    let database = TestDatabase::create().await;
    let manager = Manager::connect(database.url()).await.unwrap();
    let token = manager.create_token(TokenMeta::new("ann", Role::Viewer), "cli").await.unwrap();
    let (demo, commands) = visit(&database, &["--http.addr", "127.0.0.1:0"]).await;
    for command in &commands[..3] {
        assert!(!stdout(&shell(command).await).contains("released"), "{command}");
        let output = shell(&format!("export PGMILL_TOKEN={}; {command}", token.secret.expose())).await;
        assert!(output.status.success(), "{command}: {}", stderr(&output));
        assert!(stdout(&output).contains("released"), "{command}: {}", stdout(&output));
    }
    demo.stop().await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_left_to_whoever_has_it_unless_it_was_asked_for() {
    let database = TestDatabase::create().await;
    // Whether it is this test that takes it or somebody else.
    let taken = TcpListener::bind("127.0.0.1:8080");
    let (mut demo, commands) = visit(&database, &[]).await;
    demo.says("127.0.0.1:8080 is taken by another program").await;
    assert!(!commands[0].ends_with(":8080"), "{commands:?}");
    assert!(shell(&commands[0]).await.status.success());
    demo.stop().await;

    let mut command = pgmill(&["demo", "--serve", "--http.addr", "127.0.0.1:8080", "--url", database.url()]);
    let refused = output(command.arg(folder(1).path())).await;
    drop(taken);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("cannot listen at 127.0.0.1:8080"), "{}", stderr(&refused));
}

#[tokio::test]
async fn migrate_brings_an_empty_database_up_to_date_once() {
    let database = TestDatabase::empty().await;
    let migrate = async |options: &[&str]| {
        let output = output(pgmill(&["migrate"]).args(options).env("DATABASE_URL", database.url())).await;
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let first: Value = serde_json::from_str(&migrate(&["--json"]).await).unwrap();
    assert!(first["from"].is_null() && first["to"].as_u64() > Some(0), "{first}");
    assert_eq!(first["applied"].as_array().unwrap()[0], "0001_tables");
    let second: Value = serde_json::from_str(&migrate(&["--json"]).await).unwrap();
    assert_eq!((&second["from"], &second["to"]), (&first["to"], &first["to"]));
    assert_eq!(second["applied"].as_array().unwrap().len(), 0);
    assert_eq!(migrate(&[]).await, format!("up to date: version {}\n", first["to"]));
}
