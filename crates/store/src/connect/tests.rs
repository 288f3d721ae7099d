//! What a connection string, the environment and the password file mean. No server is needed here; what becomes of it
//! on the wire is tested in `tests/connect.rs`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::config::{ChannelBinding, TargetSessionAttrs};

use super::options::{Host, Place};
use super::passfile::{self, Lookup};
use super::{ConnectError, ConnectOptions, SslMode};

fn parse_in(text: &str, env: &[(&str, &str)]) -> Result<ConnectOptions, ConnectError> {
    ConnectOptions::parse_with(text, |name| {
        let found = env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        found.or_else(|| (name == "HOME").then(|| "/nonexistent".to_owned()))
    })
}

fn parse(text: &str) -> ConnectOptions {
    parse_in(text, &[]).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refusal(text: &str) -> String {
    match parse_in(text, &[]) {
        Ok(options) => panic!("{text} was taken as {options:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn urls_and_pairs_name_host_port_user_password_and_database() {
    let table: &[(&str, &str, &str, Option<&str>, &str)] = &[
        ("postgres://u:p@h:1/d", "h:1", "u", Some("p"), "d"),
        ("postgresql://u@h/d", "h:5432", "u", None, "d"),
        ("postgresql://u@h", "h:5432", "u", None, "u"),
        ("postgresql://u@/d", "localhost:5432", "u", None, "d"),
        ("postgresql://u@:99/d", "localhost:99", "u", None, "d"),
        ("postgresql:///d?user=u", "localhost:5432", "u", None, "d"),
        ("postgresql:///d?user=u&host=/run/pg&port=7", "/run/pg:7", "u", None, "d"),
        ("postgresql://u@%2Frun%2Fpg/d", "/run/pg:5432", "u", None, "d"),
        ("postgresql://u@%2Frun%2Fpg:7/d", "/run/pg:7", "u", None, "d"),
        ("postgresql://u@a,b:2,c/d", "a:5432,b:2,c:5432", "u", None, "d"),
        ("postgresql://u@[::1]:2,[fe80::1]/d", "[::1]:2,[fe80::1]:5432", "u", None, "d"),
        ("postgresql://a%40b:%3A%2f%25%C3%A9@h/d%20e", "h:5432", "a@b", Some(":/%é"), "d e"),
        ("postgresql://u:p@ss:w@h/d", "h:5432", "u", Some("p@ss:w"), "d"),
        ("postgresql://u:p@h/d?dbname=e&user=v&password=q", "h:5432", "v", Some("q"), "e"),
        ("postgresql://u:@h/d", "h:5432", "u", None, "d"),
        ("host=h port=1 user=u password=p dbname=d", "h:1", "u", Some("p"), "d"),
        (" host = h\n user = u password = 'a \\'b\\\\' ", "h:5432", "u", Some("a 'b\\"), "u"),
        ("host=h user=u password=a\\ b", "h:5432", "u", Some("a b"), "u"),
        ("host=h user=u password=''", "h:5432", "u", None, "u"),
        ("host=h user=u user=v", "h:5432", "v", None, "v"),
        ("host=a,b port=1,2 user=u", "a:1,b:2", "u", None, "u"),
        ("host=a,b port=7 user=u", "a:7,b:7", "u", None, "u"),
        ("host=a,b port=,7 user=u", "a:5432,b:7", "u", None, "u"),
        ("hostaddr=10.0.0.1 user=u", "10.0.0.1:5432", "u", None, "u"),
        ("host=/run/pg,h user=u", "/run/pg:5432,h:5432", "u", None, "u"),
    ];
    for (text, hosts, user, password, database) in table {
        let options = parse(text);
        assert_eq!(options.host_label(), *hosts, "{text}");
        assert_eq!(options.user(), *user, "{text}");
        assert_eq!(options.password.as_deref(), *password, "{text}");
        assert_eq!(options.database(), *database, "{text}");
    }
}

#[test]
fn a_host_address_is_used_and_the_host_name_kept_for_verification() {
    let options = parse("host=db.example hostaddr=10.0.0.1 user=u");
    let address = "10.0.0.1".parse().ok();
    assert_eq!(options.hosts[0].place, Place::Tcp { name: "db.example".to_owned(), address });
}

#[test]
fn nothing_given_means_localhost_and_the_users_own_name() {
    let options = parse("");
    assert_eq!(options.host_label(), "localhost:5432");
    assert!(!options.user().is_empty());
    assert_eq!(options.database(), options.user());
    assert_eq!(options.application_name(), "pgmill");
    assert_eq!(options.pool_size(), 10);
    assert_eq!(options.connect_timeout, Some(Duration::from_secs(10)));
    assert_eq!(options.base.get_keepalives_idle(), Duration::from_secs(30));
    assert_eq!(options.base.get_tcp_user_timeout(), Some(&Duration::from_secs(15)));
    assert_eq!(options.ssl_mode(), SslMode::Prefer);
    assert!(!options.is_pooler());
}

#[test]
fn parameters_reach_the_driver() {
    let options = parse(
        "user=u keepalives=0 keepalives_idle=7 keepalives_interval=8 keepalives_count=9 tcp_user_timeout=500 \
         options='-c geqo=off' target_session_attrs=primary channel_binding=require connect_timeout=0 \
         application_name=a pool_max_conns=3 pgmill_mode=pooler load_balance_hosts=random",
    );
    let base = &options.base;
    assert!(!base.get_keepalives());
    assert_eq!(base.get_keepalives_idle(), Duration::from_secs(7));
    assert_eq!(base.get_keepalives_interval(), Some(Duration::from_secs(8)));
    assert_eq!(base.get_keepalives_retries(), Some(9));
    assert_eq!(base.get_tcp_user_timeout(), Some(&Duration::from_millis(500)));
    assert_eq!(base.get_options(), Some("-c geqo=off"));
    assert_eq!(base.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    assert_eq!(base.get_channel_binding(), ChannelBinding::Require);
    assert_eq!(base.get_application_name(), Some("a"));
    assert_eq!(options.connect_timeout, None);
    assert_eq!(options.pool_size(), 3);
    assert!(options.is_pooler());
    assert!(options.random_order);
}

#[test]
fn a_parameter_wins_over_the_environment_and_the_environment_over_the_default() {
    let env = [
        ("PGHOST", "envhost"),
        ("PGPORT", "7"),
        ("PGUSER", "envuser"),
        ("PGDATABASE", "envdb"),
        ("PGPASSWORD", "envpass"),
        ("PGAPPNAME", "envapp"),
        ("PGSSLMODE", "disable"),
        ("PGCONNECT_TIMEOUT", "3"),
        ("PGOPTIONS", "-c geqo=off"),
        ("PGTARGETSESSIONATTRS", "read-only"),
        ("PGCHANNELBINDING", "disable"),
    ];
    let from_env = parse_in("", &env).expect("the environment is valid");
    assert_eq!(from_env.host_label(), "envhost:7");
    assert_eq!(from_env.user(), "envuser");
    assert_eq!(from_env.database(), "envdb");
    assert_eq!(from_env.password.as_deref(), Some("envpass"));
    assert_eq!(from_env.application_name(), "envapp");
    assert_eq!(from_env.ssl_mode(), SslMode::Disable);
    assert_eq!(from_env.connect_timeout, Some(Duration::from_secs(3)));
    assert_eq!(from_env.base.get_options(), Some("-c geqo=off"));
    assert_eq!(from_env.base.get_target_session_attrs(), TargetSessionAttrs::ReadOnly);
    assert_eq!(from_env.base.get_channel_binding(), ChannelBinding::Disable);

    let given = parse_in("postgres://u:p@h:1/d?sslmode=require&application_name=a", &env).expect("valid");
    assert_eq!(given.host_label(), "h:1");
    assert_eq!(given.user(), "u");
    assert_eq!(given.database(), "d");
    assert_eq!(given.password.as_deref(), Some("p"));
    assert_eq!(given.application_name(), "a");
    assert_eq!(given.ssl_mode(), SslMode::Require);

    let empty = parse_in("user=u", &[("PGHOST", ""), ("PGSSLMODE", "")]).expect("empty variables are none");
    assert_eq!(empty.host_label(), "localhost:5432");
}

#[test]
fn sslmode_follows_libpq() {
    let table = [
        ("", SslMode::Prefer),
        ("sslmode=disable", SslMode::Disable),
        ("sslmode=allow", SslMode::Allow),
        ("sslmode=prefer", SslMode::Prefer),
        ("sslmode=require", SslMode::Require),
        ("sslmode=verify-ca", SslMode::VerifyCa),
        ("sslmode=verify-full", SslMode::VerifyFull),
        ("sslrootcert=system", SslMode::VerifyFull),
        ("sslrootcert=/some/file", SslMode::Prefer),
    ];
    for (text, mode) in table {
        assert_eq!(parse(text).ssl_mode(), mode, "{text}");
    }
    assert_eq!(parse("postgres://h/d?ssl=true").ssl_mode(), SslMode::Require);
}

#[test]
fn what_is_wrong_is_said_with_what_is_allowed() {
    let table = [
        ("mysql://h/d", "scheme is `mysql`, expected `postgres://` or `postgresql://`"),
        ("app", "expected a URL `postgres://user:password@host:port/database`, or `name=value` pairs"),
        ("host='h", "closing quote"),
        ("postgres://u@[::1/d", "closing ]"),
        ("postgres://u@[::1]x/d", "after the ] of an IPv6 address only :port may follow"),
        ("postgres://u%4@h/d", "write %25 for a %"),
        ("postgres://u%00@h/d", "%00 is not allowed"),
        ("postgres://u%ff@h/d", "not UTF-8"),
        ("postgres://h/d?x", "a parameter after the ? has no ="),
        (
            "postgres://h/d?pool_size=4",
            "unknown connection parameter `pool_size`; known are: application_name, ",
        ),
        (
            "host=a,b port=1,2,3",
            "`1,2,3` is not a value of the connection parameter `port`: expected one port",
        ),
        ("host=a,b hostaddr=::1", "as many addresses as there are hosts, 2"),
        (
            "hostaddr=db.example",
            "`db.example` is not a value of the connection parameter `hostaddr`: expected a numeric",
        ),
        ("port=0", "a port number from 1 to 65535"),
        ("port=65536", "a port number from 1 to 65535"),
        ("sslmode=on", "one of `disable`, `allow`, `prefer`, `require`, `verify-ca`, `verify-full`"),
        ("sslmode=require sslrootcert=system", "expected `verify-full` with sslrootcert=system"),
        (
            "sslnegotiation=direct",
            "expected `require`, `verify-ca` or `verify-full` with sslnegotiation=direct",
        ),
        (
            "connect_timeout=5s",
            "`5s` is not a value of the connection parameter `connect_timeout`: expected a number",
        ),
        ("pool_max_conns=0", "a number of connections from 1 to "),
        ("pgmill_mode=fast", "one of `direct`, `pooler`"),
        (
            "pgmill_listen=:5432",
            "`:5432` is not a value of the connection parameter `pgmill_listen`: expected host:port",
        ),
        ("pgmill_listen=db:0", "port number from 1 to 65535"),
        ("target_session_attrs=standby", "one of `any`, `read-write`, `primary`, `read-only`"),
        ("gssencmode=require", "one of `disable`, `prefer`"),
        ("client_encoding=LATIN1", "one of `UTF8`"),
    ];
    for (text, expected) in table {
        let message = refusal(text);
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn one_listens_to_the_server_itself_and_not_to_a_pooler_in_transaction_mode() {
    let direct = parse("user=u host=db").listening().expect("the server");
    assert_eq!(direct.host_label(), "db:5432");
    assert!(parse("user=u host=bouncer pgmill_mode=pooler").listening().is_none());
    let options = parse(
        "user=u host=bouncer port=6432 dbname=d password=p application_name=a pgmill_mode=pooler \
         pgmill_listen=db1,[::1]:5433,/run/postgresql",
    );
    assert_eq!(options.host_label(), "bouncer:6432");
    let listening = options.listening().expect("the server");
    assert_eq!(listening.host_label(), "db1:5432,[::1]:5433,/run/postgresql:5432");
    assert_eq!((listening.user(), listening.database(), listening.application_name()), ("u", "d", "a"));
    assert_eq!(listening.password.as_deref(), Some("p"));
    assert!(!listening.is_pooler());
}

#[test]
fn a_wrong_variable_of_the_environment_is_named() {
    let error = parse_in("", &[("PGSSLMODE", "on")]).expect_err("on is no mode");
    assert!(error.to_string().contains("connection parameter `PGSSLMODE`"), "{error}");
}

#[test]
fn the_password_is_never_shown() {
    for text in ["postgres://u:s3cret@h/d", "host=h password=s3cret user=u"] {
        let options = parse(text);
        let shown = format!("{options:?} {options:#?} {}", options.host_label());
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

#[test]
fn a_password_that_was_not_encoded_is_not_quoted_in_the_error() {
    let table = [
        "postgres://u:s3/cret@h/d",
        "postgres://u:s3?cret@h/d",
        "postgres://u:33/cret@h/d",
        "postgres://u:33?cret@h/d?a=b",
        "postgres://u:s3%cret@h/d",
        "password=s3 cret host=h",
        "password=s3 $cret=x",
        "password='s3cret",
    ];
    for text in table {
        let message = refusal(text);
        assert!(
            !message.contains("s3") && !message.contains("cret@") && !message.contains("$cret"),
            "{text}: {message}"
        );
        assert!(!message.contains("`cret`"), "{text}: {message}");
    }
}

#[test]
fn builders_replace_what_was_parsed() {
    let ten = std::num::NonZeroUsize::new(10).expect("not zero");
    let options =
        parse("user=u pool_max_conns=3").with_application_name("x").with_pool_size(ten).with_pooler(true);
    assert_eq!(options.application_name(), "x");
    assert_eq!(options.base.get_application_name(), Some("x"));
    assert_eq!(options.pool_size(), 10);
    assert!(options.is_pooler());
}

struct PasswordFile {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl PasswordFile {
    fn new(text: &str, mode: u32) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join(".pgpass");
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("permissions set");
        Self { _directory: directory, path }
    }
}

fn tcp(name: &str, port: u16) -> Host {
    Host { place: Place::Tcp { name: name.to_owned(), address: None }, port }
}

fn socket(directory: &str) -> Host {
    Host { place: Place::Socket(PathBuf::from(directory)), port: 5432 }
}

#[test]
fn the_first_matching_line_of_the_password_file_counts() {
    let table: &[(&str, Host, Option<&str>)] = &[
        ("h:5432:d:u:pw", tcp("h", 5432), Some("pw")),
        ("h:5433:d:u:pw", tcp("h", 5432), None),
        ("g:5432:d:u:pw", tcp("h", 5432), None),
        ("h:5432:e:u:pw", tcp("h", 5432), None),
        ("h:5432:d:v:pw", tcp("h", 5432), None),
        ("*:*:*:*:pw", tcp("h", 5432), Some("pw")),
        ("h:*:*:u:first\nh:5432:d:u:second", tcp("h", 5432), Some("first")),
        ("# h:*:*:u:comment\n\nh:*:*:u:pw\n", tcp("h", 5432), Some("pw")),
        (r"h:*:*:u:a\:b\\c", tcp("h", 5432), Some(r"a:b\c")),
        ("h:*:*:u:a:ignored", tcp("h", 5432), Some("a")),
        (r"\:\:1:*:*:u:pw", tcp("::1", 5432), Some("pw")),
        (r"\*:*:*:*:pw", tcp("h", 5432), None),
        ("h:*:*:u:", tcp("h", 5432), None),
        ("h:5432:d:u", tcp("h", 5432), None),
        ("localhost:*:*:u:pw", socket("/var/run/postgresql"), Some("pw")),
        ("localhost:*:*:u:pw", socket("/srv/pg"), None),
        ("/srv/pg:*:*:u:pw", socket("/srv/pg"), Some("pw")),
        ("h:*:*:u:pw\r\n", tcp("h", 5432), Some("pw")),
    ];
    for (text, host, password) in table {
        let file = PasswordFile::new(text, 0o600);
        let expected = password.map_or(Lookup::NoEntry, |password| Lookup::Found(password.to_owned()));
        assert_eq!(passfile::look_up(&file.path, host, "d", "u"), expected, "{text}");
    }
}

#[test]
fn a_password_file_that_others_can_read_is_ignored_with_a_reason() {
    for mode in [0o640, 0o604, 0o660] {
        let file = PasswordFile::new("*:*:*:*:pw", mode);
        match passfile::look_up(&file.path, &tcp("h", 5432), "d", "u") {
            Lookup::Ignored(reason) => assert!(reason.contains("chmod 0600"), "{reason}"),
            other => panic!("mode {mode:o}: {other:?}"),
        }
    }
}

#[test]
fn the_password_file_is_where_the_parameter_the_variable_or_the_home_says() {
    let home = ("HOME", "/home/u");
    let path = |text, env: &[_]| parse_in(text, env).expect("valid").passfile;
    assert_eq!(path("", &[home]), Some(PathBuf::from("/home/u/.pgpass")));
    assert_eq!(path("", &[home, ("PGPASSFILE", "/env")]), Some(PathBuf::from("/env")));
    assert_eq!(path("passfile=/given", &[home, ("PGPASSFILE", "/env")]), Some(PathBuf::from("/given")));
}
