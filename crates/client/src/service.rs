//! What the server tells of itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::{Client, Error};

/// How the server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Health {
    /// `ok`, or `unavailable`.
    pub status: String,
    /// What was looked at, by name: `server`, `database`, `migrations` and `listener`, and some of the checks of `pgmill doctor`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub checks: BTreeMap<String, Check>,
}

/// One thing that a server needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Check {
    /// `ok`, or what is wrong in a word.
    pub status: String,
    /// What is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Health {
    /// Whether all is well.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.status == "ok"
    }
}

impl Client {
    /// Whether the server is up. Repeated after transient failures.
    ///
    /// # Errors
    ///
    /// [`Error`], as with every method.
    pub async fn health_live(&self) -> Result<Health, Error> {
        self.fetch(Call::get(&["health", "live"])).await
    }

    /// Whether the server can work, and what is wrong if it cannot: that is an answer, too. Asked once.
    ///
    /// # Errors
    ///
    /// [`Error`], as with every method, if it was not the server that answered.
    pub async fn health_ready(&self) -> Result<Health, Error> {
        let call = Call::get(&["health", "ready"]);
        let error = match self.send_once(&call).await {
            Ok(success) => return success.decode().map_err(|error| error.asked(|| call.asked())),
            Err(error) => error.asked(|| call.asked()),
        };
        let told = error.body().filter(|_| error.status() == Some(503));
        told.and_then(|body| serde_json::from_str(body).ok()).ok_or(error)
    }

    /// The metrics of the server, as Prometheus reads them. Repeated after transient failures.
    ///
    /// # Errors
    ///
    /// [`Error`], as with every method.
    pub async fn metrics(&self) -> Result<String, Error> {
        self.fetch_text(Call::get(&["metrics"])).await
    }

    /// The description of the server's interface, as OpenAPI has it. Repeated after transient failures.
    ///
    /// # Errors
    ///
    /// [`Error`], as with every method.
    pub async fn openapi(&self) -> Result<String, Error> {
        self.fetch_text(Call::get(&["openapi.json"])).await
    }
}
