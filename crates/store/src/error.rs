//! What a statement can end with, sorted by what the caller may conclude from it.

use std::error::Error as StdError;
use std::fmt;

use tokio_postgres::error::{DbError, SqlState};

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
        let fatal = matches!(report.severity(), "FATAL" | "PANIC");
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
        match &self.sqlstate {
            Some(code) => write!(f, " (SQLSTATE {code})"),
            None => Ok(()),
        }
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
