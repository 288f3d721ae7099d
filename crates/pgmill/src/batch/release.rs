//! The release batcher.

use std::borrow::Borrow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pgmill_schema::{Json, Outcome, Status, Task};
use pgmill_store::{Ended, Ending, Fence, Sending, Store, StoreError};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::batcher::Flight;
use super::floors::Floors;
use super::reply::Reply;
use super::settle::{Pauses, Rows, Unsettled, settle_each};
use crate::error::ReleaseError;
use crate::events::Feed;
use crate::maintenance::ensure_partitions;
use crate::telemetry::{BatchMeters, Fate, Meters};
use crate::wakes::Wakes;

/// How long a claim of another process may hold a row that it looks at.
const BRIEFLY: Duration = Duration::from_millis(2);
/// How many releases of locked rows are sent at once. There may be thousands of them, which must leave the connections to
/// the flights.
pub(crate) const ALONE_AT_ONCE: usize = 2;

/// An attempt to be ended, and who waits for it: nobody, if it is given back on behalf of a caller that went away.
pub(crate) struct ReleaseCall {
    pub(crate) ending: Ending,
    /// `Again` if an earlier call for the same ending was answered as unknown.
    pub(crate) sending: Sending,
    pub(crate) answer: Option<Reply<ReleaseAnswer, ReleaseError>>,
}

/// What a release came to.
#[derive(Debug)]
pub(crate) enum ReleaseAnswer {
    Task(Box<Task>),
    Settled(Status),
}

impl ReleaseAnswer {
    /// The status of the task now.
    pub(crate) fn status(&self) -> Option<Status> {
        match self {
            Self::Task(task) => task.status,
            Self::Settled(status) => Some(*status),
        }
    }
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
    pub(crate) events: Arc<Feed>,
    pub(crate) meters: Arc<Meters>,
    pub(crate) batch_meters: BatchMeters,
    pub(crate) settle: Duration,
    /// Releases of locked rows, which outlive their flight.
    pub(crate) alone: TaskTracker,
    /// Whose turn it is among them.
    pub(crate) turns: Arc<Semaphore>,
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

    async fn fly(&self, mut calls: Vec<ReleaseCall>) {
        for ReleaseCall { ending, answer, .. } in &mut calls {
            if let Some(answer) = answer {
                answer.depart(ReleaseError::Unknown { id: id(ending) });
            }
        }
        let again: Vec<_> = calls.extract_if(.., |call| call.sending == Sending::Again).collect();
        let (plain, mut others): (Vec<_>, Vec<_>) =
            calls.into_iter().partition(|call| call.ending.is_plain());
        match self.end_plain(plain).await {
            (left, Sending::First) => others.extend(left),
            (left, Sending::Again) => self.end(left, Sending::Again).await,
        }
        self.end(others, Sending::First).await;
        self.end(again, Sending::Again).await;
    }
}

/// The releases of a flight, and those of them whose rows were found locked.
struct Round<'a> {
    flight: &'a ReleaseFlight,
    locked: Mutex<Vec<ReleaseCall>>,
}

impl<'a> Round<'a> {
    fn of(flight: &'a ReleaseFlight) -> Self {
        Self { flight, locked: Mutex::default() }
    }

    fn locked(self) -> Vec<ReleaseCall> {
        self.locked.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows for Round<'_> {
    type Call = ReleaseCall;
    /// `None`: unknown, for good.
    type Answer = Option<Ended>;

    fn meters(&self) -> &BatchMeters {
        &self.flight.batch_meters
    }

    async fn send(&self, calls: &[ReleaseCall], sending: Sending) -> Result<Vec<Option<Ended>>, StoreError> {
        let sent: Vec<&Ending> =
            calls.iter().map(Borrow::borrow).filter(|it| may_send(it, sending)).collect();
        let mut ended = self.flight.send_endings(&sent, sending).await?.into_iter();
        Ok(calls
            .iter()
            .map(|call| if may_send(&call.ending, sending) { ended.next() } else { None })
            .collect())
    }

    fn answer(&self, call: ReleaseCall, end: Result<(Option<Ended>, Sending), Unsettled>) {
        match end {
            Ok((Some(Ended::Locked), Sending::First)) => {
                self.locked.lock().unwrap_or_else(PoisonError::into_inner).push(call);
            }
            // Somebody holds the row, for as long as they like: it must not keep the flight in the air. It may be an
            // earlier sending of this release, which the server is still at.
            Ok((Some(Ended::Locked), Sending::Again)) => {
                self.flight.alone.spawn(self.flight.clone().release_alone(call, Sending::Again));
            }
            Ok((ended, _)) => self.flight.tell(call, ended.ok_or(Unsettled::Unknown)),
            Err(end) => self.flight.tell(call, Err(end)),
        }
    }
}

impl ReleaseFlight {
    /// Ends those that are done the shorter way. Returns the calls that it could not, and how they are to be sent now.
    async fn end_plain(&self, mut calls: Vec<ReleaseCall>) -> (Vec<ReleaseCall>, Sending) {
        if calls.is_empty() {
            return (calls, Sending::First);
        }
        let sent = Instant::now();
        let answer = self.store.release_done(&calls).await;
        self.batch_meters.sent(calls.len(), sent.elapsed(), &answer);
        match answer {
            Ok((ended_at, released)) => {
                let mut left = Vec::new();
                for (mut call, released) in calls.drain(..).zip(released) {
                    match call.ending.task.take_if(|_| released) {
                        Some(task) => {
                            let ended = Ended::done(task, &call.ending.outcome, ended_at);
                            self.tell(call, Ok(ended));
                        }
                        None => left.push(call),
                    }
                }
                (left, Sending::First)
            }
            Err(StoreError::Lost(_)) => (calls, Sending::Again),
            Err(_) => (calls, Sending::First),
        }
    }

