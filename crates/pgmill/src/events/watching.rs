//! Whether other processes tell this one of their changes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pgmill_schema::Namespace;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use super::desk::{Turn, abandon_keeping};
use super::{Feed, LOOK_EVERY};
use crate::jitter::jittered;

/// For how long others are to tell this process, and how often it says so again.
const TOLD_FOR: Duration = Duration::from_secs(30);
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// How soon it is said again after it failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// From when on others tell of all that they change, in the namespaces of which they do.
type Coverage = HashMap<Namespace, Instant>;

#[derive(Default)]
pub(super) struct Watching {
    /// Something has to be looked at again: who watches, or whether anything is heard.
    changed: Notify,
    /// The same for the listener: whether anything is to be heard.
    wanted: Notify,
    /// How often the listener began to hear of changes, or ceased to; odd while it does.
    hears: AtomicU64,
    coverage: watch::Sender<Coverage>,
}

impl Watching {
    /// Somebody came or went.
    pub(super) fn change(&self) {
        self.changed.notify_one();
        self.wanted.notify_one();
    }

    pub(super) fn coverage(&self) -> watch::Receiver<Coverage> {
        self.coverage.subscribe()
    }

    /// Whether all that is changed in the namespace is told.
    pub(super) fn covers(&self, namespace: &Namespace) -> bool {
        self.coverage.borrow().get(namespace).is_some_and(|from| *from <= Instant::now())
    }

    /// Which hearing this is; `None` while nothing is heard.
    fn hearing(&self) -> Option<u64> {
        Some(self.hears.load(Ordering::Acquire)).filter(|count| count % 2 == 1)
    }

    fn set_hearing(&self, hears: bool) {
        if self.hearing().is_some() != hears {
            self.hears.fetch_add(1, Ordering::AcqRel);
        }
        if !hears {
            self.coverage.send_modify(Coverage::clear);
        }
        self.changed.notify_one();
    }
}

impl Feed {
    /// Whether anybody watches, so that changes are to be heard of.
    pub(crate) fn is_watched(&self) -> bool {
        self.desk.is_watched()
    }

    /// Returns when that may be another than before.
    pub(crate) async fn watched_changed(&self) {
        self.watching.wanted.notified().await;
    }

    /// The listener of this process hears of changes from now on, or no longer.
    pub(crate) fn set_hearing(&self, hears: bool) {
        self.watching.set_hearing(hears);
    }

    pub(super) fn keep_watch(self: &Arc<Self>) {
        self.home.runtime().spawn(keep(Arc::clone(self)));
    }
}

/// Sees to it that others tell this process, for as long as somebody watches.
async fn keep(feed: Arc<Feed>) {
    let mut turn = Turn(Some(|| {
        feed.watching.coverage.send_modify(Coverage::clear);
        abandon_keeping(&feed.desk);
    }));
    let mut keeper = Keeper { feed: &feed, registered: None, covered: HashSet::new(), gaps: HashSet::new() };
    loop {
        let next = keeper.look().await;
        if keeper.registered.is_none() && feed.desk.end_keeping() {
            break;
        }
        tokio::select! {
            () = feed.watching.changed.notified() => {}
            () = sleep_until(next) => {}
        }
    }
    turn.0 = None;
}

struct Keeper<'a> {
    feed: &'a Arc<Feed>,
    registered: Option<Registered>,
    /// The namespaces that were covered the last time.
    covered: HashSet<Namespace>,
    /// Namespaces of which changes were missed, and nobody has been told so.
    gaps: HashSet<Namespace>,
}

/// That others tell this process.
struct Registered {
    namespaces: Vec<Namespace>,
    hearing: u64,
    renew_at: Instant,
    until: Instant,
}

impl Keeper<'_> {
    /// Does what is to be done now, and returns when to look again.
    async fn look(&mut self) -> Instant {
        let watching = &self.feed.watching;
        if self.registered.as_ref().is_some_and(|registered| registered.until <= Instant::now()) {
            watching.coverage.send_modify(Coverage::clear);
        }
        self.note_gaps();
        let namespaces = self.feed.desk.namespaces();
        if namespaces.is_empty() {
            self.leave().await;
            return Instant::now() + RENEW_EVERY;
        }
        let Some(hearing) = watching.hearing() else { return Instant::now() + RENEW_EVERY };
        let renew_at = match &self.registered {
            Some(it) if it.is_for(&namespaces, hearing) => it.renew_at,
            _ => match self.register(namespaces, hearing).await {
                Some(renew_at) => renew_at,
                None => return Instant::now() + RETRY_AFTER,
            },
        };
        let next_gap = self.close_gaps();
        next_gap.map_or(renew_at, |gap| gap.min(renew_at))
    }

    /// Has others tell this process, and returns when to say so again; `None` if that failed.
    async fn register(&mut self, namespaces: Vec<Namespace>, hearing: u64) -> Option<Instant> {
        let (feed, watching) = (self.feed, &self.feed.watching);
        let sent = Instant::now();
        if let Err(error) = feed.store.watch(feed.process, &namespaces, TOLD_FOR).await {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "other processes could not be asked to tell of changes"
            );
            return None;
        }
        // Those who have looked before this was committed go by what they saw, for a while.
        let from = Instant::now() + LOOK_EVERY;
        watching.coverage.send_modify(|coverage| {
            coverage.retain(|namespace, _| namespaces.contains(namespace));
            // Deaf again meanwhile: whatever came then was missed.
            if watching.hearing() == Some(hearing) {
                namespaces.iter().for_each(|namespace| {
                    coverage.entry(namespace.clone()).or_insert(from);
                });
            }
        });
        let renew_at = sent + jittered(RENEW_EVERY);
        self.registered = Some(Registered { namespaces, hearing, renew_at, until: sent + TOLD_FOR });
        Some(renew_at)
    }

    /// What was covered and is no more has a gap.
    fn note_gaps(&mut self) {
        let coverage = self.feed.watching.coverage.borrow();
        self.gaps.extend(self.covered.drain().filter(|namespace| !coverage.contains_key(namespace)));
        self.covered.extend(coverage.keys().cloned());
    }

    /// Tells of gaps that are over, of which nobody knows what others changed in them; and returns when the next one is.
    fn close_gaps(&mut self) -> Option<Instant> {
        let (feed, now) = (self.feed, Instant::now());
        let coverage = feed.watching.coverage.borrow().clone();
        self.covered = coverage.keys().cloned().collect();
        self.gaps.retain(|namespace| {
            let over = coverage.get(namespace).is_some_and(|from| *from <= now);
            if over && feed.desk.lose(namespace, None) {
                feed.hand_out();
            }
            !over
        });
        self.gaps.iter().filter_map(|namespace| coverage.get(namespace).copied()).min()
    }

    /// Nobody watches any more.
    async fn leave(&mut self) {
        self.feed.watching.coverage.send_modify(Coverage::clear);
        self.covered.clear();
        self.gaps.clear();
        if self.registered.take().is_some() {
            // If it fails, others tell this process for a while in vain.
            let _ = self.feed.store.watch(self.feed.process, &[], Duration::ZERO).await;
        }
    }
}

impl Registered {
    /// Whether nothing has to be said anew.
    fn is_for(&self, namespaces: &[Namespace], hearing: u64) -> bool {
        self.namespaces == namespaces && self.hearing == hearing && Instant::now() < self.renew_at
    }
}
