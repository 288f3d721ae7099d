//! Nobody gets in without the password.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use pgmill_embedded::{Embedded, StopMode};

use crate::support::{psql, query, try_query};

#[test]
fn a_connection_needs_the_password_over_tcp_and_over_the_socket() {
    let server = Embedded::builder().ephemeral().start().unwrap();
    let port = server.port().to_string();
    for host in ["127.0.0.1", server.socket_dir().to_str().unwrap()] {
        let connect = || {
            let mut command = psql();
            command.args(["-h", host, "-p", &port, "-U", "pgmill", "-d", "pgmill", "-c", "select 1"]);
            command.env("PGPASSFILE", "/dev/null");
            command
        };
        let without = connect().output().unwrap();
        assert!(!without.status.success());
        assert!(String::from_utf8_lossy(&without.stderr).contains("no password supplied"), "{without:?}");

        let wrong = connect().env("PGPASSWORD", "wrong").output().unwrap();
        assert!(!wrong.status.success());
        assert!(
            String::from_utf8_lossy(&wrong.stderr).contains("password authentication failed"),
            "{wrong:?}"
        );

        let password = fs::read_to_string(server.data_dir().join("password")).unwrap();
        let right = connect().env("PGPASSWORD", password.trim()).output().unwrap();
        assert!(right.status.success(), "{right:?}");
    }
}

#[test]
fn the_server_trusts_nobody_and_listens_on_loopback_only() {
    let server = Embedded::builder().ephemeral().start().unwrap();
    let methods = query(&server.url(), "select string_agg(distinct auth_method, ',') from pg_hba_file_rules");
    assert_eq!(methods, "scram-sha-256");
    assert_eq!(query(&server.url(), "show listen_addresses"), "127.0.0.1");
    let stored = query(&server.url(), "select rolpassword from pg_authid where rolname = 'pgmill'");
    assert!(stored.starts_with("SCRAM-SHA-256$"), "{stored}");
}

#[test]
fn secrets_are_closed_to_other_users() {
    let server = Embedded::builder().ephemeral().start().unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&server.data_dir().join("password")), 0o600);
    assert_eq!(mode(&server.data_dir().join("server.log")), 0o600);
    assert_eq!(mode(&server.data_dir().join("cluster")), 0o700);
    assert_eq!(mode(server.data_dir()), 0o700);
    assert_eq!(mode(server.socket_dir()), 0o700);
}

#[test]
fn the_password_differs_per_cluster_and_is_not_shown_by_debug() {
    let one = Embedded::builder().ephemeral().start().unwrap();
    let two = Embedded::builder().ephemeral().start().unwrap();
    let password = |server: &Embedded| fs::read_to_string(server.data_dir().join("password")).unwrap();
    assert_ne!(password(&one), password(&two));
    assert!(!format!("{one:?}").contains(password(&one).trim()));

    let foreign = one.url().replace(password(&one).trim(), password(&two).trim());
    assert!(!try_query(&foreign, "select 1").status.success());
    one.stop(StopMode::Fast).unwrap();
}
