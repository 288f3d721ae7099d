//! Who waits in this process, and for what.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use pgmill_schema::{Namespace, QueueName};
use pgmill_store::Demand;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Who in this process waits for tasks of which namespace.
#[derive(Default)]
pub(super) struct WaitingList {
    waiting: Mutex<HashMap<Namespace, Vec<Weak<Waiting>>>>,
}

/// One who waits. What comes while it is not looking is kept for when it does, so that nothing is slept through.
pub(crate) struct Waiting {
    pub(super) demand: Demand,
    signal: Mutex<Signal>,
    changed: Notify,
}

#[derive(Default)]
struct Signal {
    arrived: Option<Arrived>,
    /// When the next task of which this process knows is due.
    due: Option<Instant>,
}

/// Where a task may have come, or become due.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Arrived {
    /// In any of the queues that are waited for.
    Anywhere,
    /// In these.
    In(HashSet<QueueName>),
}

/// Why a wait is over.
pub(super) enum Ended {
    /// Somebody told of tasks.
    Arrived(Arrived),
    /// A task is due that was known of before.
    Due,
    /// The time is over.
    Quiet,
}

impl WaitingList {
    pub(super) fn subscribe(&self, demand: Demand) -> Arc<Waiting> {
        let namespace = demand.namespace.clone();
        let waiting = Arc::new(Waiting { demand, signal: Mutex::default(), changed: Notify::new() });
        let mut all = self.waiting();
        let list = all.entry(namespace).or_default();
        // Those who went away make room for those who come.
        list.retain(|other| other.strong_count() > 0);
        list.push(Arc::downgrade(&waiting));
        waiting
    }

    /// A task may have come into this queue, and is due after this time.
    pub(super) fn wake(&self, namespace: &Namespace, queue: &QueueName, delay: Duration) {
        let all = self.waiting();
        let Some(list) = all.get(namespace) else { return };
        for waiting in list.iter().filter_map(Weak::upgrade) {
            if waiting.demand.queues.is_empty() || waiting.demand.queues.contains(queue) {
                waiting.arrive(queue, delay);
            }
        }
    }

    /// Tasks may have come anywhere.
    pub(super) fn wake_all(&self) {
        for waiting in self.waiting().values().flatten().filter_map(Weak::upgrade) {
            waiting.signal().arrived = Some(Arrived::Anywhere);
            waiting.changed.notify_one();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Namespace, Vec<Weak<Waiting>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn arrive(&self, queue: &QueueName, delay: Duration) {
        {
            let mut signal = self.signal();
            if delay.is_zero() {
                match &mut signal.arrived {
                    Some(Arrived::Anywhere) => return,
                    Some(Arrived::In(queues)) if queues.contains(queue) => return,
                    Some(Arrived::In(queues)) => drop(queues.insert(queue.clone())),
                    none => *none = Some(Arrived::In(HashSet::from([queue.clone()]))),
                }
            } else {
                let due = Instant::now() + delay;
                if signal.due.is_some_and(|known| known <= due) {
                    return;
                }
                signal.due = Some(due);
            }
        }
        self.changed.notify_one();
    }

    /// The next task of which the database knows is due after this time.
    pub(super) fn due_in(&self, due_in: Duration) {
        let due = Instant::now() + due_in;
        let mut signal = self.signal();
        signal.due = Some(signal.due.map_or(due, |known| known.min(due)));
    }

    /// Waits until something arrives or is due, or the time is over. What arrived before counts too.
    pub(super) async fn wait(&self, until: Instant) -> Ended {
        loop {
            let wake_at = {
                let mut signal = self.signal();
                if let Some(arrived) = signal.arrived.take() {
                    return Ended::Arrived(arrived);
                }
                if signal.due.is_some_and(|due| due <= Instant::now()) {
                    signal.due = None;
                    return Ended::Due;
                }
                signal.due.map_or(until, |due| due.min(until))
            };
            if tokio::time::timeout_at(wake_at, self.changed.notified()).await.is_err() && wake_at == until {
                return Ended::Quiet;
            }
        }
    }

    fn signal(&self) -> MutexGuard<'_, Signal> {
        self.signal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
