//! Who watches in this process, and what there is for them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use pgmill_schema::{EventFilter, Namespace, Status, TaskEvent};
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;

use super::Feed;

/// How long changes are held, so that they can be sorted: what happened first may be told last.
const HOLD: Duration = Duration::from_millis(25);
/// The shortest pause between two rounds.
const ROUND: Duration = Duration::from_millis(5);
/// How many changes may be held. What comes then is counted as lost.
const HELD_MOST: usize = 8_192;
/// How many changes are handed out before others run: those who watch, for one.
const SLICE: usize = 128;

/// What one who watches is handed.
#[derive(Debug, Clone)]
pub(super) enum Item {
    Event(Arc<TaskEvent>),
    Lost(Option<u64>),
}

/// One who watches.
pub(super) struct Subscriber {
    pub(super) filter: EventFilter,
    pub(super) items: Sender<Item>,
    /// It did not fetch what there was for it.
    pub(super) dropped: Arc<AtomicBool>,
}

impl Subscriber {
    /// Whether it is still there.
    fn hand(&self, item: Item) -> bool {
        let handed = self.items.try_send(item).is_ok();
        if !handed {
            self.dropped.store(true, Ordering::Release);
        }
        handed
    }
}

#[derive(Default)]
pub(super) struct Desk {
    /// How many watch: mostly none, and then nothing else is looked at.
    count: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    subscribers: HashMap<Namespace, HashMap<u64, Subscriber>>,
    next: u64,
    /// In the order they came in.
    held: Vec<Held>,
    lost: HashMap<Namespace, Option<u64>>,
    /// Somebody hands out, and looks again before ending.
    handing: bool,
    /// Somebody sees to it that others tell this process.
    keeping: bool,
    closed: bool,
}

struct Held {
    since: Instant,
    event: Arc<TaskEvent>,
}

impl Held {
    /// The order in which changes happened. At the same time, those of one task go by its attempts.
    fn place(&self) -> (Timestamp, u32, bool) {
        (self.event.at, self.event.attempt, self.event.status != Status::Retained)
    }
}

impl Desk {
    /// The number it has here; and whether nobody keeps watch yet, which is then to be begun. Nothing once it is closed.
    pub(super) fn subscribe(&self, namespace: &Namespace, subscriber: Subscriber) -> Option<(u64, bool)> {
        let mut state = self.state();
        if state.closed {
            return None;
        }
        state.next += 1;
        let number = state.next;
        state.subscribers.entry(namespace.clone()).or_default().insert(number, subscriber);
        let begin = !std::mem::replace(&mut state.keeping, true);
        self.recount(&state);
        Some((number, begin))
    }

    pub(super) fn unsubscribe(&self, namespace: &Namespace, number: u64) {
        let mut state = self.state();
        let State { subscribers, .. } = &mut *state;
        if let Some(those) = subscribers.get_mut(namespace) {
            those.remove(&number);
        }
        self.tidy(&mut state);
    }

    /// The namespaces that are watched, in order.
    pub(super) fn namespaces(&self) -> Vec<Namespace> {
        let mut namespaces: Vec<_> = self.state().subscribers.keys().cloned().collect();
        namespaces.sort_unstable();
        namespaces
    }

