//! Requests that wait for a task.
//!
//! All who wait for tasks of the same queues stand in one line, and one loop of [`Arrivals`] tells the line when to look: ten
//! thousand requests that wait cost the database as much as one. The loop begins with the first of them, and ends with the
//! last.
//!
//! ```text
//!                 looks once, which finds nothing             is called
//!   enter ──▶ in line ──────────────────────────▶ in line ──────────────▶ looking
//!                                                  │   ▲                    │  │
//!       the time is over, shutdown, or the client  │   └── finds nothing: ──┘  │ finds a task: the next two are called,
//!       went away: leaves                          ▼       to its old place    ▼ for there may be more; leaves
//! ```
//!
//! - An arrival calls the first in line, which is the one that has waited longest. A burst of tasks is met by a chain of calls,
//!   twice as many each time; it ends where nothing is found.
//! - One is in line before it looks for the first time, so that what comes between that look and the wait calls it.
//! - One who leaves while it is called passes the call on: dropping its place is enough. Only one whose look failed does not,
//!   for while the database is away all of them would fail in turn.
//! - The loop waits for the chain to end before it asks when the next task is due, which is what [`Arrivals`] wants.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use pgmill::{Arrivals, Namespace, QueueName};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::caller::Caller;
use crate::error::ApiError;

/// How many different things are waited for at most: each has a loop, and rows in the database. Queues that nobody knows can be
/// waited for, too, and names can be made up without end.
const MOST_ROOMS: usize = 1_000;
/// So many rooms are opened for whoever asks.
const FREE_FOR_ALL: usize = MOST_ROOMS / 2;
/// Of those beyond, a token opens none that has so many already: nobody keeps all others out.
const SHARE: usize = MOST_ROOMS / 4;

/// What is waited for: a namespace, and queues of it in order, or none for any.
type Wanted = (Namespace, Vec<QueueName>);

/// Where requests wait for tasks.
#[derive(Debug, Default)]
pub(crate) struct Lobby {
    rooms: Mutex<HashMap<Wanted, Opened>>,
}

/// A room, as long as somebody is in it, and the token that opened it, if a token did.
#[derive(Debug)]
struct Opened {
    room: Weak<Room>,
    by: Option<u64>,
}

/// Those who wait for the same.
#[derive(Debug)]
struct Room {
    line: Arc<Line>,
    /// Ends the loop when the last has left.
    _loop: DropGuard,
}

#[derive(Debug, Default)]
struct Line {
    state: Mutex<State>,
    /// Nobody is looking any more.
    settled: Notify,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// Who waits to be called, by when they came.
    waiting: BTreeMap<u64, Arc<Notify>>,
    /// How many are called and have not said what they found.
    looking: usize,
    /// Somebody found a task since the loop was told last.
    found: bool,
}

/// A place in line. Whoever leaves drops it.
#[derive(Debug)]
pub(crate) struct Place {
    room: Arc<Room>,
    number: u64,
    called: Arc<Notify>,
    /// How many are called in turn, if this one is called when it leaves.
    passes_on: usize,
}

impl Lobby {
    /// Gets in line for a task of these queues, or (none) of any queue; to be done before the first look.
    ///
    /// # Errors
    /// If a name is one no queue can have, or as many different things are waited for as can be, or as the caller's token may.
    pub(crate) fn enter(&self, caller: &Caller, mut queues: Vec<QueueName>) -> Result<Place, ApiError> {
        queues.sort_unstable();
        queues.dedup();
        let manager = &caller.manager;
        let mut rooms = lock(&self.rooms);
        let key = (manager.namespace().clone(), queues);
        let room = match rooms.get(&key).and_then(|opened| opened.room.upgrade()) {
            Some(room) => room,
            None => {
                // Rooms that are empty make way for those that are opened.
                rooms.retain(|_, opened| opened.room.strong_count() > 0);
                if rooms.len() >= MOST_ROOMS {
                    return Err(ApiError::too_many_waits());
                }
                let by = caller.token().map(|known| known.token().id);
                if by.is_some() && rooms.len() >= FREE_FOR_ALL {
                    let own = rooms.values().filter(|opened| opened.by == by).count();
                    if own >= SHARE {
                        return Err(
                            ApiError::too_many_waits().with_detail("this token has its share of them")
                        );
                    }
                }
                let names: Vec<&str> = key.1.iter().map(QueueName::as_str).collect();
                let room = Arc::new(Room::open(manager.arrivals(&names)?));
                rooms.insert(key, Opened { room: Arc::downgrade(&room), by });
                room
            }
        };
        Ok(Place::last(room))
    }
}

