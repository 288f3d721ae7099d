//! The PostgreSQL that is measured: the one that was named, or an embedded one.

use anyhow::{Context, ensure};
use pgmill::ConnectOptions;
use pgmill_embedded::{Builder, Embedded, StopMode};
use tokio::task::spawn_blocking;

use crate::args::Args;

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
    pub(crate) async fn open(args: &Args) -> anyhow::Result<Self> {
        if let Some(url) = args.url.as_deref().filter(|url| !url.is_empty()) {
            ensure!(
                args.bin_dir.is_none() && args.settings.is_empty(),
                "--bin-dir and --settings are for the embedded PostgreSQL, not for the database named by --url or \
                 DATABASE_URL"
            );
            let options = ConnectOptions::parse(url)
                .context("the database named by --url or DATABASE_URL cannot be used")?;
            return Ok(Self { options, url: url.to_owned(), embedded: None });
        }
        let builder = embedded(args);
        let server = spawn_blocking(|| builder.start()).await?.context(
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

fn embedded(args: &Args) -> Builder {
    let mut builder = Embedded::builder().ephemeral();
    if let Some(folder) = &args.bin_dir {
        builder = builder.bin_dir(folder);
    }
    args.settings.iter().fold(builder, |builder, (name, value)| builder.setting(name, value))
}
