//! The notice that leaves before the commit of its tasks is known here.
//!
//! ```text
//!   enqueue, wake ──▶ server: enqueue, commit ──▶ wake, commit ──▶ those who listen
//!                                │                     │
//!                                ▼ callers             ▼ notices: what comes now is gathered for 8 ms
//! ```
//!
//! Statements on one connection run one after the other, each in a transaction of its own, so that nobody is told of a task
//! before it can be retained. If the tasks are not created, somebody is woken for nothing, and what is sent once more is told
//! as usual.
//!
//! - Only one at a time, and only while no notice is under way or being gathered: so there are no more than without it.
//! - It does not count as a notice under way before the tasks are answered: however long that takes, others are told of
//!   theirs meanwhile.
//! - Tasks with keys may wait for somebody else's transaction, and delayed ones have a time that is not known yet: both are
//!   told as usual.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pgmill_store::{Arrival, NewTask, Waking};

use super::Wakes;
use super::notices::{Notice, NoticeFlight, soonest};
use crate::batch::Batcher;

/// The right to send the next notice behind the tasks it is about.
pub(crate) struct Lead<'a> {
    pub(crate) arrivals: Vec<Arrival>,
    notices: &'a Batcher<NoticeFlight>,
    _leading: Leading<'a>,
}

impl Wakes {
    /// For tasks that are about to be sent; `None` if others are to be told of them as usual.
    pub(crate) fn lead<'a>(&self, tasks: impl Iterator<Item = &'a NewTask>) -> Option<Lead<'_>> {
        let notices = self.notices.as_ref().filter(|_| self.pipelines)?;
        if self.leading.swap(true, Ordering::AcqRel) {
            return None;
        }
        let _leading = Leading(&self.leading);
        // After that: who led before has handed its notice over by now.
        if !notices.is_idle() {
            return None;
        }
        let mut arrivals = Vec::new();
        for task in tasks {
            if task.key.is_some() {
                return None;
            }
            if task.delay.is_none() && task.delayed_at.is_none() {
                arrivals.push((task.namespace.clone(), task.queue.clone(), Duration::ZERO));
            }
        }
        (!arrivals.is_empty()).then(|| Lead { arrivals: soonest(arrivals), notices, _leading })
    }
}

impl Lead<'_> {
    /// It was sent, and the tasks are committed. Returns what it tells of, and what need not be told again.
    pub(crate) fn sent(self, waking: Waking) -> Vec<Arrival> {
        // Where a notice departed meanwhile, or all are closed, this one would keep its connection until the next.
        if !self.notices.is_idle() {
            return Vec::new();
        }
        let sent = Notice::Sent(self.arrivals.len(), Instant::now(), waking);
        if self.notices.push(sent).is_err() {
            return Vec::new();
        }
        self.arrivals
    }
}

/// Leaves the lead to the next one, however this one ends.
struct Leading<'a>(&'a AtomicBool);

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
