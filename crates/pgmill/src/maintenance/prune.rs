//! The job `prune`: removes history that is past its retention.
//!
//! By default, what is done is kept for a day and what failed for seven. So when a day is over for what is done, one row in
//! a hundred is still wanted. Measured with 10,000,000 finished tasks in one day (2.6 GB), 99 % of them done, PostgreSQL 15
//! on two cores, beside two connections that each enqueue, retain and release batches of 100:
//!
//! | way | takes | WAL | release path |
//! |---|---|---|---|
//! | copy the 1 % and swap the day | 1.7 s | 30 MB | slowest cycle beside it 43 ms, as without it |
//! | delete in chunks of 10,000 | 50 to 150 s | 10 GB | as beside any other writer |
//! | a partition for each day and status | 40 ms | little | 0.98 ms for one task become 1.37 ms: twice the partitions |
//!
//! Every statement that looks into history opens all its partitions, so the third way is paid for by every release, and the
//! first by nobody. Days of which much is kept, for one queue keeps longer than the others, are cleared in chunks. Dropping a
//! day of 10,000,000 rows takes 40 ms, of which releases saw nothing above their usual 43 ms at worst.

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
