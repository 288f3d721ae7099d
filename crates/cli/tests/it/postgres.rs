//! `pgmill postgres`.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use pgmill_testkit::wait_until;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{PATIENCE, Program, pgmill};

fn data() -> TempDir {
    tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().unwrap()
}

fn start(data: &Path, options: &[&str]) -> Program {
    Program::start(pgmill(&["postgres", "--data-dir"]).arg(data).args(options))
}

fn answers(url: &str) -> bool {
    let psql = pgmill_embedded::find_installation().unwrap().psql;
    let output = Command::new(psql).args(["-X", "-A", "-t", "-w", "-c", "select 1", url]).output().unwrap();
    output.status.success() && output.stdout == b"1\n"
}

#[tokio::test]
async fn psql_connects_to_the_url_that_is_printed_until_the_program_is_stopped() {
    let data = data();
    let mut server = start(data.path(), &[]);
    let url = server.line().await;
    assert!(url.starts_with("postgres://") && answers(&url), "{url}");
    server.stop().await;
    assert!(!answers(&url));
}

#[tokio::test]
async fn a_server_that_is_shared_is_taken_over_when_its_owner_ends() {
    let data = data();
    let mut owner = start(data.path(), &["--json"]);
    let first: Value = serde_json::from_str(&owner.line().await).unwrap();
    let mut sharer = start(data.path(), &["--json"]);
    let second: Value = serde_json::from_str(&sharer.line().await).unwrap();
    assert_eq!((&first["owned"], &second["owned"]), (&Value::Bool(true), &Value::Bool(false)));
    assert_eq!((&first["url"], &first["pid"]), (&second["url"], &second["pid"]));
    owner.signal(Signal::SIGINT);
    assert_eq!(owner.end().await, Some(0));
    let url = first["url"].as_str().unwrap();
    wait_until("the server to be started again", PATIENCE, async || answers(url)).await;
    sharer.stop().await;
    assert!(!answers(url));
}
