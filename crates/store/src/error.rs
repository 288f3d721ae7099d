//! What a statement can end with, sorted by what the caller may conclude from it.

use std::error::Error as StdError;
use std::fmt;

use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::connect::ConnectError;

/// Why a statement of the [`Store`](crate::Store) gave no answer.
///
/// The variants differ in what is known about the database afterwards, for that decides what may be done next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No connection was to be had. Nothing was sent, so nothing has changed.
    #[error("no connection to PostgreSQL")]
    Unavailable(#[source] DatabaseError),

    /// The connection broke, the deadline passed, or the answer could not be read, while the statement was under way: it
    /// may or may not have been committed.
    #[error("the answer of PostgreSQL was lost while a statement was under way")]
    Lost(#[source] DatabaseError),

    /// The server refused the data of a row (SQLSTATE classes 22, 23 and 54). Nothing has changed.
    #[error("PostgreSQL refused the data")]
    Refused(#[source] DatabaseError),

    /// The statement lost against others: a serialization failure, a deadlock, a lock not had in time, or a statement
    /// timeout. Nothing has changed, and the same statement may succeed next time.
    #[error("the statement was in the way of others")]
    Contended(#[source] DatabaseError),

    /// A history table has no partition for the current day. Nothing has changed;
    /// [`Store::ensure_partitions`](crate::Store::ensure_partitions) makes it.
    #[error("a history table has no partition for today")]
    PartitionMissing(#[source] DatabaseError),

    /// Anything else that the server reported. Nothing has changed.
    #[error("PostgreSQL reported an error")]
    Database(#[source] DatabaseError),
}

impl StoreError {
    /// Whether trying again later may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable(cause) => cause.transient,
            Self::Lost(_) | Self::Contended(_) | Self::PartitionMissing(_) => true,
            Self::Refused(_) => false,
            // Insufficient resources (disk full, too many connections), operator intervention, cannot connect now.
            Self::Database(cause) => {
                cause.sqlstate().is_some_and(|code| code.starts_with("53") || code.starts_with("57P"))
            }
        }
    }

    /// The five characters of PostgreSQL's error code, if the server reported the error.
    pub fn sqlstate(&self) -> Option<&str> {
        self.cause().sqlstate()
    }

    /// The constraint that a refused row violates.
    pub fn constraint(&self) -> Option<&str> {
        self.cause().constraint.as_deref()
    }

    pub(crate) fn deadline() -> Self {
        Self::Lost(DatabaseError::message("no answer before the deadline; its connection was closed"))
    }

    pub(crate) fn closed() -> Self {
        Self::Unavailable(DatabaseError::message("the pool of connections is closed"))
    }

    pub(crate) fn unexpected(what: impl Into<String>) -> Self {
        Self::Database(DatabaseError::message(what))
    }

    /// The same error, met while reading the answer to a statement that is committed by then.
    pub(crate) fn unread(self) -> Self {
        match self {
            Self::Database(cause) => Self::Lost(cause),
            error => error,
        }
    }

    /// Sorts an error of another driver.
    pub(crate) fn foreign(source: Box<dyn StdError + Send + Sync>, sqlstate: Option<&str>) -> Self {
        let said = DatabaseError::message(source.to_string());
        let cause = DatabaseError { sqlstate: sqlstate.map(str::to_owned), source: Some(source), ..said };
        match sqlstate {
            Some(code) => Self::reported(code, cause),
            None => Self::Lost(cause),
        }
    }

    /// An error that the server reported, by its code.
    fn reported(code: &str, cause: DatabaseError) -> Self {
        match code {
            "40001" | "40P01" | "55P03" | "57014" => Self::Contended(cause),
            code if ["22", "23", "54"].iter().any(|class| code.starts_with(class)) => Self::Refused(cause),
            _ => Self::Database(cause),
        }
    }

    fn cause(&self) -> &DatabaseError {
        match self {
            Self::Unavailable(cause)
            | Self::Lost(cause)
            | Self::Refused(cause)
            | Self::Contended(cause)
            | Self::PartitionMissing(cause)
            | Self::Database(cause) => cause,
        }
    }
}

impl From<tokio_postgres::Error> for StoreError {
    /// Sorts an error that came while a statement was under way.
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(report) = error.as_db_error() else {
            // A broken connection; or an answer that could not be read, which leaves as much in the dark.
            return Self::Lost(DatabaseError::driver(error));
        };
        let fatal = is_fatal(report);
        let code = report.code().clone();
        let missed = code == SqlState::CHECK_VIOLATION && is_missing_partition(report);
        let cause = DatabaseError::driver(error);
        match code.code() {
            _ if fatal => Self::Lost(cause),
            _ if missed => Self::PartitionMissing(cause),
            code => Self::reported(code, cause),
        }
    }
}

impl From<deadpool_postgres::PoolError> for StoreError {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        let transient = match ConnectError::find(&error) {
            Some(connect) => connect.is_transient(),
            None => !matches!(error, deadpool_postgres::PoolError::Closed),
        };
        let text = ConnectError::find(&error).map_or_else(|| error.to_string(), ToString::to_string);
        Self::Unavailable(DatabaseError { transient, ..DatabaseError::message(text) })
    }
}

/// Whether the server ended the session with it. The word for people is in the language of `lc_messages`; the other one is
/// not, and is there but from some poolers.
fn is_fatal(report: &DbError) -> bool {
    match report.parsed_severity() {
        Some(severity) => matches!(severity, Severity::Fatal | Severity::Panic),
        None => matches!(report.severity(), "FATAL" | "PANIC"),
    }
}

/// What an error mostly comes of that says little by itself.
fn hint(sqlstate: &str) -> Option<&'static str> {
    // There is no such statement, or there is already: it was prepared on one connection of a pooler, and runs on another.
    ["26000", "42P05"]
        .contains(&sqlstate)
        .then_some("is there a pooler in transaction mode in between? Then connect with pgmill_mode=pooler")
}

