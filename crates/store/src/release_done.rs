//! Ending attempts that are done, the shorter way.

use std::borrow::Borrow;
use std::time::Duration;

use jiff::Timestamp;
use pgmill_schema::{Claim, Json, Outcome, Status, Task};

use crate::error::StoreError;
use crate::release::{Ended, Ending, Fence};
use crate::row::{Reader, corrupt};
use crate::statement::RELEASE_DONE;
use crate::store::Store;

impl Ending {
    /// Whether [`release_done`](Store::release_done) is for it: the task is done, and its holder has it in hand.
    pub fn is_plain(&self) -> bool {
        matches!((&self.outcome, &self.fence, &self.task), (Outcome::Done(_), Fence::Claim(_), Some(_)))
    }
}

impl Ended {
    /// What became of a task that is done, out of what its holder knows of it.
    pub fn done(mut task: Box<Task>, outcome: &Outcome, ended_at: Timestamp) -> Self {
        task.status = Some(Status::Released);
        task.result = outcome.result().cloned();
        task.finished_at = Some(ended_at);
        task.dies_at = None;
        task.lease_until = None;
        task.holder = None;
        Self::Released { task, due_in: Duration::ZERO, ended_at }
    }
}

impl Store {
    /// Ends a batch of attempts that are done, in any order, for half of what [`release`](Store::release) costs: tells when,
    /// and of each whether. Where not, nothing has changed, and `release` tells why; so it is for all that are not of the first
    /// one's namespace.
    ///
    /// # Errors
    /// Those of any statement, and whatever keeps it from ending all that can be ended; nothing has changed then, unless it
    /// is [`StoreError::Lost`].
    ///
    /// # Panics
    /// If one of them is not [plain](Ending::is_plain).
    pub async fn release_done<T: Borrow<Ending> + Sync>(
        &self,
        endings: &[T],
    ) -> Result<(Timestamp, Vec<bool>), StoreError> {
        let mut released = vec![false; endings.len()];
        let Some(namespace) = endings.first().map(|ending| &ending.borrow().namespace) else {
            return Ok((Timestamp::default(), released));
        };
        let mut sorted: Vec<(usize, &Ending)> = endings.iter().map(Borrow::borrow).enumerate().collect();
        sorted.retain(|(_, ending)| ending.namespace == *namespace);
        sorted.sort_unstable_by_key(|(_, ending)| ending.fence.id());
        let claims: Vec<Claim> = sorted.iter().filter_map(|(_, ending)| ending.fence.claim()).collect();
        assert_eq!(claims.len(), sorted.len(), "release_done was given an ending without a claim");
        let ids: Vec<i64> = claims.iter().map(|claim| claim.id()).collect();
        let attempts: Vec<i32> = claims.iter().map(|claim| claim.attempt()).collect();
        let holders: Vec<i64> = claims.iter().map(|claim| claim.holder()).collect();
        let results: Vec<Option<&str>> =
            sorted.iter().map(|(_, ending)| ending.outcome.result().map(Json::as_str)).collect();
        let rows =
            self.query(&RELEASE_DONE, &[&namespace.as_str(), &ids, &attempts, &holders, &results]).await?;
        let row = rows.first().map(Reader::of);
        let row = row.ok_or_else(|| StoreError::unexpected("release_done did not answer"))?;
        for number in row.get::<Option<Vec<i32>>>("released")?.unwrap_or_default() {
            let place = usize::try_from(number).unwrap_or_default().wrapping_sub(1);
            let (index, _) = *sorted.get(place).ok_or_else(|| corrupt("released", number))?;
            released[index] = true;
        }
        Ok((row.time("ended_at")?, released))
    }
}