impl Room {
    fn open(arrivals: Arrivals) -> Self {
        let (line, over) = (Arc::new(Line::default()), CancellationToken::new());
        let announced = announce(arrivals, Arc::clone(&line));
        tokio::spawn(over.clone().run_until_cancelled_owned(announced));
        Self { line, _loop: over.drop_guard() }
    }
}

/// Calls the first in line whenever a task may have come.
async fn announce(mut arrivals: Arrivals, line: Arc<Line>) {
    loop {
        arrivals.wait().await;
        line.call(1);
        line.until_settled().await;
        if std::mem::take(&mut lock(&line.state).found) {
            arrivals.found();
        }
    }
}

impl Line {
    /// Calls so many, those first who have waited longest.
    fn call(&self, count: usize) {
        lock(&self.state).call(count);
    }

    async fn until_settled(&self) {
        while lock(&self.state).looking > 0 {
            self.settled.notified().await;
        }
    }
}

impl State {
    fn call(&mut self, count: usize) {
        for _ in 0..count {
            let Some((_, called)) = self.waiting.pop_first() else { return };
            self.looking += 1;
            called.notify_one();
        }
    }
}

impl Place {
    fn last(room: Arc<Room>) -> Self {
        let called = Arc::new(Notify::new());
        let number = {
            let mut state = lock(&room.line.state);
            state.next += 1;
            let number = state.next;
            state.waiting.insert(number, Arc::clone(&called));
            number
        };
        Self { room, number, called, passes_on: 1 }
    }

    /// Waits to be called: a task may have come. Dropping the future loses no call.
    pub(crate) async fn called(&self) {
        self.called.notified().await;
    }

    /// After a call there was nothing: back to the old place.
    pub(crate) fn found_nothing(&self) {
        let mut state = lock(&self.room.line.state);
        state.waiting.insert(self.number, Arc::clone(&self.called));
        self.looked(&mut state);
    }

    /// There was a task: leaves, and if called, calls the next two.
    pub(crate) fn found(mut self) {
        self.passes_on = 2;
        lock(&self.room.line.state).found = true;
    }

    /// The look failed: leaves, and calls nobody.
    pub(crate) fn failed(mut self) {
        self.passes_on = 0;
    }

    fn looked(&self, state: &mut State) {
        state.looking -= 1;
        if state.looking == 0 {
            self.room.line.settled.notify_one();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = lock(&self.room.line.state);
        if state.waiting.remove(&self.number).is_none() {
            state.call(self.passes_on);
            self.looked(&mut state);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt;
    use tokio_util::sync::CancellationToken;

    use super::{Line, Place, Room, lock};

    fn line(count: usize) -> (Arc<Room>, Vec<Place>) {
        let room =
            Arc::new(Room { line: Arc::new(Line::default()), _loop: CancellationToken::new().drop_guard() });
        let places = (0..count).map(|_| Place::last(Arc::clone(&room))).collect();
        (room, places)
    }

    fn is_called(place: &Place) -> bool {
        place.called().now_or_never().is_some()
    }

    #[test]
    fn who_has_waited_longest_is_called_and_after_finding_nothing_is_so_again() {
        let (room, places) = line(3);
        for _ in 0..2 {
            room.line.call(1);
            assert_eq!([is_called(&places[0]), is_called(&places[1])], [true, false]);
            places[0].found_nothing();
            assert_eq!(lock(&room.line.state).looking, 0);
        }
    }

    #[test]
    fn one_who_finds_a_task_calls_the_next_two() {
        let (room, mut places) = line(5);
        room.line.call(1);
        places.remove(0).found();
        let called: Vec<bool> = places.iter().map(is_called).collect();
        assert_eq!(called, [true, true, false, false]);
        assert_eq!(lock(&room.line.state).looking, 2);
    }

    #[test]
    fn one_who_leaves_while_called_passes_the_call_on() {
        let (room, mut places) = line(3);
        room.line.call(1);
        drop(places.remove(0));
        assert_eq!([is_called(&places[0]), is_called(&places[1])], [true, false]);
        places.remove(0).failed();
        assert!(!is_called(&places[0]));
        assert_eq!(lock(&room.line.state).looking, 0);
    }

    #[test]
    fn one_who_leaves_uncalled_calls_nobody() {
        let (room, mut places) = line(2);
        drop(places.remove(0));
        assert!(!is_called(&places[0]));
        room.line.call(5);
        assert!(is_called(&places[0]));
        assert_eq!(lock(&room.line.state).looking, 1);
    }
}
