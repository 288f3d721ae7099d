//! Ending attempts, and keeping them from ending by themselves.

use std::time::Duration;

use jiff::Timestamp;
use pgmill_schema::{Claim, Json, Namespace, Outcome, QueueName, Status, Task, to_micros};

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::enqueue::Sending;
use crate::error::StoreError;
use crate::row::{QueueNames, Reader, corrupt, remaining};
use crate::statement::{EXTEND, RELEASE};
use crate::store::Store;

/// Which attempt is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fence {
    /// The attempt that this claim stands for, and no other.
    Claim(Claim),
    /// Whatever attempt of this task is running, unless it was retained [fenced](crate::Caller::fenced).
    Open(i64),
}

impl Fence {
    /// The task's id.
    pub fn id(self) -> i64 {
        match self {
            Self::Claim(claim) => claim.id(),
            Self::Open(id) => id,
        }
    }

    pub(crate) fn claim(self) -> Option<Claim> {
        match self {
            Self::Claim(claim) => Some(claim),
            Self::Open(_) => None,
        }
    }
}

/// An attempt that ends.
#[derive(Debug, Clone)]
pub struct Ending {
    /// Where the task is.
    pub namespace: Namespace,
    /// Which attempt.
    pub fence: Fence,
    /// How it ends.
    pub outcome: Outcome,
    /// The task as it was retained, where it is at hand: then it need not be read again.
    pub task: Option<Box<Task>>,
}

/// What became of an [`Ending`].
#[derive(Debug, Clone)]
pub enum Ended {
    /// The attempt has ended.
    Released {
        /// What the task is now. It carries the payload if the [`Ending`] had the task, or no [`Fence::Claim`].
        task: Box<Task>,
        /// In what time it is due again, if it goes on.
        due_in: Duration,
        /// When the attempt ended.
        ended_at: Timestamp,
    },
    /// The attempt was ended by an earlier sending, and the task had this status then.
    Settled(Status),
    /// The namespace has no such task.
    NoTask,
    /// The task is not retained.
    NotRetained,
    /// The task is retained by another attempt.
    Superseded,
    /// The row is locked by a transaction from outside, and nothing was changed.
    Locked,
    /// The task was retained fenced, and the fence was open: nothing was changed.
    LeaseRequired,
}

struct Action {
    code: i16,
    delay: Option<i64>,
}

impl Action {
    fn of(outcome: &Outcome) -> Self {
        let (code, delay) = match outcome {
            Outcome::Done(_) => (0, None),
            Outcome::Retry { after, .. } => (1, *after),
            Outcome::Failed(_) => (2, None),
            Outcome::GiveBack => (3, None),
            Outcome::Snooze(pause) => (4, Some(*pause)),
            Outcome::Cancelled(_) => (5, None),
        };
        Self { code, delay: delay.map(to_micros) }
    }
}

impl Store {
    /// Ends a batch of attempts, in any order, and tells what became of each.
    ///
    /// # Errors
    /// Those of any statement. After [`StoreError::Lost`] the batch may or may not have been committed; sent
    /// [`Again`](Sending::Again), it finds out.
    pub async fn release<T: std::borrow::Borrow<Ending> + Sync>(
        &self,
        endings: &[T],
        sending: Sending,
    ) -> Result<Vec<Ended>, StoreError> {
        let mut sorted: Vec<(usize, &Ending)> =
            endings.iter().map(std::borrow::Borrow::borrow).enumerate().collect();
        sorted.sort_by_key(|(_, ending)| ending.fence.id());
        let mut namespaces: Vec<&str> = Vec::new();
        let slots: Vec<i32> =
            sorted.iter().map(|(_, ending)| slot(&mut namespaces, ending.namespace.as_str())).collect();
        let ids: Vec<i64> = sorted.iter().map(|(_, ending)| ending.fence.id()).collect();
        let claims = || sorted.iter().map(|(_, ending)| ending.fence.claim());
        let attempts: Vec<Option<i32>> = claims().map(|claim| claim.map(Claim::attempt)).collect();
        let holders: Vec<Option<i64>> = claims().map(|claim| claim.map(Claim::holder)).collect();
        let actions: Vec<Action> = sorted.iter().map(|(_, ending)| Action::of(&ending.outcome)).collect();
        let codes: Vec<i16> = actions.iter().map(|action| action.code).collect();
        let delays: Vec<Option<i64>> = actions.iter().map(|action| action.delay).collect();
        let results: Vec<Option<&str>> =
            sorted.iter().map(|(_, ending)| ending.outcome.result().map(Json::as_str)).collect();
        let rows = self
            .query(
                &RELEASE,
                &[
                    &namespaces,
                    &ids,
                    &slots,
                    &attempts,
                    &holders,
                    &codes,
                    &results,
                    &delays,
                    &(sending == Sending::Again),
                ],
            )
            .await?;
        collect(&rows, &sorted).map_err(StoreError::unread)
    }

    /// Extends leases to so many microseconds from now (`None`: the queue's lease), never past `dies_at`, and tells until
    /// when each runs now: a row that another transaction is changing keeps the end it had. `None`: the attempt is over, or
    /// of another namespace.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn extend(
        &self,
        namespace: &Namespace,
        leases: &[(Claim, Option<i64>)],
    ) -> Result<Vec<Option<Timestamp>>, StoreError> {
        let extension = Extension::of(leases);
        let rows = self.query_again(&EXTEND, &extension.params(&namespace.as_str())).await?;
        extension.read(&rows)
    }
}

