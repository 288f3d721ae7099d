//! How a [`Manager`] looks tasks up, retains and releases them.

use std::time::Duration;

use jiff::Timestamp;
use pgmill_schema::{
    Claim, List, NameError, Outcome, QueueName, Status, Task, TaskFilter, WorkerName, days, seconds,
    to_micros,
};
use pgmill_store::{Demand, Ending, Fence, Sending};
use tokio::sync::oneshot;

use crate::batch::{ReleaseAnswer, ReleaseCall, Reply, RetainCall};
use crate::error::{LookupError, ReleaseError, RetainError};
use crate::manager::Manager;
use crate::telemetry::{self, Fate};

pub(crate) const SHORTEST_LEASE: Duration = seconds(1);
pub(crate) const LONGEST_LEASE: Duration = days(30);

/// How many tasks are retained, and for how long.
#[derive(Debug, Clone)]
pub struct Retain {
    count: usize,
    lease: Option<Duration>,
    fenced: bool,
}

impl Default for Retain {
    fn default() -> Self {
        Self { count: 1, lease: None, fenced: false }
    }
}

impl Retain {
    /// One task, for its queue's lease.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// At most so many tasks. Default 1. More than 1,000 are taken as 1,000.
    #[must_use]
    pub fn count(mut self, count: usize) -> Self {
        self.count = count;
        self
    }

    /// For how long nobody else gets the task, unless it is [extended](Manager::extend_leases): 1 s to 30 days, and never
    /// past the task's `dies_at`. Default: the queue's lease.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// The tasks can be released by their [`Task`] or [`Claim`] alone, and not by whoever knows their id
    /// ([`ReleaseError::LeaseRequired`]). Default: by the id too.
    ///
    /// ```no_run
    /// # async fn example(manager: pgmill::Manager) -> Result<(), Box<dyn std::error::Error>> {
    /// use pgmill::{Outcome, Retain};
    ///
    /// for task in manager.next_tasks("worker-1", &[], Retain::new().fenced()).await? {
    ///     assert!(manager.release_task(task.id, Outcome::done_empty()).await.is_err());
    ///     manager.release_task(&task, Outcome::done_empty()).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn fenced(mut self) -> Self {
        self.fenced = true;
        self
    }
}

/// The attempt that a release is meant for.
#[derive(Debug, Clone)]
pub struct Attempted {
    fence: Result<Fence, u64>,
    /// The task as it was retained, where it is known.
    task: Option<Box<Task>>,
}

impl From<&Task> for Attempted {
    /// The attempt this task was retained for, and no other; a task that was not retained names whatever attempt runs.
    fn from(task: &Task) -> Self {
        let fence = match task.claim() {
            Some(claim) => Ok(Fence::Claim(claim)),
            None => open_fence(task.id),
        };
        Self { fence, task: Some(Box::new(task.clone())) }
    }
}

impl From<Claim> for Attempted {
    /// The attempt this claim stands for, and no other.
    fn from(claim: Claim) -> Self {
        Self { fence: Ok(Fence::Claim(claim)), task: None }
    }
}

impl From<u64> for Attempted {
    /// Whatever attempt of the task with this id runs, unless it was retained [fenced](Retain::fenced). Nothing then protects a
    /// task whose lease lapsed from the worker that had it before: use the task, where there is one.
    fn from(id: u64) -> Self {
        Self { fence: open_fence(id), task: None }
    }
}

fn open_fence(id: u64) -> Result<Fence, u64> {
    i64::try_from(id).ok().filter(|id| *id > 0).map(Fence::Open).ok_or(id)
}

/// What a release came to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Released {
    /// The task's id.
    pub id: u64,
    /// What the release made of it: `released`, `retry`, `failed`, `expired`, `cancelled` or `new`. It may have gone on since, where
    /// the answer was late.
    pub status: Status,
    /// The task as it is now. `None` only if the answer to the release was lost, it was found to be done, and the queue
    /// keeps no history.
    pub task: Option<Task>,
}

