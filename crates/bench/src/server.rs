//! The PostgreSQL that is measured: the one that was named, or an embedded one.

use anyhow::Context;
use pgmill::ConnectOptions;
use pgmill_embedded::{Embedded, StopMode};
use tokio::task::spawn_blocking;

/// A server that can be connected to.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) options: ConnectOptions,
    /// The same, for other processes.
    pub(crate) url: String,
    embedded: Option<Embedded>,
}

impl Server {
    /// The server that was named, which is not connected to yet, or an embedded one, which is started: on a folder of its
    /// own, and as durable as any (`fsync` on).
    pub(crate) async fn open(url: Option<&str>) -> anyhow::Result<Self> {
        if let Some(url) = url.filter(|url| !url.is_empty()) {
            let options = ConnectOptions::parse(url)
                .context("the database named by --url or DATABASE_URL cannot be used")?;
            return Ok(Self { options, url: url.to_owned(), embedded: None });
        }
        let server = spawn_blocking(|| Embedded::builder().ephemeral().start()).await?.context(
            "the embedded PostgreSQL cannot be used; name a database with --url or DATABASE_URL instead",
        )?;
        let url = server.url();
        let options = ConnectOptions::parse(&url).context("the embedded PostgreSQL has no URL")?;
        Ok(Self { options, url, embedded: Some(server) })
    }

    pub(crate) fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    /// Stops an embedded server, which removes it.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        let Some(server) = self.embedded else { return Ok(()) };
        spawn_blocking(|| server.stop(StopMode::Fast)).await?.context("the embedded PostgreSQL did not stop")
    }
}
