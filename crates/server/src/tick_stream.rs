//! The ticks of a namespace, dealt out to the streams that are open for them.
//!
//! One loop for each namespace takes ticks while there are streams, and each tick goes to one of them:
//!
//! ```text
//!                 ┌──▶ stream ──▶ client          in turn; past streams that have no room
//!   loop ──▶ deal ┼──▶ stream ──▶ client
//!    ▲            └──▶ stream ──▶ gone: what it had not sent is dealt to the others
//!    └── takes the next tick only when some stream has room for it
//! ```
//!
//! The first stream begins the loop, and the last one that is dropped ends it; nobody has to be told. A tick that is taken when
//! the last stream goes away is lost, as the contract has it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use pgmill::{Manager, Namespace, Ticker, TickerError, TickerLoop, Ticks};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How many ticks wait for one client at most.
const ROOM: usize = 16;

/// The streams that are open, by namespace.
#[derive(Debug, Default)]
pub(crate) struct TickStreams {
    feeds: Mutex<HashMap<Namespace, Weak<Feed>>>,
}

#[derive(Debug)]
struct Feed {
    table: Arc<Table>,
    /// Ends the loop when the last stream is dropped.
    _loop: DropGuard,
}

#[derive(Debug, Default)]
struct Table {
    state: Mutex<State>,
    /// A stream came, or has room again.
    room: Notify,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// Whose turn it is comes first.
    seats: VecDeque<Seat>,
    /// Ticks of streams that went away, for which the others had no room.
    left: VecDeque<Ticker>,
    /// The loop has ended, and no more ticks will come.
    over: bool,
}

/// A stream, as the loop sees it.
#[derive(Debug)]
struct Seat {
    number: u64,
    ticks: VecDeque<Ticker>,
    dealt: Arc<Notify>,
}

/// The ticks for one client.
#[derive(Debug)]
pub(crate) struct TickStream {
    feed: Arc<Feed>,
    number: u64,
    dealt: Arc<Notify>,
}

impl TickStreams {
    /// Opens a stream of the manager's namespace.
    ///
    /// # Errors
    /// None that can be met: the loop has no setting that could be wrong.
    pub(crate) fn open(&self, manager: &Manager) -> Result<TickStream, TickerError> {
        let mut feeds = lock(&self.feeds);
        let known = feeds.get(manager.namespace()).and_then(Weak::upgrade);
        let feed = match known.filter(|feed| !lock(&feed.table.state).over) {
            Some(feed) => feed,
            None => {
                let feed = Arc::new(Feed::begin(manager.run_ticker_loop(TickerLoop::new())?));
                feeds.retain(|_, feed| feed.strong_count() > 0);
                feeds.insert(manager.namespace().clone(), Arc::downgrade(&feed));
                feed
            }
        };
        Ok(TickStream::of(feed))
    }
}

impl Feed {
    fn begin(ticks: Ticks) -> Self {
        let (table, over) = (Arc::new(Table::default()), CancellationToken::new());
        let dealt = deal(ticks, Arc::clone(&table));
        tokio::spawn(over.clone().run_until_cancelled_owned(dealt));
        Self { table, _loop: over.drop_guard() }
    }
}

async fn deal(mut ticks: Ticks, table: Arc<Table>) {
    loop {
        table.until_room().await;
        match ticks.next().await {
            Some(Ok(tick)) => lock(&table.state).deal(tick),
            Some(Err(error)) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "streams of ticks are closed: {error}"
                );
            }
            None => break,
        }
    }
    let mut state = lock(&table.state);
    state.over = true;
    state.seats.iter().for_each(|seat| seat.dealt.notify_one());
}

impl Table {
    async fn until_room(&self) {
        while !lock(&self.state).has_room() {
            self.room.notified().await;
        }
    }
}

impl State {
    /// Whether somebody can take one more tick, once those that were left are dealt.
    fn has_room(&mut self) -> bool {
        for tick in std::mem::take(&mut self.left) {
            self.deal(tick);
        }
        self.left.is_empty() && self.seats.iter().any(|seat| seat.ticks.len() < ROOM)
    }

    /// Gives a tick to the next stream that has room, whose turn comes last then.
    fn deal(&mut self, tick: Ticker) {
        let Some(turn) = self.seats.iter().position(|seat| seat.ticks.len() < ROOM) else {
            return self.left.push_back(tick);
        };
        self.seats.rotate_left(turn);
        if let Some(mut seat) = self.seats.pop_front() {
            seat.ticks.push_back(tick);
            seat.dealt.notify_one();
            self.seats.push_back(seat);
        }
    }
}

