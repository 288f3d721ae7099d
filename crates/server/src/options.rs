//! What a router is told about itself.

use pgmill::Namespace;

use crate::auth::{RateLimit, Served};
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
    auth: bool,
    served: Served,
    rate: Option<RateLimit>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            prefix: DEFAULT_PREFIX.to_owned(),
            max_body: DEFAULT_MAX_BODY,
            recorder: None,
            auth: false,
            served: Served::default(),
            rate: None,
        }
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

    /// Whether each request must carry a token, as [`rights`](crate::rights) says. Default no: whoever reaches the router may do
    /// everything.
    ///
    /// The first token is made with [`Manager::create_token`](pgmill::Manager::create_token), or `pgmill token create`.
    #[must_use]
    pub fn auth(mut self, wanted: bool) -> Self {
        self.auth = wanted;
        self
    }

    /// Requests may name one of these namespaces, beside that of the manager, by `?namespace=` or the header
    /// `Pgmill-Namespace`. Default: none; any other is refused with 403.
    #[must_use]
    pub fn namespaces(mut self, namespaces: impl IntoIterator<Item = Namespace>) -> Self {
        self.served = Served::These(namespaces.into_iter().collect());
        self
    }

    /// Requests may name any namespace, but for those that are reserved. See [`namespaces`](Self::namespaces).
    #[must_use]
    pub fn all_namespaces(mut self) -> Self {
        self.served = Served::All;
        self
    }

    /// How many requests each token may send, and each address whose requests carry none that is good. Beyond that they are
    /// answered 429 with `Retry-After`. Default: no limit.
    ///
    /// Addresses are those that the [`Server`](crate::Server) logs, or else those of the connections
    /// ([`ConnectInfo`](axum::extract::ConnectInfo)). Where the router is served without them, or behind a proxy that is not
    /// trusted, all such requests are counted together.
    #[must_use]
    pub fn rate_limit(mut self, limit: RateLimit) -> Self {
        self.rate = Some(limit);
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

    pub(crate) fn wants_tokens(&self) -> bool {
        self.auth
    }

    pub(crate) fn served(&self) -> &Served {
        &self.served
    }

    pub(crate) fn limit_of_rate(&self) -> Option<RateLimit> {
        self.rate
    }

    pub(crate) fn body_limit(&self) -> usize {
        self.max_body
    }
}
