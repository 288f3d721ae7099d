//! What other processes are told.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pgmill_schema::{Namespace, TaskEvent};
use pgmill_store::{News, StoreError};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::desk::Turn;
use super::{Feed, LOOK_EVERY};

/// How long changes are gathered before others are told of them.
const GATHER: Duration = Duration::from_millis(10);
/// How many changes may wait to be told. What comes then is counted as lost.
const WAITING_MOST: usize = 4_096;

pub(super) struct Outbox {
    began: Instant,
    /// Until when it is known that nobody watches, in microseconds since it began: then nothing else is looked at.
    quiet_until: AtomicU64,
    state: Mutex<State>,
    told: Notify,
}

#[derive(Default)]
struct State {
    changes: Vec<Arc<TaskEvent>>,
    lost: HashMap<Namespace, u64>,
    /// The namespaces that are watched elsewhere, and until when that holds.
    watched: HashSet<Namespace>,
    known_until: Option<Instant>,
    /// Somebody tells, and looks again before ending.
    telling: bool,
    closed: bool,
}

impl State {
    fn is_known(&self) -> bool {
        self.known_until.is_some_and(|until| Instant::now() < until)
    }

    fn lose(&mut self, namespace: &Namespace, count: u64) {
        *self.lost.entry(namespace.clone()).or_default() += count;
    }
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            quiet_until: AtomicU64::new(0),
            state: Mutex::default(),
            told: Notify::new(),
        }
    }

    /// Whether somebody elsewhere watches the namespace, or may do so.
    pub(super) fn wants(&self, namespace: &Namespace) -> bool {
        if self.micros(Instant::now()) < self.quiet_until.load(Ordering::Acquire) {
            return false;
        }
        let state = self.state();
        !state.closed && (!state.is_known() || state.watched.contains(namespace))
    }

    /// Takes a change; whether telling is to be begun.
    pub(super) fn put(&self, event: Arc<TaskEvent>) -> bool {
        let mut state = self.state();
        if state.changes.len() < WAITING_MOST {
            state.changes.push(event);
        } else {
            state.lose(&event.namespace, 1);
        }
        !std::mem::replace(&mut state.telling, true)
    }

    /// Counts changes that there is nothing to be told of; whether telling is to be begun.
    pub(super) fn lose(&self, namespace: &Namespace, count: u64) -> bool {
        let mut state = self.state();
        state.lose(namespace, count);
        !std::mem::replace(&mut state.telling, true)
    }

    /// Takes no more, and returns when what it took is told.
    pub(super) async fn close(&self) {
        loop {
            let told = self.told.notified();
            {
                let mut state = self.state();
                state.closed = true;
                if !state.telling {
                    return;
                }
            }
            told.await;
        }
    }

    fn is_known(&self) -> bool {
        self.state().is_known()
    }

    /// What was answered to a statement that was sent at this time. An answer that took too long tells nothing of those who
    /// came meanwhile: then what they may want stays.
    fn learn(&self, sent: Instant, watched: Vec<Namespace>) {
        let until = sent + LOOK_EVERY;
        let mut state = self.state();
        state.watched = watched.into_iter().collect();
        state.known_until = Some(until);
        if state.is_known() {
            let State { changes, lost, watched, .. } = &mut *state;
            changes.retain(|event| watched.contains(&event.namespace));
            lost.retain(|namespace, _| watched.contains(namespace));
        }
        let quiet_until = if state.watched.is_empty() { self.micros(until) } else { 0 };
        self.quiet_until.store(quiet_until, Ordering::Release);
    }

    /// What there is for those who watch; `None` if nothing waits, and telling ends.
    fn take(&self) -> Option<Vec<News>> {
        let mut state = self.state();
        if state.changes.is_empty() && state.lost.is_empty() {
            self.end(&mut state);
            return None;
        }
        let State { changes, lost, watched, .. } = &mut *state;
        let mut news: HashMap<Namespace, News> = HashMap::new();
        let of = |namespace: &Namespace| News { namespace: namespace.clone(), events: Vec::new(), lost: 0 };
        for namespace in &*watched {
            if let Some(lost) = lost.remove(namespace) {
                news.entry(namespace.clone()).or_insert_with(|| of(namespace)).lost = lost;
            }
        }
        let all = std::mem::take(changes);
        let (told, kept): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|event| watched.contains(&event.namespace));
        *changes = kept;
        for event in told {
            news.entry(event.namespace.clone()).or_insert_with(|| of(&event.namespace)).events.push(event);
        }
        Some(news.into_values().collect())
    }

    /// These could not be told. That they are lost is told with the next change: until then nothing is sent.
    fn fail(&self, sent: Instant, news: &[News]) {
        let mut state = self.state();
        for one in news {
            state.lose(&one.namespace, one.events.len() as u64 + one.lost);
        }
        for event in std::mem::take(&mut state.changes) {
            state.lose(&event.namespace, 1);
        }
        state.known_until = Some(sent + LOOK_EVERY);
        self.end(&mut state);
    }

    fn end(&self, state: &mut State) {
        state.telling = false;
        self.told.notify_waiters();
    }

    fn micros(&self, at: Instant) -> u64 {
        u64::try_from(at.duration_since(self.began).as_micros()).unwrap_or(u64::MAX)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells until there is nothing left.
pub(super) async fn tell(feed: Arc<Feed>) {
    let Some(outbox) = &feed.outbox else { return };
    let mut turn = Turn(Some(|| outbox.end(&mut outbox.state())));
    loop {
        tokio::time::sleep(GATHER).await;
        if !outbox.is_known() && !say(&feed, outbox, &[]).await {
            break;
        }
        let Some(news) = outbox.take() else { break };
        if !news.is_empty() && !say(&feed, outbox, &news).await {
            break;
        }
    }
    turn.0 = None;
}

/// One statement; `false` if it failed.
async fn say(feed: &Feed, outbox: &Outbox, news: &[News]) -> bool {
    let sent = Instant::now();
    let answer: Result<_, StoreError> = feed.store.tell_watchers(feed.process, news).await;
    match answer {
        Ok(watched) => {
            outbox.learn(sent, watched);
            true
        }
        Err(error) => {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "other processes could not be told of changes"
            );
            outbox.fail(sent, news);
            false
        }
    }
}
