//! Gathers calls into flights.
//!
//! ```text
//!            submit                    a flight is free
//!   caller ─────────▶ waiting ───────────────────────────▶ in the air ───▶ answered
//!              │         │   up to max_rows / max_bytes        │  lands: takes what gathered meanwhile,
//!     no room: │         │ caller went away: dropped           │  or becomes free
//!     waits ◀──┘         ▼                                     ▼
//! ```
//!
//! There is no timer. While a flight is free a call departs at once, alone; while all are in the air, calls gather, and
//! leave together when one lands. So the size of a batch follows the load: the longer a statement takes, the more it
//! carries next time.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::options::BatchOptions;
use crate::home::Home;
use crate::telemetry::{BatchMeters, Level};

/// How many times a flight that has landed lets others run before it leaves again.
const TURNAROUND: usize = 2;
/// What one permit of the room stands for.
const PERMIT_BYTES: usize = 1 << 10;

/// What a batcher does with the calls it has gathered.
pub(crate) trait Flight: Send + Sync + 'static {
    /// A caller's request, and the way back to the caller.
    type Call: Send + 'static;

    /// The bytes of its payload.
    fn bytes(call: &Self::Call) -> usize;

    /// The rows that it writes.
    fn rows(_: &Self::Call) -> usize {
        1
    }

    /// Whether nobody waits for the answer any more, so that the call need not depart.
    fn is_abandoned(call: &Self::Call) -> bool;

    /// Carries the calls to the database and answers each of them.
    fn fly(&self, calls: Vec<Self::Call>) -> impl Future<Output = ()> + Send;
}

/// The batcher is closed, and takes no more calls.
#[derive(Debug)]
pub(crate) struct Closed;

pub(crate) struct Batcher<F: Flight> {
    inner: Arc<Inner<F>>,
}

struct Inner<F: Flight> {
    flight: F,
    options: BatchOptions,
    meters: BatchMeters,
    home: Home,
    room: Arc<Semaphore>,
    permits: u32,
    state: Mutex<State<F::Call>>,
    landed: Notify,
}

struct State<C> {
    waiting: VecDeque<Waiting<C>>,
    flying: usize,
    closed: bool,
}

struct Waiting<C> {
    call: C,
    /// Room in memory, given back when the call departs.
    _room: Option<OwnedSemaphorePermit>,
}

impl<F: Flight> Clone for Batcher<F> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<F: Flight> Batcher<F> {
    /// Must be called within a tokio runtime.
    pub(crate) fn new(flight: F, options: BatchOptions, meters: BatchMeters) -> Self {
        let permits = u32::try_from((options.room / PERMIT_BYTES).clamp(1, Semaphore::MAX_PERMITS))
            .unwrap_or(u32::MAX >> 4);
        let room = Arc::new(Semaphore::new(permits as usize));
        let state = Mutex::new(State { waiting: VecDeque::new(), flying: 0, closed: false });
        let (home, landed) = (Home::current(), Notify::new());
        let inner = Inner { flight, options, meters, home, room, permits, state, landed };
        Self { inner: Arc::new(inner) }
    }

    /// Hands a call over, once there is room for it.
    pub(crate) async fn submit(&self, call: F::Call) -> Result<(), Closed> {
        let wanted = u32::try_from(1 + F::bytes(&call) / PERMIT_BYTES).unwrap_or(u32::MAX);
        let wanted = wanted.min(self.inner.permits);
        let room = match Arc::clone(&self.inner.room).try_acquire_many_owned(wanted) {
            Ok(room) => room,
            Err(TryAcquireError::Closed) => return Err(Closed),
            Err(TryAcquireError::NoPermits) => {
                let room = Arc::clone(&self.inner.room).acquire_many_owned(wanted);
                room.await.map_err(|_| Closed)?
            }
        };
        self.inner.push(Waiting { call, _room: Some(room) })
    }

    /// Hands a call over at once, room or not: for what must not be lost, and is not a caller's doing.
    pub(crate) fn push(&self, call: F::Call) -> Result<(), Closed> {
        self.inner.push(Waiting { call, _room: None })
    }

    /// Whether a call would depart at once, alone, and nothing is in the air.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.inner.state();
        !state.closed && state.flying == 0 && state.waiting.is_empty()
    }

    /// Takes no more calls, and returns when those that were taken are answered.
    pub(crate) async fn close(&self) {
        self.inner.room.close();
        loop {
            let landed = self.inner.landed.notified();
            {
                let mut state = self.inner.state();
                state.closed = true;
                if state.flying == 0 && state.waiting.is_empty() {
                    return;
                }
            }
            landed.await;
        }
    }
}