    /// Whether any is.
    pub(super) fn is_watched(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    /// Ends keeping watch, unless somebody watches.
    pub(super) fn end_keeping(&self) -> bool {
        let mut state = self.state();
        state.keeping = !state.subscribers.is_empty();
        !state.keeping
    }

    /// Whether somebody watches the namespace.
    pub(super) fn wants(&self, namespace: &Namespace) -> bool {
        self.is_watched() && self.state().subscribers.contains_key(namespace)
    }

    /// Takes a change; whether handing out is to be begun.
    pub(super) fn put(&self, event: &Arc<TaskEvent>) -> bool {
        let mut state = self.state();
        if state.held.len() < HELD_MOST {
            state.held.push(Held { since: Instant::now(), event: Arc::clone(event) });
        } else {
            state.lose(&event.namespace, Some(1));
        }
        !std::mem::replace(&mut state.handing, true)
    }

    /// Counts changes that there is nothing to be told of (`None`: nobody knows how many); whether handing out is to be begun.
    pub(super) fn lose(&self, namespace: &Namespace, count: Option<u64>) -> bool {
        let mut state = self.state();
        state.lose(namespace, count);
        !std::mem::replace(&mut state.handing, true)
    }

    /// Hands out all there is, and ends everybody.
    pub(super) fn close(&self) {
        let due = self.take(Duration::ZERO);
        self.hand(&due);
        let mut state = self.state();
        state.closed = true;
        state.subscribers.clear();
        self.recount(&state);
    }

    /// When to hand out next; `None` if there is nothing, and handing out ends.
    fn next_round(&self) -> Option<Instant> {
        let mut state = self.state();
        let first = state.held.first().map(|held| held.since);
        state.handing = first.is_some() || !state.lost.is_empty();
        let now = Instant::now();
        state.handing.then(|| (first.unwrap_or(now) + HOLD).max(now + ROUND))
    }

    /// What was held for so long, and what happened before that, in order.
    fn take(&self, hold: Duration) -> Vec<(Namespace, Item)> {
        let mut state = self.state();
        let lost = state.lost.drain().map(|(namespace, count)| (namespace, Item::Lost(count)));
        let mut due: Vec<_> = lost.collect();
        let now = Instant::now();
        let latest = state.held.iter().filter(|held| held.since + hold <= now).map(Held::place).max();
        let (mut ready, held): (Vec<_>, Vec<_>) =
            std::mem::take(&mut state.held).into_iter().partition(|held| Some(held.place()) <= latest);
        state.held = held;
        drop(state);
        ready.sort_by_key(Held::place);
        due.extend(ready.into_iter().map(|held| (held.event.namespace.clone(), Item::Event(held.event))));
        due
    }

    fn hand(&self, due: &[(Namespace, Item)]) {
        let mut state = self.state();
        let mut tidy = false;
        for (namespace, item) in due {
            let Some(those) = state.subscribers.get_mut(namespace) else { continue };
            let before = those.len();
            those.retain(|_, subscriber| match item {
                Item::Event(event) if !subscriber.filter.matches(event) => true,
                item => subscriber.hand(item.clone()),
            });
            tidy |= those.len() < before;
        }
        if tidy {
            self.tidy(&mut state);
        }
    }

    /// Forgets namespaces that nobody watches any more.
    fn tidy(&self, state: &mut State) {
        state.subscribers.retain(|_, those| !those.is_empty());
        self.recount(state);
    }

    fn recount(&self, state: &State) {
        self.count.store(state.subscribers.values().map(HashMap::len).sum(), Ordering::Release);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn lose(&mut self, namespace: &Namespace, count: Option<u64>) {
        let lost = self.lost.entry(namespace.clone()).or_insert(Some(0));
        *lost = lost.zip(count).map(|(lost, count)| lost + count);
    }
}

/// Ends a task of the feed, also with its runtime: then whoever comes next begins another.
pub(super) struct Turn<F: FnOnce()>(pub(super) Option<F>);

impl<F: FnOnce()> Drop for Turn<F> {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}

/// Hands out until there is nothing left.
pub(super) async fn hand_out(feed: Arc<Feed>) {
    let desk = &feed.desk;
    let mut turn = Turn(Some(|| desk.state().handing = false));
    while let Some(next) = desk.next_round() {
        tokio::time::sleep_until(next).await;
        for slice in desk.take(HOLD).chunks(SLICE) {
            desk.hand(slice);
            tokio::task::yield_now().await;
        }
    }
    turn.0 = None;
    // Those who were dropped may have been the last.
    feed.watching.change();
}

/// Keeping watch has ended without its end having been agreed on.
pub(super) fn abandon_keeping(desk: &Desk) {
    desk.state().keeping = false;
}
