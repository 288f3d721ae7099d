//! When PostgreSQL crashed, whoever or whatever made it: a table that each recovery empties is looked at all the time.
//!
//! The rules excuse by a crash what only a crash can undo. So it must be one that happened, and not one that was meant to. Looks
//! that take far longer than they should tell besides when the machine had too much to do, which keeps leases from being extended
//! as a fault does.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::history::{Event, Writer};
use crate::scene::Scene;

const LOOK_ALIVE: &str = include_str!("../sql/look_alive.sql");
/// How often it is looked, and how long an answer may take.
const LOOK: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(2);
/// How far apart two looks are that are told to be slow, in microseconds: they are some 55 ms apart where nothing is in the way.
const SLOW: u64 = 250_000;

/// Writes down each crash until the token is cancelled: that it came after the last look which found none. And what was slow.
pub(crate) async fn watch(scene: Arc<Scene>, history: Writer, over: CancellationToken) -> anyhow::Result<()> {
    let mut since = clock::now();
    let (mut session, mut looked) = (None, since);
    while !over.is_cancelled() {
        let asked = clock::now();
        // Without an answer it may be down, or about to be: the next look tells whether it crashed.
        if let Ok(Ok((client, crashed))) = timeout(PATIENCE, look(&scene, session.take())).await {
            if crashed {
                history.note(Event::Crashed { since });
            }
            (since, session) = (asked, Some(client));
        }
        let now = clock::now();
        if now.saturating_sub(looked) > SLOW {
            history.note(Event::Slow { since: looked });
        }
        looked = now;
        sleep(LOOK).await;
    }
    Ok(())
}

async fn look(scene: &Scene, session: Option<Client>) -> anyhow::Result<(Client, bool)> {
    let client = match session {
        Some(client) => client,
        None => scene.connect().await?,
    };
    let crashed = client.query_one(LOOK_ALIVE, &[]).await.context("no answer")?.try_get(0)?;
    Ok((client, crashed))
}
