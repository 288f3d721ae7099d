//! The client: what all its methods share.

use std::sync::Arc;
use std::time::Duration;

use pgmill_schema::Namespace;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client as Http, Url};

use crate::ClientBuilder;
use crate::feed::Upkeep;
use crate::trace::Trace;

/// A client of a pgmill server: one method for each operation, and a stream where there is more than one answer.
///
/// Cloning is cheap, and clones share their connections. Calls share nothing else: they run side by side, also beside
/// streams. Dropping the future of a call gives the call up; the server may have received it.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
    pub(crate) namespace: Option<HeaderValue>,
}

/// Nothing here changes, so that nobody waits for anybody.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) http: Http,
    pub(crate) endpoint: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) timeout: Duration,
    pub(crate) retries: u32,
    pub(crate) upkeep: Upkeep,
    pub(crate) trace: Option<Trace>,
}

impl Client {
    /// Starts to set up a client of the server at this address, which ends with the prefix of its routes:
    /// `http://localhost:8080/api`.
    pub fn builder(endpoint: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(endpoint)
    }

    /// A client with the default settings.
    ///
    /// # Errors
    ///
    /// An [`Error`](crate::Error) that says what is wrong with the endpoint.
    pub fn new(endpoint: impl Into<String>) -> Result<Client, crate::Error> {
        Client::builder(endpoint).build()
    }

    /// The same client for another namespace, over the same connections.
    #[must_use]
    pub fn with_namespace(&self, namespace: &Namespace) -> Client {
        // A namespace is made of letters, digits, hyphens and underscores.
        let namespace = HeaderValue::from_str(namespace.as_str()).ok();
        Client { shared: Arc::clone(&self.shared), namespace }
    }
}
