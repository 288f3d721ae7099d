//! The signals that ask the program to end.

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::output;

/// How the program is asked to end, and how urgently.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shutdown {
    /// Cancelled by the first SIGINT or SIGTERM: finish what is under way.
    pub(crate) stop: CancellationToken,
    /// Cancelled by the second: give it up.
    pub(crate) now: CancellationToken,
}

/// Waits until the program is asked to end. From its first call on, SIGINT and SIGTERM no longer end it by themselves.
pub(crate) async fn asked() -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

impl Shutdown {
    /// From here on, SIGINT and SIGTERM no longer end the program by themselves.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let shutdown = Self::default();
        let Self { stop, now } = shutdown.clone();
        tokio::spawn(async move {
            for (token, remark) in [(stop, "stopping; a second signal ends it at once"), (now, "ending now")]
            {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                output::note(&format!("pgmill: {remark}"));
                token.cancel();
            }
        });
        Ok(shutdown)
    }
}