    /// Ends these in whatever way they are to end, and answers each.
    async fn end(&self, calls: Vec<ReleaseCall>, sending: Sending) {
        if calls.is_empty() {
            return;
        }
        let round = Round::of(self);
        settle_each(self.settle, (calls, sending), &round).await;
        let locked = round.locked();
        if locked.is_empty() {
            return;
        }
        // Mostly by a claim of another process, which has looked at the row and let go of it by now.
        tokio::time::sleep(BRIEFLY).await;
        let round = Round::of(self);
        settle_each(self.settle, (locked, Sending::First), &round).await;
        for call in round.locked() {
            self.alone.spawn(self.clone().release_alone(call, Sending::First));
        }
    }

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
    async fn release_alone(self, call: ReleaseCall, mut sending: Sending) {
        let mut pauses = Pauses::within(self.settle);
        let ending = &call.ending;
        let end = loop {
            let Some(answer) = self.send_alone(ending, sending, &mut pauses).await else {
                break match sending {
                    Sending::First => Ok(Ended::Locked),
                    Sending::Again => Err(Unsettled::Unknown),
                };
            };
            match answer {
                Ok(answers) => match answers.into_iter().next() {
                    Some(Ended::Locked) | None => {}
                    Some(end) => break Ok(end),
                },
                Err(StoreError::Lost(_)) if !may_send(ending, Sending::Again) => {
                    break Err(Unsettled::Unknown);
                }
                Err(StoreError::Lost(_)) if sending == Sending::First => {
                    sending = Sending::Again;
                    pauses = Pauses::within(self.settle);
                }
                Err(StoreError::Lost(_)) => {}
                Err(error) if error.is_transient() => {}
                Err(error) => break Err(Unsettled::Failed(error.into())),
            }
        };
        self.tell(call, end);
    }

    /// Sends one ending after a pause, when it is its turn; `None` if the limit was reached before.
    async fn send_alone(
        &self,
        ending: &Ending,
        sending: Sending,
        pauses: &mut Pauses,
    ) -> Option<Result<Vec<Ended>, StoreError>> {
        if !pauses.pause().await {
            return None;
        }
        let turn = pauses.wait_for(self.turns.acquire()).await?;
        let sent = Instant::now();
        let answer = self.send_endings(&[ending], sending).await;
        self.batch_meters.sent(1, sent.elapsed(), &answer);
        drop(turn);
        Some(answer)
    }

    fn tell(&self, call: ReleaseCall, end: Result<Ended, Unsettled>) {
        let ReleaseCall { ending, answer, .. } = call;
        let id = id(&ending);
        let result = match end {
            Ok(Ended::Released { task, due_in, ended_at }) => {
                self.events.publish_at(&task, ended_at);
                if let Some(fate) = Fate::chosen(&ending.outcome).or(task.status.map(Fate::of)) {
                    self.meters.of(&task.namespace, &task.queue).released(fate);
                }
                self.returned(&task, due_in);
                Ok(ReleaseAnswer::Task(task))
            }
            Ok(Ended::Settled(status)) => {
                self.events.lose(&ending.namespace, 1);
                Ok(ReleaseAnswer::Settled(status))
            }
            Ok(Ended::NoTask) => Err(ReleaseError::NotFound { id }),
            Ok(Ended::NotRetained) => Err(ReleaseError::NotRetained { id }),
            Ok(Ended::Superseded) => Err(ReleaseError::Superseded { id }),
            Ok(Ended::Locked) => Err(ReleaseError::Locked { id }),
            Ok(Ended::LeaseRequired) => Err(ReleaseError::LeaseRequired { id }),
            Err(Unsettled::Failed(error) | Unsettled::Refused(error, _)) => Err(ReleaseError::Store(error)),
            Err(Unsettled::Unknown) => {
                self.events.lose(&ending.namespace, 1);
                Err(ReleaseError::Unknown { id })
            }
        };
        match answer {
            Some(answer) => answer.send(result),
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
    fn returned(&self, task: &Task, due_in: Duration) {
        if task.status.is_some_and(Status::is_live) {
            let id = i64::try_from(task.id).unwrap_or_default();
            let place = (task.delayed_at.unwrap_or(task.created_at), id);
            self.floors.lower(&task.namespace, &task.queue, i16::from(task.priority), place);
            self.wakes.wake(&task.namespace, &task.queue, due_in);
        }
    }
}

fn id(ending: &Ending) -> u64 {
    u64::try_from(ending.fence.id()).unwrap_or_default()
}

/// Without a fence, a repetition could not tell the attempt that it has ended from the next one, and would end that too.
fn may_send(ending: &Ending, sending: Sending) -> bool {
    sending == Sending::First || matches!(ending.fence, Fence::Claim(_))
}

/// Gives retained tasks back that nobody will run.
pub(crate) fn give_back(task: &Task) -> Option<ReleaseCall> {
    let fence = Fence::Claim(task.claim()?);
    let ending = Ending { namespace: task.namespace.clone(), fence, outcome: Outcome::GiveBack, task: None };
    Some(ReleaseCall { ending, sending: Sending::First, answer: None })
}
