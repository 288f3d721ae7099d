//! Deleting what queues that are gone have left.

use crate::error::StoreError;
use crate::row::Reader;
use crate::statement::REMOVE_ORPHANS;
use crate::store::Store;

/// What was deleted of queues that are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orphans {
    /// Live tasks.
    pub tasks: u64,
    /// Idempotency keys.
    pub keys: u64,
    /// Rows of the counters, and those of past days that have come to nothing.
    pub counts: u64,
}

impl Store {
    /// Deletes up to `limit` live tasks of queues that are gone, as many of their keys, and as many of their counts. Fewer
    /// than `limit` of each: there were no more, but for those that others hold.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn remove_orphans(&self, limit: i32) -> Result<Orphans, StoreError> {
        let rows = self.query_again(&REMOVE_ORPHANS, &[&limit]).await?;
        let row = rows.first().ok_or_else(|| StoreError::unexpected("remove_orphans answered nothing"))?;
        let row = Reader::of(row);
        Ok(Orphans { tasks: row.count("tasks")?, keys: row.count("keys")?, counts: row.count("counts")? })
    }
}
