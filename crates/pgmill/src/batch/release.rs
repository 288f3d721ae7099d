//! The release batcher.

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::Duration;

use pgmill_schema::{Json, Outcome, Status, Task};
use pgmill_store::{Ended, Ending, Fence, Sending, Store, StoreError};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use super::batcher::Flight;
use super::floors::Floors;
use super::settle::{Pauses, Rows, Unsettled, settle_each};
use crate::error::ReleaseError;
use crate::maintenance::ensure_partitions;
use crate::wakes::Wakes;

/// An attempt to be ended, and who waits for it: nobody, if it is given back on behalf of a caller that went away.
pub(crate) struct ReleaseCall {
    pub(crate) ending: Ending,
    pub(crate) answer: Option<oneshot::Sender<Result<ReleaseAnswer, ReleaseError>>>,
}

/// What a release came to.
#[derive(Debug)]
pub(crate) enum ReleaseAnswer {
    Task(Box<Task>),
    Settled(Status),
}

impl Borrow<Ending> for ReleaseCall {
    fn borrow(&self) -> &Ending {
        &self.ending
    }
}

#[derive(Clone)]
pub(crate) struct ReleaseFlight {
    pub(crate) store: Store,
    pub(crate) floors: Arc<Floors>,
    pub(crate) wakes: Arc<Wakes>,
    pub(crate) settle: Duration,
    /// Releases of locked rows, which outlive their flight.
    pub(crate) alone: TaskTracker,
}

impl Flight for ReleaseFlight {
    type Call = ReleaseCall;

    fn bytes(call: &ReleaseCall) -> usize {
        call.ending.outcome.result().map_or(0, Json::len)
    }

    /// A release is carried out, whoever waits for it.
    fn is_abandoned(_: &ReleaseCall) -> bool {
        false
    }

    async fn fly(&self, calls: Vec<ReleaseCall>) {
        settle_each(self.settle, calls, self).await;
    }
}

impl Rows for ReleaseFlight {
    type Call = ReleaseCall;
    /// `None`: unknown, for good.
    type Answer = Option<Ended>;

    async fn send(&self, calls: &[ReleaseCall], sending: Sending) -> Result<Vec<Option<Ended>>, StoreError> {
        let sent: Vec<&Ending> =
            calls.iter().map(Borrow::borrow).filter(|it| may_send(it, sending)).collect();
        let mut ended = self.send_endings(&sent, sending).await?.into_iter();
        Ok(calls
            .iter()
            .map(|call| if may_send(&call.ending, sending) { ended.next() } else { None })
            .collect())
    }

    fn answer(&self, call: ReleaseCall, end: Result<Option<Ended>, Unsettled>) {
        let end = end.and_then(|ended| ended.ok_or(Unsettled::Unknown));
        if matches!(end, Ok(Ended::Locked)) {
            // Somebody outside holds the row, for as long as they like: it must not keep the flight in the air.
            self.alone.spawn(self.clone().release_alone(call));
        } else {
            self.tell(call, end);
        }
    }
}

impl ReleaseFlight {
    async fn send_endings<T: Borrow<Ending> + Sync>(
        &self,
        endings: &[T],
        sending: Sending,
    ) -> Result<Vec<Ended>, StoreError> {
        let answer = self.store.release(endings, sending).await;
        if let Err(StoreError::PartitionMissing(_)) = answer {
            ensure_partitions(&self.store).await?;
        }
        answer
    }

    /// Tries a locked row again and again, until the limit.
    async fn release_alone(self, call: ReleaseCall) {
        let mut pauses = Pauses::within(self.settle);
        let mut sending = Sending::First;
        let ending = call.ending.clone();
        let end = loop {
            if !pauses.pause().await {
                break match sending {
                    Sending::First => Ok(Ended::Locked),
                    Sending::Again => Err(Unsettled::Unknown),
                };
            }
            match self.send_endings(&[&ending], sending).await {
                Ok(answers) => match answers.into_iter().next() {
                    Some(Ended::Locked) | None => {}
                    Some(end) => break Ok(end),
                },
                Err(StoreError::Lost(_)) if !may_send(&ending, Sending::Again) => {
                    break Err(Unsettled::Unknown);
                }
                Err(StoreError::Lost(_)) => sending = Sending::Again,
                Err(error) if error.is_transient() => {}
                Err(error) => break Err(Unsettled::Failed(error.into())),
            }
        };
        self.tell(call, end);
    }

    fn tell(&self, call: ReleaseCall, end: Result<Ended, Unsettled>) {
        let ReleaseCall { ending, answer } = call;
        let id = u64::try_from(ending.fence.id()).unwrap_or_default();
        let result = match end {
            Ok(Ended::Released(task)) => {
                self.returned(&task);
                Ok(ReleaseAnswer::Task(task))
            }
            Ok(Ended::Settled(status)) => Ok(ReleaseAnswer::Settled(status)),
            Ok(Ended::NoTask) => Err(ReleaseError::NotFound { id }),
            Ok(Ended::NotRetained) => Err(ReleaseError::NotRetained { id }),
            Ok(Ended::Superseded) => Err(ReleaseError::Superseded { id }),
            Ok(Ended::Locked) => Err(ReleaseError::Locked { id }),
            Err(Unsettled::Failed(error) | Unsettled::Refused(error, _)) => Err(ReleaseError::Store(error)),
            Err(Unsettled::Unknown) => Err(ReleaseError::Unknown { id }),
        };
        match answer {
            // A caller that went away does not need its answer.
            Some(answer) => drop(answer.send(result)),
            None => {
                if let Err(error) = result {
                    tracing::warn!(
                        task.id = id,
                        "task {id} could not be given back, its lease will lapse: {error}"
                    );
                }
            }
        }
    }

    /// Tells this process's workers of a task that waits again.
    fn returned(&self, task: &Task) {
        if task.status.is_some_and(Status::is_live) {
            let id = i64::try_from(task.id).unwrap_or_default();
            let place = (task.delayed_at.unwrap_or(task.created_at), id);
            self.floors.lower(&task.namespace, &task.queue, i16::from(task.priority), place);
            self.wakes.wake(&task.namespace, &task.queue);
        }
    }
}

/// Without a fence, a repetition could not tell the attempt that it has ended from the next one, and would end that too.
fn may_send(ending: &Ending, sending: Sending) -> bool {
    sending == Sending::First || matches!(ending.fence, Fence::Claim(_))
}

/// Gives retained tasks back that nobody will run.
pub(crate) fn give_back(task: &Task) -> Option<ReleaseCall> {
    let fence = Fence::Claim(task.claim()?);
    let ending = Ending { namespace: task.namespace.clone(), fence, outcome: Outcome::GiveBack };
    Some(ReleaseCall { ending, answer: None })
}