/// The parameters of an extension, by id, so that locks are taken in one order everywhere.
pub(crate) struct Extension {
    sorted: Vec<usize>,
    ids: Vec<i64>,
    attempts: Vec<i32>,
    holders: Vec<i64>,
    micros: Vec<Option<i64>>,
}

impl Extension {
    pub(crate) fn of(leases: &[(Claim, Option<i64>)]) -> Self {
        let mut sorted: Vec<usize> = (0..leases.len()).collect();
        sorted.sort_by_key(|&index| leases[index].0.id());
        let claims = || sorted.iter().map(|&index| leases[index].0);
        Self {
            ids: claims().map(Claim::id).collect(),
            attempts: claims().map(Claim::attempt).collect(),
            holders: claims().map(Claim::holder).collect(),
            micros: sorted.iter().map(|&index| leases[index].1).collect(),
            sorted,
        }
    }

    pub(crate) fn params<'a>(&'a self, namespace: &'a &str) -> [&'a (dyn ToSql + Sync); 5] {
        [namespace, &self.ids, &self.attempts, &self.holders, &self.micros]
    }

    /// The answers, in the order of the entries as they were given.
    pub(crate) fn read(&self, rows: &[Row]) -> Result<Vec<Option<Timestamp>>, StoreError> {
        let mut answers = vec![None; self.sorted.len()];
        for row in rows.iter().map(Reader::of) {
            let ord = row.unsigned("ord")? as usize;
            let index = *self.sorted.get(ord.wrapping_sub(1)).ok_or_else(|| corrupt("ord", ord))?;
            answers[index] = Some(row.get("lease_until")?);
        }
        Ok(answers)
    }
}

/// The answers, in the order of the entries as they were given.
fn collect(rows: &[Row], sorted: &[(usize, &Ending)]) -> Result<Vec<Ended>, StoreError> {
    let mut answers = vec![None; sorted.len()];
    let mut queues = QueueNames::default();
    for row in rows.iter().map(Reader::of) {
        let ord = row.unsigned("ord")? as usize;
        let (index, ending) = *sorted.get(ord.wrapping_sub(1)).ok_or_else(|| corrupt("ord", ord))?;
        answers[index] = Some(read(&row, &mut queues, ending)?);
    }
    let answered: Option<Vec<_>> = answers.into_iter().collect();
    answered.ok_or_else(|| StoreError::unexpected("release left an entry without an answer"))
}

/// The number, from 1, of a namespace in the list of those named so far. There are few.
fn slot<'a>(namespaces: &mut Vec<&'a str>, namespace: &'a str) -> i32 {
    let index = namespaces.iter().position(|known| *known == namespace).unwrap_or_else(|| {
        namespaces.push(namespace);
        namespaces.len() - 1
    });
    i32::try_from(index + 1).unwrap_or(i32::MAX)
}

fn read(row: &Reader<'_>, queues: &mut QueueNames, ending: &Ending) -> Result<Ended, StoreError> {
    let code: i16 = row.get("code")?;
    let queue: Option<&str> = row.get("queue")?;
    Ok(match (code, queue) {
        (0, Some(queue)) => released(row, queues.of(queue)?, ending)?,
        (0, None) => Ended::Settled(row.status()?),
        (1, _) => Ended::NoTask,
        (2, _) => Ended::NotRetained,
        (3, _) => Ended::Superseded,
        (4, _) => Ended::Locked,
        (5, _) => Ended::LeaseRequired,
        _ => return Err(corrupt("code", code)),
    })
}

fn released(row: &Reader<'_>, queue: QueueName, ending: &Ending) -> Result<Ended, StoreError> {
    // In the order of the columns.
    let status = row.status()?;
    let (ended_at, run_at) = (row.time("ended_at")?, row.time("run_at")?);
    let (attempt, spared, retries): (i32, _, _) =
        (row.get("attempt")?, row.get("spared")?, row.get("retries")?);
    let (priority, created_at) = (row.priority()?, row.time("created_at")?);
    let done = status == Status::Released;
    let known = ending.task.as_deref();
    let task = Task {
        dies_at: if done { None } else { row.optional_time("dies_at")? },
        started_at: if done { row.optional_time("started_at")? } else { None },
        worker: row.get("worker")?,
        key: row.get("key")?,
        payload: row.json("payload")?.or_else(|| known.and_then(|task| task.payload.clone())),
        id: u64::try_from(ending.fence.id()).unwrap_or(0),
        delayed_at: (run_at != created_at && status != Status::Failed).then_some(run_at),
        namespace: ending.namespace.clone(),
        queue,
        result: ending.outcome.result().cloned(),
        created_at,
        finished_at: done.then_some(ended_at),
        retries: remaining(status, retries, attempt, spared),
        status: Some(status),
        priority,
        attempt: u32::try_from(attempt).map_err(|_| corrupt("attempt", attempt))?,
        traceparent: known.and_then(|task| task.traceparent.clone()),
        lease_until: None,
        holder: None,
        attempts: Vec::new(),
    };
    // A task that is over was due before it ended.
    let due_in =
        if run_at > ended_at { run_at.duration_since(ended_at).unsigned_abs() } else { Duration::ZERO };
    Ok(Ended::Released { task: Box::new(task), due_in, ended_at })
}
