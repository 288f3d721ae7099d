//! What a router is told about itself.

use crate::metrics::Recorder;

/// The prefix of the paths, where no other is given.
pub const DEFAULT_PREFIX: &str = "/api";
/// The longest body of a request in bytes, where no other length is given: 8 MiB.
pub const DEFAULT_MAX_BODY: usize = 8 << 20;

/// How a router behaves.
///
/// ```
/// use pgmill_server::Options;
///
/// let options = Options::new().prefix("v1/").max_body(1 << 20);
/// assert_eq!(options.path_prefix(), "/v1");
/// ```
#[derive(Debug, Clone)]
pub struct Options {
    prefix: String,
    max_body: usize,
    recorder: Option<Recorder>,
}

impl Default for Options {
    fn default() -> Self {
        Self { prefix: DEFAULT_PREFIX.to_owned(), max_body: DEFAULT_MAX_BODY, recorder: None }
    }
}

impl Options {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What all paths begin with. Default `/api`. A slash at its beginning is added and slashes at its end are removed, so
    /// that `v1`, `/v1` and `/v1/` are the same; an empty one is none.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        let path = prefix.trim_matches('/');
        self.prefix = if path.is_empty() { String::new() } else { format!("/{path}") };
        self
    }

    /// The longest body of a request in bytes, which is refused with 413 while it is read. Default 8 MiB.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// What the process counted is shown by `GET /metrics`, beside what the database tells. Default: only the latter.
    #[must_use]
    pub fn recorder(mut self, recorder: Recorder) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// What all paths begin with: empty, or with a slash at its beginning and none at its end.
    #[must_use]
    pub fn path_prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn shown_recorder(&self) -> Option<&Recorder> {
        self.recorder.as_ref()
    }

    pub(crate) fn body_limit(&self) -> usize {
        self.max_body
    }
}
