//! Ending what nobody can retain any more.

use jiff::Timestamp;

use crate::error::StoreError;
use crate::row::Reader;
use crate::statement::SWEEP;
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

/// What a stretch of the sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// Tasks past `dies_at` that were ended.
    pub expired: u64,
    /// Tasks whose lease lapsed on their last attempt, and that were ended.
    pub failed: u64,
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
        let row = Reader::of(row);
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
        Ok(Swept { expired: row.count("expired")?, failed: row.count("failed")?, place })
    }
}