/// A missed partition is reported as a check violation without a constraint's name.
fn is_missing_partition(report: &DbError) -> bool {
    report.constraint().is_none()
        && report.table().is_some_and(|table| matches!(table, "task_finished" | "task_attempt" | "task_gone"))
}

/// What the server or the driver said, without the driver's types.
pub struct DatabaseError {
    message: String,
    sqlstate: Option<String>,
    constraint: Option<String>,
    transient: bool,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl DatabaseError {
    /// The five characters of PostgreSQL's error code, if the server reported the error.
    pub fn sqlstate(&self) -> Option<&str> {
        self.sqlstate.as_deref()
    }

    fn message(message: impl Into<String>) -> Self {
        Self { message: message.into(), sqlstate: None, constraint: None, transient: false, source: None }
    }

    fn driver(error: tokio_postgres::Error) -> Self {
        let report = error.as_db_error();
        Self {
            message: match (report, error.source()) {
                (Some(report), _) => report.message().to_owned(),
                (None, Some(source)) => source.to_string(),
                (None, None) => error.to_string(),
            },
            sqlstate: report.map(|report| report.code().code().to_owned()),
            constraint: report.and_then(|report| report.constraint()).map(str::to_owned),
            transient: false,
            source: Some(Box::new(error)),
        }
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let Some(code) = &self.sqlstate else { return Ok(()) };
        write!(f, " (SQLSTATE {code})")?;
        hint(code).map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl fmt::Debug for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseError")
            .field("message", &self.message)
            .field("sqlstate", &self.sqlstate)
            .finish_non_exhaustive()
    }
}

impl StdError for DatabaseError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().and_then(|source| source.source())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio_postgres::{Config, NoTls};

    use super::*;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[tag][..], &length.to_be_bytes(), body].concat()
    }

    /// The error of a statement that a server answers with this report: fields, each with its letter.
    async fn reported(fields: &[(u8, &str)]) -> StoreError {
        let (ours, mut theirs) = duplex(4096);
        let report =
            fields.iter().flat_map(|(letter, text)| [&[*letter][..], text.as_bytes(), b"\0"].concat());
        let report = message(b'E', &report.chain([0]).collect::<Vec<u8>>());
        tokio::spawn(async move {
            let mut asked = [0; 4096];
            assert!(theirs.read(&mut asked).await.unwrap() > 0, "to be let in");
            let welcome = [message(b'R', &[0; 4]), message(b'Z', b"I")].concat();
            theirs.write_all(&welcome).await.unwrap();
            assert!(theirs.read(&mut asked).await.unwrap() > 0, "a statement");
            theirs.write_all(&[report, message(b'Z', b"I")].concat()).await.unwrap();
        });
        let (client, connection) = Config::new().user("app").connect_raw(ours, NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute("SELECT 1").await.unwrap_err().into()
    }

    #[tokio::test]
    async fn an_end_of_the_session_is_one_in_every_language() {
        let said = |word| [(b'S', word), (b'V', "FATAL"), (b'C', "57P01"), (b'M', "…")];
        for word in ["FATAL", "ВАЖНО", "致命错误"] {
            let error = reported(&said(word)).await;
            assert!(matches!(error, StoreError::Lost(_)), "{word}: {error:?}");
        }
        let error = reported(&[(b'S', "FATAL"), (b'C', "08P01"), (b'M', "as a pooler says it")]).await;
        assert!(matches!(error, StoreError::Lost(_)), "{error:?}");
        let error = reported(&[(b'S', "FATAL"), (b'V', "ERROR"), (b'C', "57014"), (b'M', "…")]).await;
        assert!(matches!(error, StoreError::Contended(_)), "the word for people does not count: {error:?}");
    }

    #[tokio::test]
    async fn a_statement_that_a_pooler_has_elsewhere_tells_what_to_do() {
        for (code, text) in [("26000", "\"s1\" does not exist"), ("42P05", "\"s1\" already exists")] {
            let text = format!("prepared statement {text}");
            let error = reported(&[(b'S', "ERROR"), (b'V', "ERROR"), (b'C', code), (b'M', &text)]).await;
            let told = error.source().unwrap().to_string();
            assert!(told.starts_with(&format!("{text} (SQLSTATE {code}); is there a pooler")), "{told}");
            assert!(told.ends_with("connect with pgmill_mode=pooler"), "{told}");
        }
    }
}
