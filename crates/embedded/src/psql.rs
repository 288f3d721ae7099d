//! Creates the database of a handle, which also proves that its port and password work.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use crate::EmbeddedError;
use crate::account::own_command;
use crate::cluster::USER;

/// Two programs may come here at once, for the same database: the loser finds it created.
const CREATE_WHEN_MISSING: &str = "\
select format('create database %I', :'name')
where not exists (select from pg_catalog.pg_database where datname = :'name') \\gexec
";

pub(crate) fn ensure_database(
    psql: &Path,
    port: u16,
    password: &str,
    database: &str,
) -> Result<(), EmbeddedError> {
    let mut child = own_command(psql)
        .args(["-X", "-q", "-w", "-h", "127.0.0.1", "-U", USER, "-d", "postgres", "-f", "-"])
        .args(["-v", "ON_ERROR_STOP=1", "-v", &format!("name={database}"), "-p", &port.to_string()])
        // Not an argument: those are visible to every user of the machine.
        .env("PGPASSWORD", password)
        .env("PGSSLMODE", "disable")
        .env("PGCONNECT_TIMEOUT", "30")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(EmbeddedError::io("run", psql))?;
    if let Some(mut input) = child.stdin.take() {
        // A psql that could not connect has closed its end, and says why below.
        let _ = input.write_all(CREATE_WHEN_MISSING.as_bytes());
    }
    let output = child.wait_with_output().map_err(EmbeddedError::io("run", psql))?;
    if output.status.success() {
        return Ok(());
    }
    let output = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(EmbeddedError::Database { port, database: database.to_owned(), output })
}

/// PostgreSQL cuts a longer name silently, and then another database would be meant.
pub(crate) fn check_name(database: &str) -> Result<(), EmbeddedError> {
    let usable = !database.is_empty() && database.len() <= 63 && !database.contains(['\0', '\n', '\r']);
    if usable {
        return Ok(());
    }
    Err(EmbeddedError::Invalid {
        what: format!("the database name {database:?}"),
        reason: "a name has 1 to 63 bytes and no line breaks".to_owned(),
    })
}
