//! One attempt: run the task, then see to it that its end is recorded.

use std::time::Duration;

use pgmill::{Outcome, ReleaseError, Status, Task};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep};

use crate::worker::outage::{Outage, chain};
use crate::worker::{End, Ended, Handler, Verdict, Worker};

/// What an attempt occupies.
#[derive(Debug)]
pub(super) struct Place {
    /// Until the task has run.
    pub(super) slot: OwnedSemaphorePermit,
    /// Until it is released.
    pub(super) room: OwnedSemaphorePermit,
}

impl<H: Handler> Worker<H> {
    /// Runs a task that was asked for at `asked`, and releases it.
    pub(super) async fn attempt(&self, task: Task, place: Place, asked: Instant) {
        let Some(claim) = task.claim() else {
            return tracing::error!("task {} came without a holder, and cannot be run", task.id);
        };
        let interrupt = self.interrupt.child();
        let holding = self.leases.hold(claim, task.lease_until, asked, &interrupt);
        let started = Instant::now();
        let verdict = self.handler.run(&task, &interrupt).await;
        let took = started.elapsed();
        let kept = holding.finish();
        drop(place.slot);
        let Verdict { outcome, note } = verdict;
        let end = if kept {
            self.release(&task, outcome).await
        } else {
            tracing::warn!(
                "task {} of queue {}: its lease was lost, so it was stopped and its result dropped",
                task.id,
                task.queue
            );
            End::Lost
        };
        drop((holding, place.room));
        self.handler.ended(&Ended { retained: task, end, took, note });
    }

    /// Returns a task that is not to be started any more.
    pub(super) async fn give_back(&self, task: Task) {
        let end = self.release(&task, Outcome::GiveBack).await;
        self.handler.ended(&Ended { retained: task, end, took: Duration::ZERO, note: None });
    }

    /// Records the outcome, however long it takes, unless the attempt turns out to be another's.
    async fn release(&self, task: &Task, mut outcome: Outcome) -> End {
        let mut outage = Outage::new("results cannot be recorded");
        let mut unknown = false;
        loop {
            let given_back = outcome == Outcome::GiveBack;
            match self.manager.release_task(task, outcome.clone()).await {
                Ok(_) if given_back => return End::GivenBack,
                Ok(released) => {
                    return End::Recorded { status: released.status, task: released.task.map(Box::new) };
                }
                Err(ReleaseError::Outcome(error)) => {
                    tracing::warn!("task {} of queue {}: {error}", task.id, task.queue);
                    outcome = refused(&error);
                }
                Err(
                    error @ (ReleaseError::Superseded { .. }
                    | ReleaseError::NotRetained { .. }
                    | ReleaseError::NotFound { .. }
                    | ReleaseError::Id { .. }
                    | ReleaseError::Closed),
                ) => return self.settle(task, unknown, &error).await,
                Err(error) => {
                    unknown |= matches!(error, ReleaseError::Unknown { .. });
                    sleep(outage.failed(&error)).await;
                }
            }
        }
    }

    /// The attempt is not ours to end. If an earlier try of ours may have ended it, that is looked up.
    async fn settle(&self, task: &Task, unknown: bool, error: &ReleaseError) -> End {
        if unknown
            && let Ok(found) = self.manager.get_task(task.id).await
            && found.attempt == task.attempt
            && let Some(status) = found.status.filter(|status| *status != Status::Retained)
        {
            return End::Recorded { status, task: Some(Box::new(found)) };
        }
        tracing::warn!(
            "task {} of queue {}: the result of attempt {} is dropped: {}",
            task.id,
            task.queue,
            task.attempt,
            chain(error)
        );
        End::Lost
    }
}

/// The outcome of an attempt whose own outcome cannot be stored, and never will.
fn refused(error: &dyn std::error::Error) -> Outcome {
    Outcome::failed(&error.to_string()).unwrap_or_else(|_| Outcome::Failed(pgmill::Json::null()))
}
