//! Where the server's programs and its data are looked for.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use pgmill_embedded::{Embedded, EmbeddedError, StopMode};

use crate::support::{
    Program, as_server_user, folder, folder_of_server_user, psql, public_exe, query, start_in,
};

#[test]
fn an_ordinary_user_needs_no_options() {
    let home = folder_of_server_user();
    let mut command = Program::command(&public_exe(home.path()));
    command.env("HOME", home.path()).env_remove("XDG_DATA_HOME").env_remove("PGMILL_DATA");
    let mut program = Program::spawn(as_server_user(&mut command));
    let report = program.report();
    assert!(report.owned);
    if cfg!(target_os = "linux") {
        assert_eq!(report.data_dir, home.path().canonicalize().unwrap().join(".local/share/pgmill"));
    }
    assert_eq!(query(&report.url, "select 1"), "1");
    program.order("drop");
}

#[test]
fn the_environment_chooses_the_data_folder() {
    let folder = folder();
    let mut program = Program::start("persistent", Some(folder.path()));
    assert_eq!(program.report().data_dir, folder.path().canonicalize().unwrap());
    program.order("drop");
}

#[test]
fn a_data_folder_with_a_long_path_works() {
    let folder = folder();
    let data_dir = folder.path().join("a".repeat(120)).join("b b, 'c'");
    let server = start_in(&data_dir);
    assert_eq!(server.data_dir(), data_dir.canonicalize().unwrap());
    let socket_dir = server.socket_dir().to_owned();
    assert!(socket_dir.as_os_str().len() < 80, "{}", socket_dir.display());
    let password = fs::read_to_string(data_dir.join("password")).unwrap();
    let output = psql()
        .args(["-U", "pgmill", "-d", "pgmill", "-c", "select 42", "-p", &server.port().to_string(), "-h"])
        .arg(&socket_dir)
        .env("PGPASSWORD", password.trim())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "42", "{output:?}");
    server.restart(StopMode::Fast).unwrap();
    assert!(socket_dir.exists());
    drop(server);
    assert!(!socket_dir.exists());
}

#[test]
fn odd_characters_in_the_path_work() {
    let folder = folder();
    let server = start_in(&folder.path().join("it's \"a\", b\\c"));
    assert!(server.socket_dir().starts_with(server.data_dir()));
    let socket = server.socket_dir().join(format!(".s.PGSQL.{}", server.port()));
    assert!(socket.exists(), "{}", socket.display());
}

#[test]
fn a_folder_that_the_server_cannot_reach_is_named() {
    let folder = folder();
    let closed = folder.path().join("closed");
    let data_dir = closed.join("data");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o000)).unwrap();
    let error = Embedded::builder().data_dir(&data_dir).start().unwrap_err();
    assert!(
        matches!(&error, EmbeddedError::Unreachable { folder, blocked, .. } if *folder == data_dir && *blocked == closed),
        "{error:?}"
    );
    let message = error.to_string();
    assert!(message.contains(data_dir.to_str().unwrap()) && message.contains("PGMILL_DATA"), "{message}");
}

#[test]
fn a_server_folder_without_a_server_is_named() {
    let empty = folder();
    let data = folder();
    let mut command = Program::command(&std::env::current_exe().unwrap());
    command.env("PGMILL_PG_BIN", empty.path()).env("PGMILL_DATA", data.path());
    let message = Program::spawn(&mut command).error();
    assert!(message.contains(empty.path().to_str().unwrap()), "{message}");
    assert!(message.contains("no `initdb`") && message.contains("apt-get install postgresql"), "{message}");
}

#[test]
fn a_cluster_of_another_version_is_left_alone() {
    let folder = folder_of_server_user();
    fs::create_dir(folder.path().join("cluster")).unwrap();
    let version = folder.path().join("cluster/PG_VERSION");
    fs::write(&version, "12\n").unwrap();
    let error = Embedded::builder().data_dir(folder.path()).start().unwrap_err();
    assert!(matches!(error, EmbeddedError::VersionMismatch { cluster: 12, .. }), "{error}");
    assert_eq!(fs::read_to_string(version).unwrap(), "12\n");
}
