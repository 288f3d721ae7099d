//! What the connection parameters do on the wire, against servers with TLS and without.

#[path = "tls/authority.rs"]
mod authority;
#[path = "tls/client.rs"]
mod client;
#[path = "tls/server.rs"]
mod server;

use std::fmt::Write as _;
use std::fs;
use std::future::poll_fn;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use authority::Authority;
use client::{connect, options, outcome, refusal, show};
use pgmill_store::{ConnectError, ConnectOptions};
use server::Server;
use tokio_postgres::AsyncMessage;

#[tokio::test]
async fn every_sslmode_connects_or_refuses_as_in_libpq() {
    let (with_tls, without_tls) = (Server::with_tls().await, Server::without_tls().await);
    let files = tempfile::tempdir().expect("a temporary directory");
    let stranger = Authority::new(files.path(), "stranger");
    let right = format!(" sslrootcert={}", with_tls.authority.root.display());
    let wrong = format!(" sslrootcert={}", stranger.root.display());
    let (right, wrong) = (right.as_str(), wrong.as_str());
    let named = "host=localhost hostaddr=127.0.0.1";
    let misnamed = "host=db.example hostaddr=127.0.0.1";
    let address = "host=127.0.0.1";

    // The mode; then without a root certificate, with the right one, with it and another host name, with it and the
    // address as host, with a wrong one; then without TLS on the server, with the right root certificate.
    let table = [
        ("disable", ["plain", "plain", "plain", "plain", "plain", "plain"]),
        ("allow", ["plain", "plain", "plain", "plain", "plain", "plain"]),
        ("prefer", ["tls", "tls", "tls", "tls", "plain", "plain"]),
        ("require", ["tls", "tls", "tls", "tls", "wrong issuer", "no tls"]),
        ("verify-ca", ["no root", "tls", "tls", "tls", "wrong issuer", "no tls"]),
        ("verify-full", ["no root", "tls", "wrong name", "tls", "wrong issuer", "no tls"]),
    ];
    let mut failed = String::new();
    for (mode, expected) in table {
        let cases = [
            (with_tls, named, ""),
            (with_tls, named, right),
            (with_tls, misnamed, right),
            (with_tls, address, right),
            (with_tls, named, wrong),
            (without_tls, named, right),
        ];
        for ((server, host, root), expected) in cases.into_iter().zip(expected) {
            let text =
                format!("{host} port={} user=anyone dbname=postgres sslmode={mode}{root}", server.port());
            let outcome = outcome(&text).await;
            if outcome != expected {
                let _ = writeln!(failed, "{text}: expected {expected}, got {outcome}");
            }
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

#[tokio::test]
async fn allow_turns_to_tls_and_prefer_to_plain_where_pg_hba_wants_it() {
    let server = Server::with_tls().await;
    let url = |user, mode| format!("postgres://{user}@127.0.0.1:{}/postgres?sslmode={mode}", server.port());
    assert_eq!(outcome(&url("tls_only", "allow")).await, "tls");
    assert_eq!(outcome(&url("tls_only", "prefer")).await, "tls");
    assert_eq!(outcome(&url("plain_only", "prefer")).await, "plain");
    assert_eq!(outcome(&url("plain_only", "allow")).await, "plain");

    let error = refusal(&url("tls_only", "disable")).await;
    assert_eq!(error.sqlstate(), Some("28000"));
    assert!(error.to_string().contains("at least without TLS"), "{error}");
    assert_eq!(refusal(&url("plain_only", "require")).await.sqlstate(), Some("28000"));
}

#[tokio::test]
async fn a_certificate_that_is_its_own_authority_is_trusted_as_root() {
    let server = Server::with_self_signed_certificate().await;
    let other = Server::with_tls().await;
    let root = server.certificate();
    let with_root = |root: &Path, host, port, mode| {
        format!(
            "host={host} hostaddr=127.0.0.1 port={port} user=anyone dbname=postgres sslmode={mode} sslrootcert={}",
            root.display()
        )
    };
    let url = |host, port, mode| with_root(&root, host, port, mode);
    assert_eq!(outcome(&url("localhost", server.port(), "verify-full")).await, "tls");
    assert_eq!(outcome(&url("db.example", server.port(), "verify-ca")).await, "tls");
    assert_eq!(outcome(&url("db.example", server.port(), "verify-full")).await, "wrong name");
    assert_eq!(outcome(&url("localhost", other.port(), "verify-ca")).await, "wrong issuer");

    let error = refusal(&with_root(&other.authority.root, "localhost", server.port(), "verify-ca")).await;
    assert!(error.to_string().contains("it is its own authority: name a copy of it"), "{error}");
}

#[tokio::test]
async fn a_certificate_of_version_1_is_good_enough_where_none_is_verified() {
    let server = Server::with_version_1_certificate().await;
    let url = |mode| format!("postgres://anyone@127.0.0.1:{}/postgres?sslmode={mode}", server.port());
    assert_eq!(outcome(&url("prefer")).await, "tls");
    assert_eq!(outcome(&url("require")).await, "tls");
    let error =
        refusal(&format!("{}&sslrootcert={}", url("verify-ca"), server.authority.root.display())).await;
    assert!(error.to_string().contains("X.509 version 1; issue one of version 3"), "{error}");
}

#[tokio::test]
async fn a_client_certificate_lets_its_role_in() {
    let server = Server::with_tls().await;
    let files = tempfile::tempdir().expect("a temporary directory");
    let own = server.authority.issue(files.path(), "certificate", &[]);
    let foreign = Authority::new(files.path(), "stranger").issue(files.path(), "foreign", &[]);
    let base =
        format!("host=127.0.0.1 port={} user=certificate dbname=postgres sslmode=require", server.port());
    let with = |certificate: &Path, key: &Path| {
        format!("{base} sslcert={} sslkey={}", certificate.display(), key.display())
    };
    assert_eq!(outcome(&with(&own.certificate, &own.key)).await, "tls");

    let error = refusal(&base).await;
    assert!(error.to_string().contains("requires a valid client certificate"), "{error}");
    assert!(!error.is_transient(), "{error}");

    let error = refusal(&with(&foreign.certificate, &foreign.key)).await;
    assert!(error.to_string().contains("cannot connect to PostgreSQL at 127.0.0.1"), "{error}");

    let error = refusal(&with(&own.certificate, &foreign.key)).await;
    assert!(matches!(error, ConnectError::Certificate { .. }), "{error}");

    let error = refusal(&with(&own.certificate, &files.path().join("none"))).await;
    assert!(matches!(error, ConnectError::Unreadable { .. }), "{error}");

    fs::set_permissions(&own.key, fs::Permissions::from_mode(0o644)).expect("permissions set");
    let error = refusal(&with(&own.certificate, &own.key)).await;
    assert!(error.to_string().contains("chmod 0600"), "{error}");
}

#[tokio::test]
async fn certificates_of_the_home_directory_are_used_unasked() {
    let server = Server::with_tls().await;
    let home = tempfile::tempdir().expect("a temporary directory");
    let directory = home.path().join(".postgresql");
    fs::create_dir(&directory).expect("created");
    fs::copy(&server.authority.root, directory.join("root.crt")).expect("copied");
    let own = server.authority.issue(&directory, "certificate", &[]);
    fs::rename(own.certificate, directory.join("postgresql.crt")).expect("renamed");
    fs::rename(own.key, directory.join("postgresql.key")).expect("renamed");

    let text =
        format!("host=localhost hostaddr=127.0.0.1 port={} user=certificate dbname=postgres", server.port());
    let env = |name: &str| match name {
        "HOME" => Some(home.path().display().to_string()),
        "PGSSLMODE" => Some("verify-full".to_owned()),
        _ => None,
    };
    let (client, driver) = ConnectOptions::parse_with(&text, env)
        .expect("valid")
        .connect()
        .await
        .expect("the certificate is found");
    tokio::spawn(driver.run());
    assert_eq!(show(&client, "SELECT current_user::text").await, "certificate");
}

#[tokio::test]
async fn a_unix_socket_is_used_whatever_sslmode_says() {
    let server = Server::with_tls().await;
    let directory = server.socket_directory();
    for mode in ["disable", "prefer", "require", "verify-full"] {
        let text =
            format!("host={directory} port={} user=anyone dbname=postgres sslmode={mode}", server.port());
        assert_eq!(outcome(&text).await, "plain", "{mode}");
    }
    let url = format!("postgres://anyone@{}:{}/postgres", directory.replace('/', "%2F"), server.port());
    assert_eq!(outcome(&url).await, "plain");

    let error = refusal(&format!("host=/nonexistent port={} user=anyone", server.port())).await;
    assert!(error.to_string().contains("with its socket in that directory"), "{error}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn scram_binds_to_the_tls_channel_and_can_be_made_to() {
    let (with_tls, without_tls) = (Server::with_tls().await, Server::without_tls().await);
    let url = |port| format!("postgres://scram:right@127.0.0.1:{port}/postgres?channel_binding=require");
    assert_eq!(outcome(&url(with_tls.port())).await, "tls");
    let error = refusal(&url(without_tls.port())).await;
    assert!(error.to_string().contains("channel binding"), "{error}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_wrong_password_is_final_and_not_tried_again_in_the_clear() {
    let server = Server::with_tls().await;
    let error = refusal(&format!("postgres://scram:wr0ng@127.0.0.1:{}/postgres", server.port())).await;
    let message = error.to_string();
    assert_eq!(error.sqlstate(), Some("28P01"));
    assert!(!error.is_transient());
    assert!(message.contains("the password is wrong"), "{message}");
    assert!(
        message.contains(&format!("127.0.0.1:{} (database `postgres`, user `scram`)", server.port())),
        "{message}"
    );
    assert!(!message.contains("also tried"), "{message}");
    assert!(!format!("{message} {error:?}").contains("wr0ng"));
}

#[tokio::test]
async fn the_password_comes_from_the_password_file_and_its_absence_is_explained() {
    let server = Server::without_tls().await;
    let files = tempfile::tempdir().expect("a temporary directory");
    let passfile = files.path().join("pgpass");
    fs::write(&passfile, format!("*:1:*:*:wrong\n127.0.0.1:{}:postgres:scram:right\n", server.port()))
        .expect("written");
    let set_mode =
        |mode| fs::set_permissions(&passfile, fs::Permissions::from_mode(mode)).expect("permissions set");
    let base = format!("host=127.0.0.1 port={} user=scram dbname=postgres", server.port());
    let text = format!("{base} passfile={}", passfile.display());

    set_mode(0o600);
    assert_eq!(outcome(&text).await, "plain");
    set_mode(0o644);
    let error = refusal(&text).await;
    assert!(error.to_string().contains("is ignored because others than its owner have access"), "{error}");
    assert!(!error.is_transient());
    let error = refusal(&base).await;
    assert!(
        error.to_string().contains("set PGPASSWORD, or add a line for this server to ~/.pgpass"),
        "{error}"
    );
}

#[tokio::test]
async fn hosts_are_tried_in_turn_until_one_is_up_or_one_refuses() {
    let (with_tls, without_tls) = (Server::with_tls().await, Server::without_tls().await);
    let closed = closed_port();
    let two = |first: u16, second: u16, more: &str| {
        format!("postgres://anyone@127.0.0.1:{first},127.0.0.1:{second}/postgres?{more}")
    };
    let client = connect(&two(closed, with_tls.port(), "")).await.expect("the second host is up");
    assert_eq!(show(&client, "SHOW port").await, with_tls.port().to_string());
    let client = connect(&two(without_tls.port(), with_tls.port(), "sslmode=require"))
        .await
        .expect("the second has TLS");
    assert_eq!(show(&client, "SHOW port").await, with_tls.port().to_string());

    let socket = with_tls.socket_directory();
    let role = format!("port={} user=socket_only dbname=postgres", with_tls.port());
    assert_eq!(outcome(&format!("{role} host={socket}")).await, "plain");
    let error = refusal(&format!("{role} host=127.0.0.1,{socket}")).await;
    assert_eq!(error.sqlstate(), Some("28000"), "the refusal of the first ends it: {error}");

    let error = refusal(&two(closed, closed, "")).await;
    assert!(error.is_transient());
    assert!(error.to_string().contains("is the server running there"), "{error}");
    assert!(error.to_string().contains("also tried: 127.0.0.1"), "{error}");
}

#[tokio::test]
async fn a_host_without_an_address_is_named() {
    let error = refusal("postgres://u@no-such-host.invalid/d").await;
    assert!(error.to_string().contains("no-such-host.invalid:5432"), "{error}");
    assert!(error.to_string().contains("is the host name right?"), "{error}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn a_server_that_must_allow_writes_is_passed_over_if_it_does_not() {
    let server = Server::without_tls().await;
    let url = |attrs| {
        format!("postgres://read_only@127.0.0.1:{}/postgres?target_session_attrs={attrs}", server.port())
    };
    assert_eq!(outcome(&url("any")).await, "plain");
    assert_eq!(outcome(&url("read-only")).await, "plain");
    for attrs in ["read-write", "primary"] {
        let error = refusal(&url(attrs)).await;
        assert!(error.to_string().contains("does not allow writes"), "{error}");
        assert!(error.is_transient(), "a failover may end it");
    }
}

#[tokio::test]
async fn a_server_that_accepts_and_then_is_silent_is_given_up_after_connect_timeout() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).expect("a listener");
    let port = silent.local_addr().expect("bound").port();
    let error = refusal(&format!("postgres://u@127.0.0.1:{port}/d?connect_timeout=1")).await;
    assert!(error.to_string().contains("no answer within 1 s"), "{error}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn missing_roots_are_explained_with_both_ways_out() {
    let error = refusal("postgres://u@127.0.0.1/d?sslmode=verify-full").await.to_string();
    assert!(error.contains("sslmode=verify-full needs root certificates"), "{error}");
    assert!(error.contains("/nonexistent/.postgresql/root.crt does not exist"), "{error}");
    assert!(error.contains("sslrootcert=FILE") && error.contains("sslrootcert=system"), "{error}");
}

#[tokio::test]
async fn a_missing_database_is_named_with_what_to_do() {
    let server = Server::without_tls().await;
    let error = refusal(&format!("postgres://anyone@127.0.0.1:{}/nowhere", server.port())).await;
    assert_eq!(error.sqlstate(), Some("3D000"));
    assert!(error.to_string().contains("create the database, or name another one"), "{error}");
}

#[tokio::test]
async fn the_driver_hands_out_notifications() {
    let server = Server::with_tls().await;
    let url = format!("postgres://anyone@127.0.0.1:{}/postgres", server.port());
    let (client, mut driver) = options(&url).connect().await.expect("connected");
    let sender = tokio::spawn(async move {
        client.batch_execute("LISTEN news; NOTIFY news, 'hello'").await.expect("sent");
    });
    let payload = loop {
        match poll_fn(|cx| driver.poll_message(cx)).await {
            Some(Ok(AsyncMessage::Notification(notification))) => break notification.payload().to_owned(),
            Some(Ok(_)) => {}
            other => panic!("the connection ended: {other:?}"),
        }
    };
    assert_eq!(payload, "hello");
    assert!(poll_fn(|cx| driver.poll_message(cx)).await.is_none(), "closed after its client is gone");
    sender.await.expect("no panic");
}

const SETTINGS: &[(&str, &str)] = &[
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "off"),
    ("TimeZone", "UTC"),
    ("statement_timeout", "30s"),
    ("lock_timeout", "5s"),
    ("idle_in_transaction_session_timeout", "1min"),
    ("client_min_messages", "warning"),
];

#[tokio::test]
async fn pooled_connections_have_the_session_defaults_in_direct_mode() {
    let server = Server::with_tls().await;
    let root = server.authority.root.display();
    for mode in ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] {
        let text = format!(
            "host=localhost hostaddr=127.0.0.1 port={} user=anyone dbname=postgres sslmode={mode} sslrootcert={root}",
            server.port()
        );
        let pool = options(&text).pool().expect("a pool");
        let client = pool.get().await.expect("a connection");
        for (name, value) in SETTINGS {
            assert_eq!(show(&client, &format!("SHOW {name}")).await, *value, "{mode}: {name}");
        }
        assert_eq!(show(&client, "SHOW application_name").await, "pgmill");
    }
}

#[tokio::test]
async fn nothing_is_set_behind_a_pooler() {
    let server = Server::without_tls().await;
    let base = format!("postgres://read_only@127.0.0.1:{}/postgres", server.port());
    let plain = connect(&base).await.expect("connected");
    let pool = options(&format!("{base}?pgmill_mode=pooler")).pool().expect("a pool");
    let pooled = pool.get().await.expect("a connection");
    for (name, _) in SETTINGS {
        let query = format!("SHOW {name}");
        assert_eq!(show(&pooled, &query).await, show(&plain, &query).await, "{name}");
    }
}

#[tokio::test]
async fn a_pool_is_limited_to_its_size_and_reuses_connections() {
    let server = Server::without_tls().await;
    let pool =
        options(&format!("postgres://anyone@127.0.0.1:{}/postgres?pool_max_conns=1", server.port())).pool();
    let pool = pool.expect("a pool");
    assert_eq!(pool.status().max_size, 1);
    let pid = "SELECT pg_backend_pid()::text";
    let first = show(&pool.get().await.expect("a connection"), pid).await;
    let second = show(&pool.get().await.expect("a connection"), pid).await;
    assert_eq!(first, second);
}

#[tokio::test]
async fn an_error_of_a_pool_tells_why_there_is_no_connection() {
    let pool = options(&format!("postgres://u@127.0.0.1:{}/d", closed_port())).pool().expect("a pool");
    let error = pool.get().await.map(drop).expect_err("nothing listens there");
    let found = ConnectError::find(&error).unwrap_or_else(|| panic!("{error:?}"));
    assert!(found.is_transient());
    assert!(found.to_string().contains("is the server running there"), "{found}");

    let missing =
        options("postgres://u@127.0.0.1/d?sslrootcert=/nonexistent&sslmode=verify-ca").pool().map(drop);
    assert!(matches!(missing, Err(ConnectError::RootCertificateMissing { .. })), "{missing:?}");
}

fn closed_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}
