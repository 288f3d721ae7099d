//! What happens on a connection, and whether it has taken too long.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::options::ServeOptions;
use super::streams::Unread;

/// No such time.
const NEVER: u64 = u64::MAX;

/// What a client has to take of an answer within the time to write, where its answers are told apart: one frame of HTTP/2.
const LONGEST_PART: usize = 16 << 10;

/// What is going on on one connection, told by those who see it: times in milliseconds since it was opened.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    /// Requests whose answers are not sent to the end.
    requests: AtomicUsize,
    /// When the head of a request began to arrive.
    head_since: AtomicU64,
    /// When the last request ended.
    idle_since: AtomicU64,
    /// Since when the client takes nothing of what is sent to it.
    stalled_since: AtomicU64,
    /// Whether what comes in between requests is taken for the head of one.
    heads: AtomicBool,
    /// What the client takes of the answer to the request that came last, until whoever runs it asks.
    newest: Mutex<Option<Arc<Unread>>>,
}

/// Whether the head of a request is told by bytes that come while there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heads {
    Seen,
    /// All sorts of things may come: the frames of HTTP/2, or a handshake.
    Hidden,
}

/// What is to become of a connection that has taken too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    /// Nothing is lost: it is closed when what is under way has ended.
    Idle,
    /// The client is too slow, or gone: it is cut.
    Slow,
}

/// A request whose answer is not sent to the end: ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Flight {
    activity: Arc<Activity>,
    /// Over HTTP/2 the client tells for each answer how much of it it takes, and may take none while the connection itself
    /// does not stand still.
    unread: Option<Arc<Unread>>,
}

impl Activity {
    /// Of a connection that is being opened now. The head of its first request is waited for from now on.
    pub(super) fn new(heads: Heads) -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            requests: AtomicUsize::new(0),
            head_since: AtomicU64::new(0),
            idle_since: AtomicU64::new(0),
            stalled_since: AtomicU64::new(NEVER),
            heads: AtomicBool::new(heads == Heads::Seen),
            newest: Mutex::default(),
        })
    }

    /// What comes from now on in between requests is the head of one.
    pub(super) fn see_heads(&self) {
        self.heads.store(true, Ordering::Release);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(NEVER - 1)
    }

    /// The head of a request is there.
    pub(super) fn begin(self: &Arc<Self>) -> Flight {
        self.requests.fetch_add(1, Ordering::AcqRel);
        self.head_since.store(NEVER, Ordering::Release);
        let several = !self.heads.load(Ordering::Acquire);
        let unread = several.then(Arc::default);
        self.newest().clone_from(&unread);
        Flight { activity: Arc::clone(self), unread }
    }

    /// What the client takes of the answer to the request that came last: told once.
    pub(super) fn take_newest(&self) -> Option<Arc<Unread>> {
        self.newest().take()
    }

    fn newest(&self) -> MutexGuard<'_, Option<Arc<Unread>>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn received(&self) {
        if self.heads.load(Ordering::Acquire) && self.requests.load(Ordering::Acquire) == 0 {
            let _ = self.head_since.compare_exchange(NEVER, self.now(), Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    pub(super) fn sent(&self, sent: bool) {
        if sent {
            self.stalled_since.store(NEVER, Ordering::Release);
        } else {
            let now = self.now();
            let _ = self.stalled_since.compare_exchange(NEVER, now, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// Returns when the connection has taken too long for something.
    ///
    /// It looks again only when something may be late: what begins after a look cannot be late before the shortest of
    /// the limits has passed.
    pub(super) async fn late(&self, options: &ServeOptions) -> Late {
        let shortest = options.header_time.min(options.idle_time).min(options.write_time);
        loop {
            let now = Instant::now();
            let since = |mark: &AtomicU64, limit: Duration| {
                let mark = mark.load(Ordering::Acquire);
                (mark != NEVER).then(|| self.opened + Duration::from_millis(mark) + limit)
            };
            let stalled = since(&self.stalled_since, options.write_time);
            let (head, idle) = match self.requests.load(Ordering::Acquire) {
                0 => {
                    (since(&self.head_since, options.header_time), since(&self.idle_since, options.idle_time))
                }
                _ => (None, None),
            };
            if [stalled, head].into_iter().flatten().any(|at| at <= now) {
                return Late::Slow;
            }
            if idle.is_some_and(|at| at <= now) && head.is_none() {
                return Late::Idle;
            }
            let next = [stalled, head, idle].into_iter().flatten().filter(|at| *at > now).min();
            sleep_until(next.map_or(now + shortest, |at| at.min(now + shortest))).await;
        }
    }
}

impl Flight {
    /// The next part of the answer is asked for: what came before it has room on its way to the client.
    pub(crate) fn asked(&self) {
        if let Some(unread) = &self.unread {
            unread.taken();
        }
    }

    /// A part of the answer is handed on, be it the head alone.
    pub(crate) fn offered(&self) {
        if let Some(unread) = &self.unread {
            unread.offered();
        }
    }

    /// How long a part of the answer may be, in bytes, so that it tells whether the client takes it.
    pub(crate) fn longest_part(&self) -> Option<usize> {
        self.unread.is_some().then_some(LONGEST_PART)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let activity = &self.activity;
        activity.idle_since.store(activity.now(), Ordering::Release);
        activity.requests.fetch_sub(1, Ordering::AcqRel);
    }
}
