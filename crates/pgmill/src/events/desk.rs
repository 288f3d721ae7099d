//! Who watches in this process, and what there is for them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use metrics::{Counter, Gauge};
use pgmill_schema::{EventFilter, Namespace, Status, TaskEvent};
use tokio::sync::Notify;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;

use super::Feed;
use super::audience::Audience;
use crate::telemetry::{self, Level};

/// How long changes are held, so that they can be sorted: what happened first may be told last.
const HOLD: Duration = Duration::from_millis(50);
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
    pub(super) items: Sender<Item>,
    /// It did not fetch what there was for it.
    pub(super) dropped: Arc<AtomicBool>,
}

impl Subscriber {
    /// Whether it is still there.
    fn hand(&self, item: Item, drops: &Counter) -> bool {
        let handed = self.items.try_send(item);
        if let Err(TrySendError::Full(_)) = handed {
            self.dropped.store(true, Ordering::Release);
            drops.increment(1);
        }
        handed.is_ok()
    }
}

pub(super) struct Desk {
    /// How many watch: mostly none, and then nothing else is looked at.
    count: AtomicUsize,
    state: Mutex<State>,
    handed: Notify,
    watchers: Gauge,
    dropped: Counter,
    lost: Counter,
}

#[derive(Default)]
struct State {
    subscribers: HashMap<Namespace, Audience<(Subscriber, Level)>>,
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
    pub(super) fn new() -> Self {
        Self {
            count: AtomicUsize::new(0),
            state: Mutex::default(),
            handed: Notify::new(),
            watchers: telemetry::event_watchers(),
            dropped: telemetry::event_watchers_dropped(),
            lost: telemetry::events_lost(),
        }
    }

    /// The number it has here; and whether nobody keeps watch yet, which is then to be begun. Nothing once it is closed.
    pub(super) fn subscribe(
        &self,
        namespace: &Namespace,
        filter: EventFilter,
        subscriber: Subscriber,
    ) -> Option<(u64, bool)> {
        let mut state = self.state();
        if state.closed {
            return None;
        }
        state.next += 1;
        let number = state.next;
        let one = (subscriber, Level::new(&self.watchers, 1.0));
        state.subscribers.entry(namespace.clone()).or_default().insert(number, filter, one);
        let begin = !std::mem::replace(&mut state.keeping, true);
        self.recount(&state);
        Some((number, begin))
    }

