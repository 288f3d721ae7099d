//! The enqueue batcher.

use std::borrow::Borrow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pgmill_store::{Arrival, Enqueued, NewTask, Sending, Store, StoreError};

use super::batcher::Flight;
use super::floors::Floors;
use super::ids::Ids;
use super::reply::Reply;
use super::settle::{Rows, Unsettled, settle_each};
use crate::error::EnqueueError;
use crate::events::{Change, Feed};
use crate::telemetry::{BatchMeters, Meters};
use crate::wakes::Wakes;

/// A task to be created, and who waits for it, and is given it back.
pub(crate) struct EnqueueCall {
    /// Its id is set when it departs.
    pub(crate) task: NewTask,
    pub(crate) answer: Reply<(NewTask, Enqueued), EnqueueError>,
}

impl Borrow<NewTask> for EnqueueCall {
    fn borrow(&self) -> &NewTask {
        &self.task
    }
}

pub(crate) struct EnqueueFlight {
    pub(crate) store: Store,
    pub(crate) ids: Arc<Ids>,
    pub(crate) floors: Arc<Floors>,
    pub(crate) wakes: Arc<Wakes>,
    pub(crate) events: Arc<Feed>,
    pub(crate) meters: Arc<Meters>,
    pub(crate) batch_meters: BatchMeters,
    pub(crate) settle: Duration,
}

impl Flight for EnqueueFlight {
    type Call = EnqueueCall;

    fn bytes(call: &EnqueueCall) -> usize {
        call.task.payload.len()
    }

    fn is_abandoned(call: &EnqueueCall) -> bool {
        call.answer.is_closed()
    }

    async fn fly(&self, mut calls: Vec<EnqueueCall>) {
        match self.ids.take(calls.len()).await {
            Ok(ids) => calls.iter_mut().zip(ids).for_each(|(call, id)| {
                call.task.id = id;
                call.answer.depart(unknown(id));
            }),
            Err(error) => {
                let error = EnqueueError::Store(error.into());
                calls.into_iter().for_each(|call| call.answer.send(Err(error.clone())));
                return;
            }
        }
        settle_each(self.settle, (calls, Sending::First), &Round { flight: self, told: Mutex::default() })
            .await;
    }
}

/// The tasks of a flight, and who was told of those that were sent last.
struct Round<'a> {
    flight: &'a EnqueueFlight,
    told: Mutex<Told>,
}

/// The queues that were told of already: by this process, and to others by a notice behind the tasks.
#[derive(Default)]
struct Told {
    here: Vec<Arrival>,
    elsewhere: Vec<Arrival>,
}

impl Rows for Round<'_> {
    type Call = EnqueueCall;
    type Answer = Enqueued;

    fn meters(&self) -> &BatchMeters {
        &self.flight.batch_meters
    }

    async fn send(&self, calls: &[EnqueueCall], sending: Sending) -> Result<Vec<Enqueued>, StoreError> {
        // A batch that was split is committed in parts: who was told of one has not been told of the next.
        *self.told() = Told::default();
        let EnqueueFlight { store, wakes, .. } = self.flight;
        if sending == Sending::First
            && let Some(lead) = wakes.lead(calls.iter().map(|call| &call.task))
        {
            let (enqueued, waking) = store.enqueue_and_wake(calls, wakes.process, &lead.arrivals).await?;
            self.told().elsewhere = lead.sent(waking);
            return Ok(enqueued);
        }
        store.enqueue(calls, sending).await
    }

    fn answer(&self, call: EnqueueCall, end: Result<(Enqueued, Sending), Unsettled>) {
        let EnqueueCall { task, answer } = call;
        let result = match end {
            Ok((enqueued, _)) => {
                self.arrived(&task, enqueued);
                Ok((task, enqueued))
            }
            Err(Unsettled::Failed(error) | Unsettled::Refused(error, _)) => Err(EnqueueError::Store(error)),
            Err(Unsettled::Unknown) => {
                self.flight.events.lose(&task.namespace, 1);
                Err(unknown(task.id))
            }
        };
        answer.send(result);
    }
}

impl Round<'_> {
    /// Tells workers of a task that was committed.
    fn arrived(&self, task: &NewTask, enqueued: Enqueued) {
        self.flight.floors.arrived(task, &enqueued);
        let Some(due_in) = due_in(&enqueued) else { return };
        publish(&self.flight.events, task, &enqueued);
        self.flight.meters.of(&task.namespace, &task.queue).created.increment(1);
        let known = |told: &Arrival| told.0 == task.namespace && told.1 == task.queue && told.2 <= due_in;
        let mut told = self.told();
        if told.here.iter().rev().any(known) {
            return;
        }
        told.here.push((task.namespace.clone(), task.queue.clone(), due_in));
        self.flight.wakes.wake_here(&task.namespace, &task.queue, due_in);
        if !told.elsewhere.iter().any(known) {
            self.flight.wakes.tell(&task.namespace, &task.queue, due_in);
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells those who watch of a task that was committed.
pub(crate) fn publish(events: &Arc<Feed>, task: &NewTask, enqueued: &Enqueued) {
    let id = u64::try_from(task.id).unwrap_or_default();
    match enqueued {
        Enqueued::Created { created_at, .. } => {
            events.publish_change(&Change::created(id, &task.namespace, &task.queue, *created_at));
        }
        // Created some time ago, and what it is now is not known.
        Enqueued::Settled => events.lose(&task.namespace, 1),
        Enqueued::KeyTaken(_) | Enqueued::NoQueue | Enqueued::DelayedInPast => {}
    }
}

/// In what time a task is due that has come to wait; `None` if none has.
pub(crate) fn due_in(enqueued: &Enqueued) -> Option<Duration> {
    match enqueued {
        Enqueued::Created { created_at, run_at, .. } => {
            Some(Duration::try_from(run_at.duration_since(*created_at)).unwrap_or_default())
        }
        Enqueued::Settled => Some(Duration::ZERO),
        Enqueued::KeyTaken(_) | Enqueued::NoQueue | Enqueued::DelayedInPast => None,
    }
}

fn unknown(id: i64) -> EnqueueError {
    EnqueueError::Unknown { id: u64::try_from(id).unwrap_or_default() }
}
