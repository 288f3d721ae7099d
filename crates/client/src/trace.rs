//! What a program is told of requests and answers, to show them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::Error;

/// One step of an exchange with the server, as [`ClientBuilder::trace`](crate::ClientBuilder::trace) hands it out.
///
/// Values of headers that prove who is asking are replaced by `***`. A request that is repeated is told each time.
#[derive(Debug)]
#[non_exhaustive]
pub enum TraceEvent<'a> {
    /// A request is about to be sent.
    #[non_exhaustive]
    Request {
        /// `GET`, `PUT` …
        method: &'a str,
        /// The whole address, without a password.
        url: &'a str,
        /// The headers that the client sets. Those of the connection (`Host`, `Content-Length`) are added after it.
        headers: &'a [(String, String)],
        /// The body, if there is one.
        body: Option<&'a str>,
    },
    /// The head of an answer is there; the body may still be on its way.
    #[non_exhaustive]
    Response {
        /// The status with its text, such as `404 Not Found`.
        status: &'a str,
        /// The headers.
        headers: &'a [(String, String)],
        /// The time since the request.
        took: Duration,
    },
    /// There was no answer.
    #[non_exhaustive]
    Failed {
        /// Why.
        error: &'a Error,
        /// The time since the request.
        took: Duration,
    },
}

/// The function that is told.
#[derive(Clone)]
pub(crate) struct Trace(Arc<dyn Fn(&TraceEvent<'_>) + Send + Sync>);

impl Trace {
    pub(crate) fn new(hook: impl Fn(&TraceEvent<'_>) + Send + Sync + 'static) -> Trace {
        Trace(Arc::new(hook))
    }

    pub(crate) fn tell(&self, event: &TraceEvent<'_>) {
        (self.0)(event);
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trace(…)")
    }
}

/// Headers as text, those with secrets without them.
pub(crate) fn shown(headers: &reqwest::header::HeaderMap) -> Vec<(String, String)> {
    let shown = headers.iter().map(|(name, value)| {
        let value =
            if value.is_sensitive() { "***".into() } else { String::from_utf8_lossy(value.as_bytes()) };
        (name.to_string(), value.into_owned())
    });
    shown.collect()
}