    pub(super) fn unsubscribe(&self, namespace: &Namespace, number: u64) {
        let mut state = self.state();
        let State { subscribers, .. } = &mut *state;
        if let Some(those) = subscribers.get_mut(namespace) {
            those.remove(number);
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
        self.put_at(Instant::now(), event)
    }

    fn put_at(&self, since: Instant, event: &Arc<TaskEvent>) -> bool {
        let mut state = self.state();
        if state.closed {
            return false;
        }
        if state.held.len() < HELD_MOST {
            state.held.push(Held { since, event: Arc::clone(event) });
        } else {
            state.lose(&event.namespace, Some(1));
            self.lost.increment(1);
        }
        !std::mem::replace(&mut state.handing, true)
    }

    /// Counts changes that there is nothing to be told of (`None`: nobody knows how many); whether handing out is to be begun.
    pub(super) fn lose(&self, namespace: &Namespace, count: Option<u64>) -> bool {
        let mut state = self.state();
        if state.closed {
            return false;
        }
        state.lose(namespace, count);
        self.lost.increment(count.unwrap_or_default());
        !std::mem::replace(&mut state.handing, true)
    }

    /// Takes no more, and ends everybody once all there is is handed out.
    pub(super) async fn close(&self) {
        loop {
            let handed = self.handed.notified();
            {
                let mut state = self.state();
                state.closed = true;
                if !state.handing {
                    state.subscribers.clear();
                    self.recount(&state);
                    return;
                }
            }
            handed.await;
        }
    }

    fn end_handing(&self, state: &mut State) {
        state.handing = false;
        self.handed.notify_waiters();
    }

    /// When to hand out next; `None` if there is nothing, and handing out ends.
    fn next_round(&self) -> Option<Instant> {
        let mut state = self.state();
        let first = state.held.first().map(|held| held.since);
        if first.is_none() && state.lost.is_empty() {
            self.end_handing(&mut state);
            return None;
        }
        let now = Instant::now();
        Some((first.unwrap_or(now) + HOLD).max(now + ROUND))
    }

    /// What came until then, and what happened before that, in order.
    fn take(&self, until: Instant) -> Vec<(Namespace, Item)> {
        let mut state = self.state();
        let lost = state.lost.drain().map(|(namespace, count)| (namespace, Item::Lost(count)));
        let mut due: Vec<_> = lost.collect();
        let latest = state.held.iter().filter(|held| held.since <= until).map(Held::place).max();
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
            let change = match item {
                Item::Event(event) => Some(&**event),
                Item::Lost(_) => None,
            };
            for number in those.numbers(change) {
                let handed =
                    |(subscriber, _): &(Subscriber, Level)| subscriber.hand(item.clone(), &self.dropped);
                if !those.get(number).is_some_and(handed) {
                    those.remove(number);
                    tidy = true;
                }
            }
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
        self.count.store(state.subscribers.values().map(Audience::len).sum(), Ordering::Release);
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
    let mut turn = Turn(Some(|| desk.end_handing(&mut desk.state())));
    while let Some(next) = desk.next_round() {
        tokio::time::sleep_until(next).await;
        for slice in desk.take(Instant::now() - HOLD).chunks(SLICE) {
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

#[cfg(test)]
mod tests {
    use pgmill_schema::QueueName;
    use tokio::sync::mpsc::{self, Receiver};

    use super::*;

    fn event(id: u64, status: Status, attempt: u32, at: i64) -> Arc<TaskEvent> {
        Arc::new(TaskEvent {
            id,
            namespace: Namespace::new("app").unwrap(),
            queue: QueueName::new("q").unwrap(),
            status,
            attempt,
            worker: None,
            at: Timestamp::from_microsecond(at).unwrap(),
        })
    }

    fn watch(desk: &Desk) -> Receiver<Item> {
        let (sender, items) = mpsc::channel(10);
        let subscriber = Subscriber { items: sender, dropped: Arc::default() };
        desk.subscribe(&Namespace::new("app").unwrap(), EventFilter::new(), subscriber).unwrap();
        items
    }

    fn told(items: &mut Receiver<Item>) -> Vec<(u64, Status)> {
        let next = || match items.try_recv() {
            Ok(Item::Event(event)) => Some((event.id, event.status)),
            _ => None,
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn what_comes_out_of_order_within_the_hold_is_told_in_order() {
        let (desk, begin) = (Desk::new(), Instant::now());
        let mut items = watch(&desk);
        desk.put_at(begin, &event(1, Status::Retained, 2, 20));
        desk.put_at(begin, &event(2, Status::New, 0, 15));
        desk.put_at(begin + HOLD / 2, &event(1, Status::Retry, 1, 10));
        desk.put_at(begin + HOLD / 2, &event(1, Status::Released, 2, 30));
        desk.hand(&desk.take(begin));
        assert_eq!(told(&mut items), [(1, Status::Retry), (2, Status::New), (1, Status::Retained)]);
        desk.hand(&desk.take(begin + HOLD / 3));
        assert_eq!(told(&mut items), [], "too early");
        desk.hand(&desk.take(begin + HOLD / 2));
        assert_eq!(told(&mut items), [(1, Status::Released)]);
    }

    #[test]
    fn at_the_same_time_the_attempts_of_a_task_tell_the_order() {
        let desk = Desk::new();
        let mut items = watch(&desk);
        desk.put(&event(1, Status::Retained, 2, 10));
        desk.put(&event(1, Status::Retry, 1, 10));
        desk.put(&event(1, Status::Retained, 1, 10));
        desk.put(&event(1, Status::New, 0, 10));
        desk.hand(&desk.take(Instant::now()));
        let retained = (1, Status::Retained);
        assert_eq!(told(&mut items), [(1, Status::New), retained, (1, Status::Retry), retained]);
    }

    #[test]
    fn handing_out_that_is_cut_short_leaves_its_turn_to_the_next() {
        let desk = Desk::new();
        let _items = watch(&desk);
        assert!(desk.put(&event(1, Status::New, 0, 1)), "handing out begins");
        assert!(!desk.put(&event(2, Status::New, 0, 2)));
        drop(Turn(Some(|| desk.end_handing(&mut desk.state()))));
        assert!(desk.put(&event(3, Status::New, 0, 3)));
    }
}