impl TickStream {
    fn of(feed: Arc<Feed>) -> Self {
        let dealt = Arc::new(Notify::new());
        let number = {
            let mut state = lock(&feed.table.state);
            state.next += 1;
            let number = state.next;
            state.seats.push_back(Seat { number, ticks: VecDeque::new(), dealt: Arc::clone(&dealt) });
            number
        };
        feed.table.room.notify_one();
        Self { feed, number, dealt }
    }

    /// The next tick for this client; `None` once no more will come. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Option<Ticker> {
        loop {
            match self.take() {
                Some(tick) => return Some(tick),
                None if lock(&self.feed.table.state).over => return None,
                None => self.dealt.notified().await,
            }
        }
    }

    fn take(&self) -> Option<Ticker> {
        let mut state = lock(&self.feed.table.state);
        let seat = state.seats.iter_mut().find(|seat| seat.number == self.number)?;
        let tick = seat.ticks.pop_front()?;
        self.feed.table.room.notify_one();
        Some(tick)
    }
}

impl Drop for TickStream {
    fn drop(&mut self) {
        let mut state = lock(&self.feed.table.state);
        let Some(index) = state.seats.iter().position(|seat| seat.number == self.number) else { return };
        if let Some(seat) = state.seats.remove(index) {
            seat.ticks.into_iter().for_each(|tick| state.deal(tick));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pgmill::Ticker;
    use serde_json::json;
    use tokio_util::sync::CancellationToken;

    use super::{Feed, ROOM, Table, TickStream, lock};

    fn feed() -> Arc<Feed> {
        Arc::new(Feed { table: Arc::new(Table::default()), _loop: CancellationToken::new().drop_guard() })
    }

    fn tick(number: usize) -> Ticker {
        let ticker = json!({ "ticker": "t", "payload": number, "namespace": "default" });
        serde_json::from_str(&ticker.to_string()).unwrap()
    }

    fn deal(feed: &Feed, numbers: impl IntoIterator<Item = usize>) {
        numbers.into_iter().for_each(|number| lock(&feed.table.state).deal(tick(number)));
    }

    fn taken(stream: &TickStream) -> Vec<usize> {
        let payload = |tick: Ticker| tick.payload.decode().unwrap();
        std::iter::from_fn(|| stream.take()).map(payload).collect()
    }

    #[test]
    fn streams_get_ticks_in_turn() {
        let feed = feed();
        let streams: Vec<_> = (0..3).map(|_| TickStream::of(Arc::clone(&feed))).collect();
        deal(&feed, 0..7);
        let all: Vec<_> = streams.iter().map(taken).collect();
        assert_eq!(all, [vec![0, 3, 6], vec![1, 4], vec![2, 5]]);
    }

    #[test]
    fn a_stream_without_room_is_passed_by() {
        let feed = feed();
        let (slow, quick) = (TickStream::of(Arc::clone(&feed)), TickStream::of(Arc::clone(&feed)));
        deal(&feed, 0..2 * ROOM);
        assert_eq!(taken(&quick).len(), ROOM);
        deal(&feed, 100..103);
        assert_eq!(taken(&quick), [100, 101, 102]);
        assert_eq!(taken(&slow).len(), ROOM);
    }

    #[test]
    fn what_a_stream_had_not_sent_when_it_went_away_goes_to_the_others() {
        let feed = feed();
        let (gone, stays) = (TickStream::of(Arc::clone(&feed)), TickStream::of(Arc::clone(&feed)));
        deal(&feed, 0..2 * ROOM);
        drop(gone);
        let mut ticks = taken(&stays);
        assert!(!lock(&feed.table.state).has_room(), "there was more than it has room for");
        ticks.extend(taken(&stays));
        ticks.sort_unstable();
        assert_eq!(ticks, (0..2 * ROOM).collect::<Vec<_>>());
    }

    #[test]
    fn no_tick_is_taken_while_nobody_has_room() {
        let feed = feed();
        assert!(!lock(&feed.table.state).has_room());
        let stream = TickStream::of(Arc::clone(&feed));
        deal(&feed, 0..ROOM);
        assert!(!lock(&feed.table.state).has_room());
        stream.take();
        assert!(lock(&feed.table.state).has_room());
    }
}
