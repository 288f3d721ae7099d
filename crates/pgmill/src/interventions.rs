//! What a [`Manager`] does to a single task from outside of its attempts.

use std::time::Duration;

use pgmill_schema::{Status, Task};
use pgmill_store::{Cancelled, Retried, StoreError};

use crate::batch::Pauses;
use crate::error::{CancelError, RetryError};
use crate::maintenance::ensure_partitions;
use crate::manager::Manager;
use crate::telemetry::Fate;

/// How long a row that another transaction holds is waited for. A claim or a release lets go of it within milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);

impl Manager {
    /// Ends a task that waits or is retained, as [`cancelled`](Status::Cancelled), and returns what it is now. Its history is
    /// kept as long as that of a task that failed, and what its last attempt reported stays as its result.
    ///
    /// The attempt of a retained task is over with it: the handler of a worker pool is cancelled when its lease is extended
    /// next, [`extend_leases`](Self::extend_leases) finds nothing to extend, and a release finds the task not retained.
    ///
    /// Where the answer of the database is lost, it is asked again; a task that is then found cancelled was cancelled by
    /// this call, or by another at the same time.
    ///
    /// # Errors
    /// [`CancelError`]; after all but [`CancelError::Unknown`] nothing has changed.
    ///
    /// ```no_run
    /// # async fn example(manager: pgmill::Manager) -> Result<(), Box<dyn std::error::Error>> {
    /// use pgmill::{CancelError, Status};
    ///
    /// match manager.cancel_task(4711).await {
    ///     Ok(task) => assert_eq!(task.status, Some(Status::Cancelled)),
    ///     Err(CancelError::Finished { status, .. }) => println!("too late, it is {status}"),
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn cancel_task(&self, id: u64) -> Result<Task, CancelError> {
        let Ok(stored) = i64::try_from(id) else { return Err(CancelError::NotFound { id }) };
        let mut limits = Limits::new(self.shared.settle);
        loop {
            let error = match self.shared.store.cancel_task(&self.namespace, stored).await {
                Ok(Cancelled::Task(task)) => {
                    self.shared.meters.of(&task.namespace, &task.queue).released(Fate::Cancelled);
                    return Ok(*task);
                }
                Ok(Cancelled::NoTask) => return Err(CancelError::NotFound { id }),
                Ok(Cancelled::Ended(Status::Cancelled)) if limits.lost => {
                    let task = self.shared.store.get_task(&self.namespace, stored).await;
                    return task.ok().flatten().ok_or(CancelError::Unknown { id });
                }
                Ok(Cancelled::Ended(status)) => return Err(CancelError::Finished { id, status }),
                Ok(Cancelled::Locked) => None,
                Err(error) => Some(error),
            };
            match self.again(&mut limits, error).await {
                Verdict::Again => {}
                Verdict::Locked => return Err(CancelError::Locked { id }),
                Verdict::Unknown => return Err(CancelError::Unknown { id }),
                Verdict::Failed(error) => return Err(CancelError::Store(error)),
            }
        }
    }

    /// Makes a task that has ended, however it did, live again, and returns it: it waits in its queue under the same id, due
    /// now, and is granted as many attempts and as much time to live as its queue says now. Its payload, priority and key
    /// are those it had, its result is cleared, and the history of its attempts is kept. Attempts go on being counted.
    ///
    /// A task whose queue keeps no history, or that is past its retention, cannot be found.
    ///
    /// # Errors
    /// [`RetryError`]; after all but [`RetryError::Unknown`] nothing has changed.
    ///
    /// ```no_run
    /// # async fn example(manager: pgmill::Manager) -> Result<(), pgmill::RetryError> {
    /// let task = manager.retry_task(4711).await?;
    /// assert_eq!(task.status, Some(pgmill::Status::New));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn retry_task(&self, id: u64) -> Result<Task, RetryError> {
        let Ok(stored) = i64::try_from(id) else { return Err(RetryError::NotFound { id }) };
        let mut limits = Limits::new(self.shared.settle);
        loop {
            let error = match self.shared.store.retry_task(&self.namespace, stored).await {
                Ok(Retried::Task(task)) => {
                    self.waits_again(&task, stored);
                    return Ok(*task);
                }
                Ok(Retried::NoTask) => return Err(RetryError::NotFound { id }),
                Ok(Retried::Live(status)) => return Err(RetryError::NotFinished { id, status }),
                Ok(Retried::KeyTaken(by)) => {
                    return Err(RetryError::KeyTaken { id, by: u64::try_from(by).unwrap_or_default() });
                }
                Ok(Retried::Locked) => None,
                // Once more might retry it a second time. If it is live, it was retried.
                Err(StoreError::Lost(_)) => return self.look_for_retried(id, stored, limits).await,
                Err(error) => Some(error),
            };
            match self.again(&mut limits, error).await {
                Verdict::Again => {}
                Verdict::Locked => return Err(RetryError::Locked { id }),
                Verdict::Unknown => return Err(RetryError::Unknown { id }),
                Verdict::Failed(error) => return Err(RetryError::Store(error)),
            }
        }
    }

    async fn look_for_retried(&self, id: u64, stored: i64, mut limits: Limits) -> Result<Task, RetryError> {
        loop {
            match self.shared.store.get_task(&self.namespace, stored).await {
                Ok(Some(task)) if task.status.is_some_and(Status::is_live) => {
                    self.waits_again(&task, stored);
                    return Ok(task);
                }
                Err(error) if error.is_transient() && limits.settle.pause().await => {}
                _ => return Err(RetryError::Unknown { id }),
            }
        }
    }

    /// Tells workers of a task that was retried.
    fn waits_again(&self, task: &Task, stored: i64) {
        let place = (task.delayed_at.unwrap_or(task.created_at), stored);
        self.shared.floors.lower(&task.namespace, &task.queue, i16::from(task.priority), place);
        self.shared.wakes.wake(&task.namespace, &task.queue, Duration::ZERO);
    }

    /// What to do after the row was locked (no error), or the statement failed.
    async fn again(&self, limits: &mut Limits, error: Option<StoreError>) -> Verdict {
        let again = match &error {
            None | Some(StoreError::Contended(_)) => limits.patience.pause().await,
            Some(StoreError::PartitionMissing(_)) => {
                ensure_partitions(&self.shared.store).await.is_ok() && limits.patience.pause().await
            }
            Some(StoreError::Lost(_)) => {
                limits.lost = true;
                limits.settle.pause().await
            }
            Some(error) => limits.lost && error.is_transient() && limits.settle.pause().await,
        };
        match error {
            _ if again => Verdict::Again,
            _ if limits.lost => Verdict::Unknown,
            None | Some(StoreError::Contended(_)) => Verdict::Locked,
            Some(error) => Verdict::Failed(error),
        }
    }
}

/// How long it is tried.
struct Limits {
    patience: Pauses,
    settle: Pauses,
    /// An answer was lost: it may be done.
    lost: bool,
}

impl Limits {
    fn new(settle: Duration) -> Self {
        Self { patience: Pauses::within(PATIENCE), settle: Pauses::within(settle), lost: false }
    }
}

enum Verdict {
    Again,
    Locked,
    Unknown,
    Failed(StoreError),
}
