//! What can go wrong with a request, as one type with questions to ask it.

use std::fmt;
use std::io;
use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;

/// Of a body that is not the server's own, this many characters are shown.
const SHOWN: usize = 200;

/// A request that did not end as it should.
///
/// What it is, the methods tell. Its text says what was asked and what came back, and never holds a token.
pub struct Error(Box<Inner>);

struct Inner {
    /// Method and path, if a request was made up.
    asked: Option<String>,
    kind: Kind,
}

enum Kind {
    Invalid(String),
    Unreached {
        /// Host and port.
        server: Option<String>,
        error: reqwest::Error,
    },
    TimedOut,
    Broken(Option<reqwest::Error>, &'static str),
    Refused(Answer),
    Undecodable {
        status: StatusCode,
        body: String,
        reason: String,
    },
}

/// What the server answered instead of success.
struct Answer {
    status: StatusCode,
    body: String,
    told: Told,
    retry_after: Option<Duration>,
}

/// The error body of the contract. All of it may be missing: a proxy may have answered.
#[derive(Default, Deserialize)]
struct Told {
    reason: Option<String>,
    error: Option<String>,
    request_id: Option<String>,
}

impl Error {
    /// A request that was not sent, for it could not be right.
    pub(crate) fn invalid(reason: impl Into<String>) -> Error {
        Error::of(Kind::Invalid(reason.into()))
    }

    /// What reqwest tells of an exchange. Its text names the URL, which may hold a password, so of that only
    /// host and port are kept.
    pub(crate) fn transport(error: reqwest::Error) -> Error {
        let server = error.url().and_then(server);
        let error = error.without_url();
        Error::of(if error.is_connect() {
            Kind::Unreached { server, error }
        } else if error.is_timeout() {
            Kind::TimedOut
        } else if error.is_builder() {
            Kind::Invalid(chain(&error))
        } else {
            Kind::Broken(Some(error), "the connection broke before the answer was complete")
        })
    }

    pub(crate) fn timed_out() -> Error {
        Error::of(Kind::TimedOut)
    }

    /// A stream that cannot be read on.
    pub(crate) fn broken(what: &'static str) -> Error {
        Error::of(Kind::Broken(None, what))
    }

    pub(crate) fn answer(status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> Error {
        let told = serde_json::from_slice(body).unwrap_or_default();
        let body = String::from_utf8_lossy(body).into_owned();
        Error::of(Kind::Refused(Answer { status, body, told, retry_after }))
    }

    pub(crate) fn undecodable(status: StatusCode, body: &[u8], reason: impl fmt::Display) -> Error {
        let body = String::from_utf8_lossy(body).into_owned();
        Error::of(Kind::Undecodable { status, body, reason: reason.to_string() })
    }

    fn of(kind: Kind) -> Error {
        Error(Box::new(Inner { asked: None, kind }))
    }

    /// Adds what was asked.
    pub(crate) fn asked(mut self, asked: impl FnOnce() -> String) -> Error {
        self.0.asked.get_or_insert_with(asked);
        self
    }

    /// The same without what came back.
    pub(crate) fn without_body(mut self) -> Error {
        if let Kind::Undecodable { body, reason, .. } = &mut self.0.kind {
            body.clear();
            "it is not what it should be".clone_into(reason);
        }
        self
    }

    fn refused(&self) -> Option<&Answer> {
        match &self.0.kind {
            Kind::Refused(answer) => Some(answer),
            _ => None,
        }
    }

    fn has_status(&self, status: StatusCode) -> bool {
        self.refused().is_some_and(|answer| answer.status == status)
    }

    /// The status of the answer, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match &self.0.kind {
            Kind::Refused(Answer { status, .. }) | Kind::Undecodable { status, .. } => Some(status.as_u16()),
            _ => None,
        }
    }

    /// The status with its usual text, as in `404 Not Found`, if there was an answer.
    #[must_use]
    pub fn status_line(&self) -> Option<String> {
        let status = StatusCode::from_u16(self.status()?).ok()?;
        Some(status_line(status))
    }

