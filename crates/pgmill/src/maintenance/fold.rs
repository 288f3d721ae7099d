//! The job `fold`: keeps the table of count changes small.
//!
//! Folding deletes changes, and VACUUM removes what is deleted, but not while a transaction is open that began before: then
//! every fold and every count walks all that was ever folded. So a table that has grown is begun anew.

use pgmill_store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use super::{Maintained, STRETCH};

/// How large the table of changes may grow: 100,000 changes, less than a minute of full load. A count reads it in 10 ms.
const ROTATE_ABOVE: u64 = 4 << 20;

pub(super) async fn run(store: &Store, stop: &CancellationToken) -> Result<Maintained, StoreError> {
    let mut done = Maintained::default();
    let bytes = loop {
        let folded = store.fold_counts(STRETCH).await?;
        done.folded += folded.changes;
        if folded.changes < u64::from(STRETCH.unsigned_abs()) {
            break folded.bytes;
        }
        if stop.is_cancelled() {
            return Ok(done);
        }
    };
    if bytes > ROTATE_ABOVE && !stop.is_cancelled() {
        match store.rotate_counts().await {
            Ok(folded) => done.folded += folded,
            Err(StoreError::Contended(_)) => done.postponed += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
