//! What keeps the database in order while it works.
//!
//! Four jobs, each safe to run in any number of processes at once, so that there is no leader:
//!
//! - **sweep**: walks the live tasks, ends those that nobody can retain any more (past `dies_at`, or lapsed on the last
//!   attempt), and deletes those of queues that are gone;
//! - **partitions**: makes the days of the history tables ahead of time;
//! - **keys**: deletes idempotency keys whose task holds them no longer, and forgets old repetitions of an enqueue;
//! - **counts**: folds the changes that every batch appends into the counters.
//!
//! ```text
//!   run ──▶ maintain ──▶ pause max(1 s, 20 × what it took) ──┐
//!    ▲                                                       │
//!    └───────────────────────────────────────────────────────┘   until cancelled
//! ```

use std::time::Duration;

use pgmill_store::{Store, StoreError, SweepPlace};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::manager::Manager;
use crate::telemetry;

/// How many tasks one statement of the sweep looks at, and how many changes one statement folds.
const STRETCH: i32 = 10_000;
const PARTITIONS_AHEAD: i32 = 7;
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// How long maintenance rests for the time it took: it may take a twentieth.
const REST_RATIO: u32 = 20;

/// What a round of maintenance did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Maintained {
    /// Tasks past `dies_at` that were ended.
    pub expired: u64,
    /// Tasks whose lease lapsed on their last attempt, and that were ended.
    pub failed: u64,
    /// Tasks of deleted queues whose rows were removed.
    pub orphaned: u64,
    /// Partitions that were made.
    pub partitions: u32,
    /// Idempotency keys that no task held any longer.
    pub keys: u64,
    /// Changes that were folded into the counters.
    pub folded: u64,
}

impl Manager {
    /// Runs one round of maintenance, for the queues of all namespaces.
    ///
    /// # Errors
    /// The first error of the database; what was done by then stays done.
    pub async fn maintain(&self) -> Result<Maintained, StoreError> {
        let store = &self.shared.store;
        let mut done = Maintained { partitions: ensure_partitions(store).await?, ..Maintained::default() };
        let mut place = Some(SweepPlace::START);
        while let Some(from) = place {
            let swept = store.sweep(from, STRETCH).await?;
            done.expired += swept.expired;
            done.failed += swept.failed;
            done.orphaned += swept.orphaned;
            place = swept.place;
        }
        store.prune_resent().await?;
        let mut place = None;
        loop {
            let (pruned, next) = store.prune_keys(place, STRETCH).await?;
            done.keys += pruned;
            place = next;
            if place.is_none() {
                break;
            }
        }
        loop {
            let folded = store.fold_counts(STRETCH).await?;
            done.folded += folded;
            if folded < u64::from(STRETCH.unsigned_abs()) {
                return Ok(done);
            }
        }
    }

    /// Maintains the database, and makes the tasks of tickers with a target queue, until the token is cancelled, then
    /// returns within a second. An error is logged, and does not end it.
    pub async fn run(&self, shutdown: CancellationToken) {
        let rounds = async {
            let mut failing = false;
            loop {
                let started = Instant::now();
                let result = self.maintain().await;
                telemetry::job_ended("maintain", started.elapsed(), result.is_ok());
                match result {
                    Ok(done) => {
                        if failing {
                            tracing::info!("maintenance works again");
                        }
                        failing = false;
                        tracing::debug!(?done, "maintained the database");
                    }
                    // Once for each outage, not for each round of it.
                    Err(error) if !failing => {
                        failing = true;
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "maintenance fails: {error}"
                        );
                    }
                    Err(error) => {
                        tracing::debug!(error = &error as &dyn std::error::Error, "maintenance fails");
                    }
                }
                tokio::time::sleep((started.elapsed() * REST_RATIO).max(SHORTEST_PAUSE)).await;
            }
        };
        tokio::join!(shutdown.run_until_cancelled(rounds), self.fire_tickers(&shutdown));
    }
}

/// Makes the partitions of the history tables ahead of time. A lock that was not had at once is left to the next round, for
/// there are days of time, or to the next sending of whoever missed one.
pub(crate) async fn ensure_partitions(store: &Store) -> Result<u32, StoreError> {
    match store.ensure_partitions(PARTITIONS_AHEAD).await {
        Err(StoreError::Contended(_)) => Ok(0),
        made => made,
    }
}