    /// The stable name of the error that the server gave, such as `queue_not_found`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.refused()?.told.error.as_deref()
    }

    /// The server's own words, such as `Not Found: not found`.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.refused()?.told.reason.as_deref()
    }

    /// Under what id the server logged the cause, where it answered a 5xx.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.refused()?.told.request_id.as_deref()
    }

    /// The body of the answer as it came, if there was one.
    #[must_use]
    pub fn body(&self) -> Option<&str> {
        match &self.0.kind {
            Kind::Refused(Answer { body, .. }) | Kind::Undecodable { body, .. } => Some(body),
            _ => None,
        }
    }

    /// How long the server asks to wait before the next try.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.refused()?.retry_after
    }

    /// Whether what was asked for is not there (404).
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.has_status(StatusCode::NOT_FOUND)
    }

    /// Whether it is in the way of something that is there (409): a name is taken, a task has ended, a lease is stale.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.has_status(StatusCode::CONFLICT)
    }

    /// Whether a token is missing or not known (401).
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        self.has_status(StatusCode::UNAUTHORIZED)
    }

    /// Whether the token does not allow it (403).
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.has_status(StatusCode::FORBIDDEN)
    }

    /// Whether the attempt that a lease stands for is over: somebody else has the task by now, or had it.
    #[must_use]
    pub fn is_lease_stale(&self) -> bool {
        self.code() == Some("lease_stale")
    }

    /// Whether the server did not answer in time. What was asked may have happened.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        match &self.0.kind {
            Kind::TimedOut => true,
            Kind::Unreached { error, .. } => error.is_timeout(),
            _ => false,
        }
    }

    /// Whether there was no connection to the server, so that nothing was asked.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        matches!(self.0.kind, Kind::Unreached { .. })
    }

    /// Whether there was no connection because the certificate of the server is not one to trust: its authority is not
    /// known, it is for another name, or not for this time.
    #[must_use]
    pub fn is_certificate(&self) -> bool {
        let Kind::Unreached { error, .. } = &self.0.kind else { return false };
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(cause) = next {
            if let Some(error) = cause.downcast_ref::<rustls::Error>() {
                return matches!(error, rustls::Error::InvalidCertificate(_));
            }
            // An I/O error names the source of what it wraps as its own, and so passes over that itself.
            next = match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
                Some(wrapped) => Some(wrapped),
                None => cause.source(),
            };
        }
        false
    }

    /// Whether the request was not sent, because it or the settings of the client cannot be right.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        matches!(self.0.kind, Kind::Invalid(_))
    }

    /// Whether the answer was a success and yet could not be understood.
    #[must_use]
    pub fn is_decode(&self) -> bool {
        matches!(self.0.kind, Kind::Undecodable { .. })
    }

    /// Whether the same request may succeed later: no connection, a connection that broke, no answer in time, or one
    /// of 429, 502, 503 and 504. Whether it is safe to repeat is another question, see
    /// [`is_outcome_unknown`](Error::is_outcome_unknown).
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match &self.0.kind {
            Kind::Unreached { .. } | Kind::TimedOut | Kind::Broken(..) => true,
            Kind::Refused(answer) => matches!(answer.status.as_u16(), 429 | 502 | 503 | 504),
            Kind::Invalid(_) | Kind::Undecodable { .. } => false,
        }
    }

    /// Whether what was asked may have happened all the same.
    #[must_use]
    pub fn is_outcome_unknown(&self) -> bool {
        match &self.0.kind {
            Kind::TimedOut | Kind::Broken(..) | Kind::Undecodable { .. } => true,
            // The server says `unavailable` only where it did nothing; whoever else answers 503 says nothing of the kind.
            Kind::Refused(answer) => {
                answer.status.is_server_error() && answer.told.error.as_deref() != Some("unavailable")
            }
            Kind::Unreached { .. } | Kind::Invalid(_) => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(asked) = &self.0.asked {
            write!(f, "{asked}: ")?;
        }
        match &self.0.kind {
            Kind::Invalid(reason) => f.write_str(reason),
            Kind::Unreached { server, error } => {
                let server = server.as_deref().unwrap_or("the server");
                write!(f, "cannot connect to {server}: {}", chain(error))
            }
            Kind::TimedOut => f.write_str("no answer in time"),
            Kind::Broken(Some(error), what) => write!(f, "{what}: {}", chain(error)),
            Kind::Broken(None, what) => f.write_str(what),
            Kind::Undecodable { status, reason, .. } => {
                write!(f, "{}, but the answer cannot be read: {reason}", status_line(*status))
            }
            Kind::Refused(answer) => answer.fmt(f),
        }
    }
}

impl fmt::Debug for Error {
    /// As its text: a whole body would flood a log, and may be nobody's business there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({self})")
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status.as_u16())?;
        match &self.told.reason {
            Some(reason) => write!(f, " {reason}")?,
            None => {
                let status = self.status.canonical_reason().unwrap_or("");
                let body: String = self.body.trim().chars().take(SHOWN).collect();
                write!(f, " {status}: {body}")?;
            }
        }
        if let Some(code) = &self.told.error {
            write!(f, " ({code})")?;
        }
        match &self.told.request_id {
            Some(id) => write!(f, " [request {id}]"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

pub(crate) fn status_line(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

/// Host and port of a URL.
fn server(url: &reqwest::Url) -> Option<String> {
    Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
}

/// An error with its causes, since that of reqwest alone says next to nothing.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
