//! The job `orphans`: deletes what queues that are gone have left.

use pgmill_store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use super::{Maintained, STRETCH};

pub(super) async fn run(store: &Store, stop: &CancellationToken) -> Result<Maintained, StoreError> {
    let mut done = Maintained::default();
    loop {
        let orphans = store.remove_orphans(STRETCH).await?;
        done.orphaned += orphans.tasks;
        done.keys += orphans.keys;
        let most = orphans.tasks.max(orphans.keys).max(orphans.counts);
        if most < u64::from(STRETCH.unsigned_abs()) || stop.is_cancelled() {
            return Ok(done);
        }
    }
}