impl Manager {
    /// Retains the next task of one, several or (`&[]`) any queue of the namespace, under the name of a worker; `None` if
    /// none was found that is due. Lower priority numbers come first, then older tasks.
    ///
    /// The task is leased for its queue's lease. Once that has lapsed it is offered again, and the attempt is spent.
    /// If this call is dropped before it returns, what it retained is given back at once.
    ///
    /// # Errors
    /// [`RetainError`]. A queue that does not exist is as good as an empty one.
    ///
    /// # Panics
    /// If called outside of a tokio runtime.
    ///
    /// ```no_run
    /// # async fn example(manager: pgmill::Manager) -> Result<(), Box<dyn std::error::Error>> {
    /// use pgmill::Outcome;
    ///
    /// if let Some(task) = manager.next_task("worker-1", &["emails"]).await? {
    ///     let released = manager.release_task(&task, Outcome::done(&"sent")?).await?;
    ///     assert_eq!(released.status, pgmill::Status::Released);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn next_task(&self, worker: &str, queues: &[&str]) -> Result<Option<Task>, RetainError> {
        Ok(self.next_tasks(worker, queues, Retain::new()).await?.pop())
    }

    /// As [`next_task`](Self::next_task), for several tasks at once and with a lease of one's own.
    ///
    /// # Errors
    /// [`RetainError`].
    ///
    /// # Panics
    /// If called outside of a tokio runtime.
    pub async fn next_tasks(
        &self,
        worker: &str,
        queues: &[&str],
        retain: Retain,
    ) -> Result<Vec<Task>, RetainError> {
        let operation = telemetry::retaining(&self.namespace, queues, worker, retain.count);
        let tasks = operation.within(self.retain(worker, queues, retain)).await?;
        operation.span().record("messaging.batch.message_count", tasks.len());
        operation.done();
        Ok(tasks)
    }

    async fn retain(&self, worker: &str, queues: &[&str], retain: Retain) -> Result<Vec<Task>, RetainError> {
        let demand = self.demand(queues)?;
        let worker = WorkerName::new(worker)?;
        let lease = lease_micros(retain.lease)?;
        if retain.count == 0 {
            return Ok(Vec::new());
        }
        let want = i32::try_from(retain.count.min(1_000)).unwrap_or(1_000);
        let (answer, waiting) = oneshot::channel();
        let call = RetainCall { demand, want, worker, lease, fenced: retain.fenced, answer };
        self.shared.retains.submit(call).await.map_err(|_| RetainError::Closed)?;
        Ok(waiting.await.map_err(|_| RetainError::Closed)??.take())
    }

    /// Ends an attempt: done, failed with or without another try, given back, snoozed or cancelled; and returns what the
    /// task is now, once that is durable. A task is released only by the attempt it was retained for.
    ///
    /// # Errors
    /// [`ReleaseError`]; after all but [`ReleaseError::Unknown`] nothing has changed.
    ///
    /// # Panics
    /// If called outside of a tokio runtime.
    pub async fn release_task(
        &self,
        attempted: impl Into<Attempted>,
        outcome: Outcome,
    ) -> Result<Released, ReleaseError> {
        self.release(attempted.into(), outcome, Sending::First).await
    }

    /// The same for who has been told that an earlier release of the attempt, with the same outcome, is unknown: if that has
    /// ended it, this finds out by the fence, and says what it came to.
    pub(crate) async fn release_again(
        &self,
        attempted: impl Into<Attempted>,
        outcome: Outcome,
    ) -> Result<Released, ReleaseError> {
        self.release(attempted.into(), outcome, Sending::Again).await
    }

    async fn release(
        &self,
        Attempted { fence, task }: Attempted,
        outcome: Outcome,
        sending: Sending,
    ) -> Result<Released, ReleaseError> {
        let fence = fence.map_err(|id| ReleaseError::Id { id })?;
        outcome.validate(self.shared.max_payload)?;
        let chosen = Fate::chosen(&outcome);
        let ending = Ending { namespace: self.namespace.clone(), fence, outcome, task };
        let operation = telemetry::releasing(&self.namespace, fence.id());
        let answer = operation.within(self.submit(ending, sending)).await?;
        if let ReleaseAnswer::Task(now) = &answer {
            operation.span().record("messaging.destination.name", now.queue.as_str());
            operation.span().record("pgmill.attempt", now.attempt);
        }
        if let Some(fate) = chosen.or(answer.status().map(Fate::of)) {
            fate.note(operation.span());
        }
        operation.done();
        let id = u64::try_from(fence.id()).unwrap_or_default();
        match answer {
            ReleaseAnswer::Task(now) => {
                Ok(Released { id, status: now.status.unwrap_or(Status::Released), task: Some(*now) })
            }
            ReleaseAnswer::Settled(status) => {
                // In a box, for the future of every release is as large as what it may ever wait for.
                let task = Box::pin(self.shared.store.get_task(&self.namespace, fence.id())).await;
                // The release is known to be done. That it cannot be looked at just now is no reason to say otherwise.
                Ok(Released { id, status, task: task.ok().flatten() })
            }
        }
    }

    async fn submit(&self, ending: Ending, sending: Sending) -> Result<ReleaseAnswer, ReleaseError> {
        let (answer, waiting) = Reply::new(ReleaseError::Closed);
        let call = ReleaseCall { ending, sending, answer: Some(answer) };
        self.shared.releases.submit(call).await.map_err(|_| ReleaseError::Closed)?;
        waiting.await.map_err(|_| ReleaseError::Closed)?
    }

    /// Extends the leases of running attempts to so long from now (default: the queue's lease), never past `dies_at`, and
    /// returns until when each runs. `None` where the attempt is over: then stop. A lease that could not be extended just
    /// now, for another transaction is changing the task, is returned with the end it had.
    ///
    /// # Errors
    /// [`RetainError`]. The leases may or may not have been extended then.
    pub async fn extend_leases(
        &self,
        claims: &[Claim],
        lease: Option<Duration>,
    ) -> Result<Vec<Option<Timestamp>>, RetainError> {
        let lease = lease_micros(lease)?;
        let leases: Vec<_> = claims.iter().map(|claim| (*claim, lease)).collect();
        self.shared
            .store
            .extend(&self.namespace, &leases)
            .await
            .map_err(|error| RetainError::Store(error.into()))
    }

    /// Extends the lease of one task by its queue's lease from now, for who runs a task that takes longer: at most every
    /// third of the lease. Tells whether the task is still held; if not, stop.
    ///
    /// # Errors
    /// [`RetainError`]. The lease may or may not have been extended then.
    ///
    /// ```no_run
    /// # async fn example(manager: pgmill::Manager, task: pgmill::Task) -> Result<(), pgmill::RetainError> {
    /// if !manager.heartbeat(&task).await? {
    ///     println!("somebody else runs task {} by now", task.id);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn heartbeat(&self, task: &Task) -> Result<bool, RetainError> {
        let Some(claim) = task.claim() else { return Ok(false) };
        Ok(self.extend_leases(&[claim], None).await?.first().is_some_and(Option::is_some))
    }

    /// A task, live or finished, with the history of its attempts.
    ///
    /// # Errors
    /// [`LookupError::NotFound`], also for a task of another namespace.
    pub async fn get_task(&self, id: u64) -> Result<Task, LookupError> {
        let Ok(stored) = i64::try_from(id) else { return Err(LookupError::NotFound { id }) };
        let task = self.shared.store.get_task_with_attempts(&self.namespace, stored).await?;
        task.ok_or(LookupError::NotFound { id })
    }

    /// Tasks by creation, live and finished, of one queue or in one status where the filter says so. A queue that does not exist
    /// has none. A far offset takes time, [`TaskFilter::after`] does not. `count` comes from counters, as [`list_queue_statuses`](Self::list_queue_statuses) says.
    ///
    /// # Errors
    /// If the page lies beyond 2^63, or the database fails.
    pub async fn list_tasks(&self, filter: TaskFilter) -> Result<List<Task>, LookupError> {
        filter.page.validate()?;
        Ok(self.shared.store.list_tasks(&self.namespace, &filter).await?)
    }

    pub(crate) fn demand(&self, queues: &[&str]) -> Result<Demand, NameError> {
        let mut queues = queues.iter().map(|queue| QueueName::new(queue)).collect::<Result<Vec<_>, _>>()?;
        // The order of the queues does not matter, and a queue named twice is still one.
        queues.sort_unstable();
        queues.dedup();
        Ok(Demand { namespace: self.namespace.clone(), queues })
    }
}

fn lease_micros(lease: Option<Duration>) -> Result<Option<i64>, RetainError> {
    match lease {
        Some(lease) if !(SHORTEST_LEASE..=LONGEST_LEASE).contains(&lease) => Err(RetainError::Lease),
        lease => Ok(lease.map(to_micros)),
    }
}