impl<F: Flight> Inner<F> {
    fn state(&self) -> MutexGuard<'_, State<F::Call>> {
        // Nothing that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(self: &Arc<Self>, waiting: Waiting<F::Call>) -> Result<(), Closed> {
        self.meters.gathered();
        {
            let mut state = self.state();
            if state.closed {
                drop(state);
                self.meters.departed(1);
                return Err(Closed);
            }
            state.waiting.push_back(waiting);
            if state.flying >= self.options.flights {
                return Ok(());
            }
            state.flying += 1;
        }
        self.depart();
        Ok(())
    }

    /// Starts a flight that was counted as flying already.
    fn depart(self: &Arc<Self>) {
        let runtime = self.home.runtime();
        let landing = Landing { inner: Arc::clone(self), landed: false, _level: self.meters.flight() };
        runtime.spawn(async move {
            // As a whole: its parts alone would be moved in otherwise.
            let mut landing = landing;
            while let Some(calls) = landing.inner.take() {
                let count = calls.len();
                outlive_panics(landing.inner.flight.fly(calls)).await;
                // Those who were just answered get to run, and may hand over their next call, before this flight leaves
                // again: at 64 callers this alone is half as much again. A single call, with nothing else in the air, has
                // nobody to wait for, and another thread would be woken for it, just when it is wanted elsewhere.
                let turns = if count == 1 && landing.inner.is_alone() { 0 } else { TURNAROUND };
                for _ in 0..turns {
                    breathe().await;
                }
            }
            landing.landed = true;
        });
    }

    /// Whether nothing else is in the air, and nothing waits.
    fn is_alone(&self) -> bool {
        let state = self.state();
        state.flying == 1 && state.waiting.is_empty()
    }

    /// The calls that leave with the next statement; `None` where there are none.
    fn take(&self) -> Option<Vec<F::Call>> {
        let mut state = self.state();
        let gathered = state.waiting.len();
        let mut calls = Vec::with_capacity(gathered.min(self.options.max_rows));
        let (mut rows, mut bytes) = (0, 0);
        while let Some(next) = state.waiting.pop_front() {
            if F::is_abandoned(&next.call) {
                continue;
            }
            rows += F::rows(&next.call);
            bytes += F::bytes(&next.call);
            let full = rows > self.options.max_rows || bytes > self.options.max_bytes;
            if full && !calls.is_empty() {
                state.waiting.push_front(next);
                break;
            }
            calls.push(next.call);
        }
        let departed = gathered - state.waiting.len();
        drop(state);
        self.meters.departed(departed);
        (!calls.is_empty()).then_some(calls)
    }
}

/// Lets the others run that are ready. `tokio::task::yield_now` would do so too, but puts the flight aside where no other
/// thread finds it: a task that then blocks the thread would keep it from leaving again.
async fn breathe() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Ends where a future panics, as if it had ended itself. The panic hook has told of it then, and the calls that were in
/// the air are dropped; those that wait are not to be harmed.
async fn outlive_panics(flight: impl Future<Output = ()>) {
    let mut flight = pin!(flight);
    std::future::poll_fn(|context| {
        catch_unwind(AssertUnwindSafe(|| flight.as_mut().poll(context))).unwrap_or(Poll::Ready(()))
    })
    .await;
}

/// Ends a flight. What was handed over since it last looked departs with another one. If the runtime went away, though,
/// another flight would get no further: then the calls are dropped, which their callers see.
struct Landing<F: Flight> {
    inner: Arc<Inner<F>>,
    landed: bool,
    _level: Level,
}

impl<F: Flight> Drop for Landing<F> {
    fn drop(&mut self) {
        let (again, dropped) = {
            let mut state = self.inner.state();
            let dropped = if self.landed { VecDeque::new() } else { std::mem::take(&mut state.waiting) };
            let again = !state.waiting.is_empty();
            if !again {
                state.flying -= 1;
            }
            (again, dropped)
        };
        // Outside of the lock, for a call that is dropped may push another.
        self.inner.meters.departed(dropped.len());
        drop(dropped);
        if again {
            self.inner.depart();
        } else {
            self.inner.landed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    /// Carries numbers, all in one flight at a time, and panics over a zero.
    struct Numbers;

    impl Flight for Numbers {
        type Call = (u32, oneshot::Sender<u32>);

        fn bytes(_: &Self::Call) -> usize {
            0
        }

        fn is_abandoned(_: &Self::Call) -> bool {
            false
        }

        async fn fly(&self, calls: Vec<Self::Call>) {
            for (number, answer) in calls {
                if number == 0 {
                    std::panic::resume_unwind(Box::new("on purpose"));
                }
                answer.send(number).unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_flight_that_panics_harms_no_call_but_its_own() {
        let batcher = Batcher::new(
            Numbers,
            BatchOptions::default().flights(1).max_rows(1),
            BatchMeters::new("numbers"),
        );
        let mut waiting = Vec::new();
        for number in [1, 0, 2] {
            let (answer, waits) = oneshot::channel();
            batcher.submit((number, answer)).await.unwrap();
            waiting.push(waits);
        }
        let mut answers = Vec::new();
        for one in waiting {
            answers.push(one.await.ok());
        }
        assert_eq!(answers, [Some(1), None, Some(2)]);
        batcher.close().await;
    }
}
