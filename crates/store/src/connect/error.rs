//! What can go wrong on the way to a connection, said so that the reader knows what to change.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use tokio_postgres::error::SqlState;

use super::parameters;

/// Why there is no connection.
///
/// No variant ever contains a password. Errors of parsing and of files are final; whether trying again may help is
/// answered by [`is_transient`](Self::is_transient).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The connection string is neither a URL nor a list of `name=value`.
    #[error("malformed connection string: {reason}")]
    Malformed {
        /// What is wrong, without quoting the string: it may hold a password.
        reason: String,
    },

    /// A parameter that neither PostgreSQL nor pgmill has.
    #[error("unknown connection parameter {name}; known are: {}", parameters::known_names())]
    UnknownParameter {
        /// The name as it was given, or a placeholder if it does not look like a name.
        name: String,
    },

    /// A parameter with a value it cannot have.
    #[error("`{value}` is not a value of the connection parameter `{name}`: expected {expected}")]
    InvalidValue {
        /// The name of the parameter, or of the environment variable it was read from.
        name: String,
        /// The value as it was given.
        value: String,
        /// The values it may have.
        expected: String,
    },

    /// A file that a parameter names cannot be read.
    #[error("cannot read the {what} {}", path.display())]
    Unreadable {
        /// What the file is for.
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
        /// The reason given by the operating system.
        source: io::Error,
    },

    /// A certificate or key was read, but cannot be used.
    #[error("cannot use the {what}: {reason}")]
    Certificate {
        /// What was read, and from where.
        what: String,
        /// Why it is of no use.
        reason: String,
    },

    /// `sslmode=verify-ca` or `verify-full` without a certificate to verify against.
    #[error(
        "sslmode={sslmode} needs root certificates, and the file {} does not exist: \
         name the server's CA with sslrootcert=FILE, or trust the system's certificates with sslrootcert=system",
        path.display()
    )]
    RootCertificateMissing {
        /// The mode that asks for verification.
        sslmode: &'static str,
        /// The file that was looked for.
        path: PathBuf,
    },

    /// No server could be reached, or the one that was reached said no.
    #[error(transparent)]
    Failed(Box<ConnectFailure>),
}

impl ConnectError {
    /// Whether the same attempt may succeed later without anybody changing the configuration: the server is down,
    /// starting, out of connections, or the network is.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Failed(failure) if failure.transient)
    }

    /// The SQLSTATE of the server's refusal, if it was the server that refused.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Failed(failure) => failure.sqlstate(),
            _ => None,
        }
    }

    /// Finds the `ConnectError` in an error of a pool made by [`ConnectOptions::pool`](super::ConnectOptions::pool).
    ///
    /// The pool can report nothing but the driver's own error type; what is known about a failed attempt to connect
    /// travels inside it.
    pub fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            // The source of an io::Error is the source of what it wraps, so a plain walk would step over it.
            if let Some(found) = error
                .downcast_ref::<io::Error>()
                .and_then(io::Error::get_ref)
                .and_then(|inner| inner.downcast_ref())
            {
                return Some(found);
            }
            next = error.source();
        }
        None
    }

    pub(super) fn malformed(reason: impl Into<String>) -> Self {
        Self::Malformed { reason: reason.into() }
    }

    pub(super) fn invalid(name: &str, value: &str, expected: &str) -> Self {
        Self::InvalidValue { name: name.to_owned(), value: value.to_owned(), expected: expected.to_owned() }
    }
}

/// The details of a [`ConnectError::Failed`]: where it was tried, as whom, and what the likely cause is.
#[derive(Debug)]
pub struct ConnectFailure {
    pub(super) target: String,
    pub(super) database: String,
    pub(super) user: String,
    pub(super) hint: Option<String>,
    pub(super) others: Vec<String>,
    pub(super) transient: bool,
    pub(super) cause: Cause,
}

impl ConnectFailure {
    /// The host and port of the attempt that decided, as shown to people.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The database that was asked for.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The role that asked.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// What to look at first, if there is a likely cause.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    fn sqlstate(&self) -> Option<&str> {
        match &self.cause {
            Cause::Driver(error) => error.code().map(SqlState::code),
            Cause::Io(_) | Cause::TimedOut(_) => None,
        }
    }
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, database, user, cause, .. } = self;
        write!(
            f,
            "cannot connect to PostgreSQL at {target} (database `{database}`, user `{user}`): {cause}"
        )?;
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        if !self.others.is_empty() {
            write!(f, " (also tried: {})", self.others.join("; "))?;
        }
        Ok(())
    }
}

impl Error for ConnectFailure {}

/// What ended one attempt.
#[derive(Debug)]
pub(super) enum Cause {
    /// The driver gave up: socket, TLS, protocol, or a refusal by the server.
    Driver(tokio_postgres::Error),
    /// The host name could not be resolved.
    Io(io::Error),
    /// Nothing was decided within `connect_timeout`.
    TimedOut(std::time::Duration),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Driver(error) => match (error.as_db_error(), error.source()) {
                (Some(refusal), _) => write!(f, "{}: {}", refusal.severity(), refusal.message()),
                (None, Some(source)) => write!(f, "{source}"),
                (None, None) => write!(f, "{error}"),
            },
            Self::Io(error) => write!(f, "{error}"),
            Self::TimedOut(after) => write!(f, "no answer within {} s", after.as_secs_f32()),
        }
    }
}
