//! Removing history that nobody keeps any longer.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::error::StoreError;
use crate::row::Reader;
use crate::statement::{DROP_DAY, PRUNE_FINISHED, PRUNE_STEPS, REWRITE_DAY};
use crate::store::Store;

/// A UTC day of a history table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryDay {
    table: String,
    day: Date,
}

/// The finished tasks of a queue in one status and one day, some of which are past their retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastTasks {
    day: Date,
    queue_id: i32,
    status: i16,
}

/// How far pruning has come in some tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastPlace {
    created_at: Timestamp,
    id: i64,
}

/// One thing to do to prune history.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PruneStep {
    /// Drop a day of which nobody keeps anything.
    Drop(HistoryDay),
    /// Write a day of finished tasks anew, with the few that somebody keeps.
    Rewrite {
        /// The day.
        day: Date,
        /// The deletions that do the same, if that takes longer than a statement may.
        otherwise: Vec<PastTasks>,
    },
    /// Delete tasks one by one.
    Delete(PastTasks),
}

impl Store {
    /// What there is to prune, oldest day first. Nothing is changed.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn prune_steps(&self) -> Result<Vec<PruneStep>, StoreError> {
        let rows = self.query_again(&PRUNE_STEPS, &[]).await?;
        let mut steps = Vec::new();
        for row in rows.iter().map(Reader::of) {
            take_step(&row, &mut steps)?;
        }
        Ok(steps)
    }

    /// Drops a day of a history table. Returns whether it did: not if somebody keeps it after all, or if it is gone.
    ///
    /// # Errors
    /// Those of any statement; [`StoreError::Contended`] if a lock was not had within 50 ms.
    pub async fn drop_day(&self, day: &HistoryDay) -> Result<bool, StoreError> {
        let rows = self.query_again(&DROP_DAY, &[&day.table, &day.day]).await?;
        rows.first().map_or(Ok(false), |row| Reader::of(row).get("drop_day_v1"))
    }

    /// Writes a day of finished tasks anew, without those that nobody keeps. Returns how many were kept; `None` if the day
    /// is gone already.
    ///
    /// # Errors
    /// Those of any statement; [`StoreError::Contended`] if a lock was not had in time (SQLSTATE 55P03), or if the day is too
    /// large to be written within `statement_timeout` (57014), as it will be the next time.
    pub async fn rewrite_day(&self, day: Date) -> Result<Option<u64>, StoreError> {
        let rows = self.query_again(&REWRITE_DAY, &[&day]).await?;
        let kept: Option<i64> = rows.first().map_or(Ok(None), |row| Reader::of(row).get("rewrite_day_v1"))?;
        Ok(kept.and_then(|kept| u64::try_from(kept).ok()))
    }

    /// Looks at up to `scan` of these tasks behind `after`, by creation, and deletes those past their retention. Returns how
    /// many it deleted, and the place to go on from; `None` at the end.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn prune_finished(
        &self,
        past: PastTasks,
        after: Option<PastPlace>,
        scan: i32,
    ) -> Result<(u64, Option<PastPlace>), StoreError> {
        let (created_at, id) = after.map(|place| (place.created_at, place.id)).unzip();
        let rows = self
            .query_again(&PRUNE_FINISHED, &[&past.day, &past.queue_id, &past.status, &created_at, &id, &scan])
            .await?;
        let row = rows.first().ok_or_else(|| StoreError::unexpected("prune_finished answered nothing"))?;
        let row = Reader::of(row);
        let place = match (row.get("place_at")?, row.get("place")?) {
            (Some(created_at), Some(id)) => Some(PastPlace { created_at, id }),
            _ => None,
        };
        Ok((row.count("pruned")?, place))
    }
}

fn take_step(row: &Reader<'_>, steps: &mut Vec<PruneStep>) -> Result<(), StoreError> {
    let (code, day): (i16, Date) = (row.get("step")?, row.get("day")?);
    let past = || -> Result<PastTasks, StoreError> {
        Ok(PastTasks { day, queue_id: row.get("queue_id")?, status: row.get("status")? })
    };
    match (code, steps.last_mut()) {
        (0, _) => steps.push(PruneStep::Drop(HistoryDay { table: row.get("parent")?, day })),
        (1, _) => steps.push(PruneStep::Rewrite { day, otherwise: Vec::new() }),
        (2, _) => steps.push(PruneStep::Delete(past()?)),
        (3, Some(PruneStep::Rewrite { otherwise, .. })) => otherwise.push(past()?),
        _ => return Err(StoreError::unexpected(format!("prune_steps answered the step {code}"))),
    }
    Ok(())
}
