//! The job `partitions`: makes the days of the history tables ahead of time.

use std::time::Duration;

use pgmill_store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use super::Maintained;

const AHEAD: i32 = 7;
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);

pub(super) async fn run(store: &Store, stop: &CancellationToken) -> Result<Maintained, StoreError> {
    for _ in 1..TRIES {
        if stop.is_cancelled() {
            return Ok(Maintained::default());
        }
        match store.ensure_partitions(AHEAD).await {
            Err(StoreError::Contended(_)) => tokio::time::sleep(PAUSE).await,
            made => return Ok(Maintained { partitions: made?, ..Maintained::default() }),
        }
    }
    match store.ensure_partitions(AHEAD).await {
        Err(StoreError::Contended(_)) => Ok(Maintained { postponed: 1, ..Maintained::default() }),
        made => Ok(Maintained { partitions: made?, ..Maintained::default() }),
    }
}

/// For a batch that missed a partition. A lock that was not had at once is left to the next sending of the batch.
pub(crate) async fn ensure_partitions(store: &Store) -> Result<u32, StoreError> {
    match store.ensure_partitions(AHEAD).await {
        Err(StoreError::Contended(_)) => Ok(0),
        made => made,
    }
}
