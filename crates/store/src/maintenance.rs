//! What keeps the tables in order.

use jiff::Timestamp;

use crate::error::StoreError;
use crate::row::Reader;
use crate::statement::{ENSURE_PARTITIONS, FOLD_COUNTS, PRUNE_KEYS, PRUNE_RESENT, SWEEP};
use crate::store::Store;

/// A place in the live tasks: those before it have been looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SweepPlace {
    queue_id: i32,
    priority: i16,
    run_at: Timestamp,
    id: i64,
}

impl SweepPlace {
    /// Before every task.
    pub const START: Self = Self { queue_id: 0, priority: -1, run_at: Timestamp::UNIX_EPOCH, id: 0 };
}

/// A place in the idempotency keys: those up to it have been looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyPlace {
    queue_id: i32,
    key: String,
}

/// What a stretch of the sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// Tasks past `dies_at` that were ended.
    pub expired: u64,
    /// Tasks whose lease lapsed on their last attempt, and that were ended.
    pub failed: u64,
    /// Tasks of queues that are gone, and that were deleted.
    pub orphaned: u64,
    /// Where to go on; `None` at the end.
    pub place: Option<SweepPlace>,
}

impl Store {
    /// Looks at up to `scan` live tasks from `place` on, and ends those that nobody can retain any more.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn sweep(&self, place: SweepPlace, scan: i32) -> Result<Swept, StoreError> {
        let rows = self
            .query_again(&SWEEP, &[&place.queue_id, &place.priority, &place.run_at, &place.id, &scan])
            .await?;
        let row = rows.first().ok_or_else(|| StoreError::unexpected("sweep answered nothing"))?;
        let row = Reader(row);
        let queue_id: Option<i32> = row.get("queue_id")?;
        let place = match queue_id {
            Some(queue_id) => Some(SweepPlace {
                queue_id,
                priority: row.get("priority")?,
                run_at: row.get("run_at")?,
                id: row.get("id")?,
            }),
            None => None,
        };
        Ok(Swept {
            expired: row.count("expired")?,
            failed: row.count("failed")?,
            orphaned: row.count("orphaned")?,
            place,
        })
    }

    /// Looks at up to `scan` idempotency keys after `place` (`None`: from the first on), and deletes those that no task
    /// holds any longer. Returns how many there were, and where to go on; `None` at the end.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn prune_keys(
        &self,
        place: Option<KeyPlace>,
        scan: i32,
    ) -> Result<(u64, Option<KeyPlace>), StoreError> {
        let KeyPlace { queue_id, key } = place.unwrap_or_default();
        let rows = self.query_again(&PRUNE_KEYS, &[&queue_id, &key, &scan]).await?;
        let row = rows.first().ok_or_else(|| StoreError::unexpected("prune_keys answered nothing"))?;
        let row = Reader(row);
        let queue_id: Option<i32> = row.get("queue_id")?;
        let place = match queue_id {
            Some(queue_id) => Some(KeyPlace { queue_id, key: row.get("key")? }),
            None => None,
        };
        Ok((row.count("pruned")?, place))
    }

    /// Forgets which enqueue statements were sent again more than a day ago.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn prune_resent(&self) -> Result<(), StoreError> {
        self.query_again(&PRUNE_RESENT, &[]).await.map(drop)
    }

    /// Folds up to `limit` changes into the counts, and returns how many there were.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn fold_counts(&self, limit: i32) -> Result<u64, StoreError> {
        let rows = self.query_again(&FOLD_COUNTS, &[&limit]).await?;
        rows.first().map_or(Ok(0), |row| Reader(row).count("fold_counts_v1"))
    }

    /// Makes the partitions of the history tables up to `ahead` days from now, and returns how many were missing.
    ///
    /// # Errors
    /// Those of any statement; [`StoreError::Contended`] if a lock was not had within 50 ms.
    pub async fn ensure_partitions(&self, ahead: i32) -> Result<u32, StoreError> {
        let rows = self.query_again(&ENSURE_PARTITIONS, &[&ahead]).await?;
        rows.first().map_or(Ok(0), |row| Reader(row).unsigned("ensure_partitions_v1"))
    }
}
