//! Starting, stopping, settings, databases.

use std::io::Write;
use std::net::TcpListener;
use std::process::Stdio;

use pgmill_embedded::{Embedded, EmbeddedError, StopMode, find_installation};

use crate::support::{eventually, folder, psql, query, runs, start_in, try_query};

#[test]
fn an_ephemeral_server_leaves_nothing_behind() {
    let server = Embedded::builder().ephemeral().start().unwrap();
    assert_eq!(query(&server.url(), "select current_user || '@' || current_database()"), "pgmill@pgmill");
    assert!(server.owned());
    let pid = server.pid().unwrap();
    let data_dir = server.data_dir().to_owned();
    drop(server);
    assert!(!runs(pid));
    assert!(!data_dir.exists());
}

#[test]
fn the_handle_describes_the_server() {
    let server = Embedded::builder().ephemeral().start().unwrap();
    let found = find_installation().unwrap();
    assert_eq!(server.bin_dir(), found.bin_dir);
    assert_eq!(server.version(), found.major);
    assert_eq!(query(&server.url(), "show port"), server.port().to_string());
    let major = query(&server.url(), "select current_setting('server_version_num')::int / 10000");
    assert_eq!(major, server.version().to_string());
    let cluster = server.data_dir().join("cluster");
    assert_eq!(query(&server.url(), "show data_directory"), cluster.to_str().unwrap());
}

#[test]
fn persistent_data_and_port_survive_a_stop() {
    let folder = folder();
    let server = start_in(folder.path());
    let url = server.url();
    query(&url, "create table t as select 42 as answer");
    let pid = server.pid().unwrap();
    server.stop(StopMode::Fast).unwrap();
    assert!(!runs(pid));

    let server = start_in(folder.path());
    assert_eq!(server.url(), url);
    assert_eq!(query(&url, "select answer from t"), "42");
}

#[test]
fn a_port_that_was_taken_meanwhile_is_replaced() {
    let folder = folder();
    let server = start_in(folder.path());
    let port = server.port();
    server.stop(StopMode::Fast).unwrap();
    let _taken = TcpListener::bind(("127.0.0.1", port)).unwrap();

    let server = start_in(folder.path());
    assert_ne!(server.port(), port);
    assert_eq!(query(&server.url(), "select 1"), "1");
}

#[test]
fn a_fast_stop_does_not_wait_for_clients() {
    let folder = folder();
    let server = start_in(folder.path());
    let mut client = psql()
        .arg(server.url())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    writeln!(client.stdin.as_mut().unwrap(), "begin; create table t ();").unwrap();
    eventually("the client is in a transaction", || {
        query(&server.url(), "select count(*) from pg_stat_activity where state = 'idle in transaction'")
            == "1"
    });
    server.stop(StopMode::Fast).unwrap();
    drop(client.stdin.take());
    client.wait().unwrap();
}

#[test]
fn a_smart_stop_waits_for_clients() {
    let server = Embedded::builder().ephemeral().start().unwrap();
    let mut client = psql().arg(server.url()).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    writeln!(client.stdin.as_mut().unwrap(), "set application_name = 'guest';").unwrap();
    eventually("the client is connected", || {
        query(&server.url(), "select count(*) from pg_stat_activity where application_name = 'guest'") == "1"
    });
    std::thread::scope(|scope| {
        let halt = scope.spawn(|| server.halt(StopMode::Smart));
        eventually("new clients are refused", || !try_query(&server.url(), "select 1").status.success());
        assert!(!halt.is_finished());
        drop(client.stdin.take());
        assert!(client.wait().unwrap().success());
        halt.join().unwrap().unwrap();
    });
    assert_eq!(server.pid(), None);
}

#[test]
fn a_database_of_any_name_is_created_once() {
    let folder = folder();
    let name = "we\"ird 'näme/?%";
    for _ in 0..2 {
        let server = Embedded::builder().data_dir(folder.path()).database(name).start().unwrap();
        assert_eq!(query(&server.url(), "select current_database()"), name);
        assert_eq!(query(&server.url_for("postgres"), "select current_database()"), "postgres");
    }
}

#[test]
fn settings_override_the_tuning() {
    let server = Embedded::builder()
        .ephemeral()
        .setting("max_connections", "17")
        .setting("application_name", "it's \\ mine")
        .start()
        .unwrap();
    assert_eq!(query(&server.url(), "show max_connections"), "17");
    assert_eq!(
        query(&server.url(), "select reset_val from pg_settings where name = 'log_min_messages'"),
        "warning"
    );
    let value = query(&server.url(), "select setting from pg_file_settings where name = 'application_name'");
    assert_eq!(value, "it's \\ mine");
}

#[test]
fn the_server_is_tuned_and_durable() {
    let server = Embedded::builder().ephemeral().start().unwrap();
    for (name, value) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("max_connections", "200"),
        ("max_wal_size", "4GB"),
        ("checkpoint_timeout", "15min"),
        ("autovacuum_naptime", "10s"),
        ("random_page_cost", "1.1"),
        ("jit", "off"),
        ("timezone", "UTC"),
        ("server_encoding", "UTF8"),
    ] {
        assert_eq!(query(&server.url(), &format!("show {name}")), value, "{name}");
    }
    assert_eq!(query(&server.url(), "select count(*) from pg_file_settings where error is not null"), "0");
}

#[test]
fn a_server_that_does_not_start_says_why() {
    let folder = folder();
    let builder = Embedded::builder().data_dir(folder.path());
    let error = builder.setting("shared_preload_libraries", "no_such_library").start().unwrap_err();
    assert!(matches!(error, EmbeddedError::Start { .. }), "{error}");
    assert!(error.to_string().contains("no_such_library"), "{error}");
    assert!(error.to_string().contains("server.log"), "{error}");

    assert_eq!(query(&start_in(folder.path()).url(), "select 1"), "1");
}

#[test]
fn options_that_cannot_be_meant_are_rejected() {
    let builder = Embedded::builder;
    for (builder, named) in [
        (builder().ephemeral().data_dir("/tmp/x"), "data_dir"),
        (builder().ephemeral().keep_running(true), "keep_running"),
        (builder().ephemeral().setting("port", "5432"), "port"),
        (builder().ephemeral().database(""), "database"),
        (builder().ephemeral().database(&"x".repeat(64)), "database"),
    ] {
        let error = builder.start().unwrap_err();
        assert!(matches!(error, EmbeddedError::Invalid { .. }), "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
}
