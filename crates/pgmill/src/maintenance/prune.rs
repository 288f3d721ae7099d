//! The job `prune`: removes history that is past its retention.
//!
//! By default, what is done is kept for a day and what failed for seven. So when a day is over for what is done, one row in
//! a hundred is still wanted. Measured with 10,000,000 finished tasks in one day (2.6 GB), 99 % of them done, PostgreSQL 15
//! on two cores:
//!
//! | way | takes | WAL | what it costs others |
//! |---|---|---|---|
//! | copy the 1 %, and swap the day | 1.7 s | 30 MB | nothing to be seen |
//! | delete in chunks of 10,000 | 50 to 150 s | 10 GB | as any other writer (measured on a fifth of it) |
//! | a partition for each day and status | 40 ms | little | twice the partitions, for ever: below |
//!
//! Every statement that looks into history opens all its partitions: with 25 instead of 9, to enqueue, retain and release one
//! task takes 1.4 ms instead of 1.0 ms. So the third way is paid for by every release, and the first by nobody: beside two
//! connections that enqueue, retain and release batches of 100, neither the swap nor the drop of the whole day (40 ms)
//! shows in their slowest cycles, 43 ms with and without. Days of which much is kept, since one queue keeps longer than the
//! others, are cleared in chunks.

use pgmill_store::{PastTasks, PruneStep, Store, StoreError};
use tokio_util::sync::CancellationToken;

use super::{Maintained, STRETCH};

/// How many finished tasks one statement deletes at most: about 50 ms.
const CHUNK: i32 = 5_000;

pub(super) async fn run(store: &Store, stop: &CancellationToken) -> Result<Maintained, StoreError> {
    let mut done = Maintained::default();
    for step in store.prune_steps().await? {
        if stop.is_cancelled() {
            return Ok(done);
        }
        // Who holds one day holds the others too, and each try lets releases wait: one is enough for this time.
        let in_vain = done.postponed > 0;
        let taken = match step {
            PruneStep::Delete(past) => delete(store, past, stop, &mut done).await,
            _ if in_vain => continue,
            PruneStep::Drop(day) => {
                store.drop_day(&day).await.map(|dropped| done.dropped += u32::from(dropped))
            }
            PruneStep::Rewrite(day) => {
                store.rewrite_day(day).await.map(|kept| done.rewritten += u32::from(kept.is_some()))
            }
            _ => Ok(()),
        };
        match taken {
            Err(StoreError::Contended(_)) => done.postponed += 1,
            taken => taken?,
        }
    }
    store.prune_resent().await?;
    keys(store, stop, &mut done).await?;
    Ok(done)
}

/// Deletes tasks in the order of their ids, which is roughly the order of their ends: a stretch without one that may go is
/// where to stop.
async fn delete(
    store: &Store,
    past: PastTasks,
    stop: &CancellationToken,
    done: &mut Maintained,
) -> Result<(), StoreError> {
    let mut after = 0;
    loop {
        let (pruned, place) = store.prune_finished(past, after, CHUNK).await?;
        done.pruned += pruned;
        match place {
            Some(place) if pruned > 0 && !stop.is_cancelled() => after = place,
            _ => return Ok(()),
        }
    }
}

async fn keys(store: &Store, stop: &CancellationToken, done: &mut Maintained) -> Result<(), StoreError> {
    let mut place = None;
    loop {
        let (pruned, next) = store.prune_keys(place, STRETCH).await?;
        done.keys += pruned;
        place = next;
        if place.is_none() || stop.is_cancelled() {
            return Ok(());
        }
    }
}
