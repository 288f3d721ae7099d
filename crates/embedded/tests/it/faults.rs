//! Crashes of the server and of the program.

use std::fs;
use std::process::Command;

use pgmill_embedded::{Embedded, EmbeddedError, StopMode};

use crate::support::{
    Program, as_server_user, eventually, folder, folder_of_server_user, kill_hard, query, runs, start_in,
    try_query,
};

#[test]
fn a_halted_server_comes_back_on_the_same_port_with_all_that_was_committed() {
    let server = Embedded::builder().ephemeral().start().unwrap();
    query(&server.url(), "create table t as select 42 as answer");
    for mode in [StopMode::Immediate, StopMode::Fast, StopMode::Smart] {
        let pid = server.pid().unwrap();
        server.halt(mode).unwrap();
        assert!(!runs(pid));
        assert_eq!(server.pid(), None);
        assert!(!try_query(&server.url(), "select 1").status.success());
        server.halt(mode).unwrap();
        server.resume().unwrap();
        server.resume().unwrap();
        assert!(server.owned());
        assert_eq!(query(&server.url(), "select answer from t"), "42");
    }
    let before = server.pid();
    server.restart(StopMode::Fast).unwrap();
    assert_ne!(server.pid(), before);
}

#[test]
fn a_killed_server_is_started_again_despite_its_stale_pid_file() {
    let folder = folder();
    let crashed = start_in(folder.path());
    let url = crashed.url();
    query(&url, "create table t as select 42 as answer");
    let pid = crashed.pid().unwrap();
    kill_hard(pid);
    eventually("the server is dead", || !runs(pid));
    assert!(crashed.data_dir().join("cluster/postmaster.pid").exists());

    // The dead process has not been waited for yet, so its id is still taken.
    let server = start_in(folder.path());
    assert!(server.owned());
    assert_eq!(server.url(), url);
    assert_eq!(query(&url, "select answer from t"), "42");
    drop(crashed);
    assert_eq!(query(&url, "select answer from t"), "42");
}

#[test]
fn a_killed_server_is_resumed_on_its_port() {
    let server = Embedded::builder().ephemeral().start().unwrap();
    query(&server.url(), "create table t as select 42 as answer");
    kill_hard(server.pid().unwrap());
    eventually("the handle notices", || server.pid().is_none());
    server.resume().unwrap();
    assert_eq!(query(&server.url(), "select answer from t"), "42");
}

#[test]
fn a_stale_pid_file_whose_id_was_given_to_another_process_is_no_obstacle() {
    let folder = folder();
    let server = start_in(folder.path());
    kill_hard(server.pid().unwrap());
    eventually("the handle notices", || server.pid().is_none());
    let mut stranger = as_server_user(Command::new("sleep").arg("60")).spawn().unwrap();
    let file = server.data_dir().join("cluster/postmaster.pid");
    let record = fs::read_to_string(&file).unwrap();
    let (_, rest) = record.split_once('\n').unwrap();
    fs::write(&file, format!("{}\n{rest}", stranger.id())).unwrap();

    let again = start_in(folder.path());
    assert!(again.owned());
    assert_eq!(query(&again.url(), "select 1"), "1");
    assert!(stranger.try_wait().unwrap().is_none(), "the other process was harmed");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn a_program_that_is_killed_takes_its_ephemeral_server_and_folder_along() {
    let mut program = Program::start("ephemeral", None);
    let report = program.report();
    assert!(runs(report.pid) && report.data_dir.exists());
    program.kill_hard();
    eventually("the server has ended", || !runs(report.pid));
    eventually("the folder is gone", || !report.data_dir.exists());
}

#[test]
fn a_program_that_is_killed_while_its_server_is_halted_leaves_no_folder() {
    let mut program = Program::start("halted", None);
    let report = program.report();
    assert!(!runs(report.pid) && report.data_dir.exists());
    program.kill_hard();
    eventually("the folder is gone", || !report.data_dir.exists());
}

#[test]
fn a_resume_that_fails_can_be_repeated() {
    let server = Embedded::builder().ephemeral().start().unwrap();
    query(&server.url(), "create table t as select 42 as answer");
    server.halt(StopMode::Fast).unwrap();
    let version = server.data_dir().join("cluster/PG_VERSION");
    let right = fs::read_to_string(&version).unwrap();
    fs::write(&version, "12\n").unwrap();
    let error = server.resume().unwrap_err();
    assert!(matches!(error, EmbeddedError::Start { .. }), "{error}");
    fs::write(&version, right).unwrap();
    server.resume().unwrap();
    assert_eq!(query(&server.url(), "select answer from t"), "42");
}

#[test]
fn a_program_that_is_killed_takes_its_persistent_server_along_but_not_the_data() {
    let folder = folder();
    let mut program = Program::start("persistent", Some(folder.path()));
    let report = program.report();
    query(&report.url, "create table t as select 42 as answer");
    program.kill_hard();
    eventually("the server has ended", || !runs(report.pid));
    let server = start_in(folder.path());
    assert_eq!(query(&server.url(), "select answer from t"), "42");
}

#[test]
fn a_program_that_exits_without_dropping_the_handle_stops_its_server() {
    let mut program = Program::start("ephemeral", None);
    let report = program.report();
    program.order("exit");
    eventually("the server has ended", || !runs(report.pid));
    eventually("the folder is gone", || !report.data_dir.exists());
}

#[test]
fn a_panic_stops_the_server() {
    let server = Embedded::builder().ephemeral().start().unwrap();
    let (pid, data_dir) = (server.pid().unwrap(), server.data_dir().to_owned());
    let panicked = std::thread::spawn(move || {
        let _server = server;
        std::panic::resume_unwind(Box::new("a test went wrong"));
    });
    assert!(panicked.join().is_err());
    assert!(!runs(pid));
    assert!(!data_dir.exists());
}

#[test]
fn a_cluster_whose_making_was_interrupted_is_made_anew() {
    let folder = folder_of_server_user();
    let half = folder.path().join("cluster.new");
    fs::create_dir(&half).unwrap();
    fs::write(half.join("PG_VERSION"), "15\n").unwrap();
    assert_eq!(query(&start_in(folder.path()).url(), "select 1"), "1");
    assert!(!half.exists());
}

#[test]
fn a_cluster_without_its_password_file_is_not_started() {
    let folder = folder();
    drop(start_in(folder.path()));
    let file = folder.path().join("password");
    fs::remove_file(&file).unwrap();
    let error = Embedded::builder().data_dir(folder.path()).start().unwrap_err();
    assert!(matches!(error, EmbeddedError::PasswordMissing { .. }), "{error}");
    assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
}
