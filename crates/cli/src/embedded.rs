//! The embedded PostgreSQL, kept running as long as the program wants it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use pgmill_embedded::{Embedded, StopMode};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How often to look whether it still runs.
const LOOK: Duration = Duration::from_secs(1);

/// A running server.
///
/// When the program that started it ends while this one shares it, it is started again here.
#[derive(Debug)]
pub(crate) struct Server {
    embedded: Arc<Embedded>,
    wanted: CancellationToken,
    guard: JoinHandle<()>,
}

impl Server {
    /// Starts the server of this data folder, or of the default one, or joins it where it runs.
    pub(crate) async fn start(data_dir: Option<&Path>) -> anyhow::Result<Self> {
        let builder = match data_dir {
            Some(folder) => Embedded::builder().data_dir(folder),
            None => Embedded::builder(),
        };
        let embedded = Arc::new(spawn_blocking(move || builder.start()).await??);
        let wanted = CancellationToken::new();
        let guard = tokio::spawn(guard(Arc::clone(&embedded), wanted.clone()));
        Ok(Self { embedded, wanted, guard })
    }

    pub(crate) fn handle(&self) -> &Embedded {
        &self.embedded
    }

    /// Stops the server, if it was started here.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.wanted.cancel();
        self.guard.await?;
        let embedded =
            Arc::into_inner(self.embedded).ok_or_else(|| anyhow!("the embedded PostgreSQL is still used"))?;
        let stopped = spawn_blocking(move || embedded.stop(StopMode::Fast)).await?;
        stopped.context("the embedded PostgreSQL did not stop")
    }
}

async fn guard(embedded: Arc<Embedded>, wanted: CancellationToken) {
    while wanted.run_until_cancelled(sleep(LOOK)).await.is_some() {
        let embedded = Arc::clone(&embedded);
        let resumed = spawn_blocking(move || match embedded.pid() {
            Some(_) => Ok(()),
            None => {
                tracing::warn!("the embedded PostgreSQL was stopped by somebody else, and is started again");
                embedded.resume()
            }
        });
        match resumed.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!("the embedded PostgreSQL does not start again: {error}"),
            Err(error) => tracing::error!("the embedded PostgreSQL is not watched: {error}"),
        }
    }
}
