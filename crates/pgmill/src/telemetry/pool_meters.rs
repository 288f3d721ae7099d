//! The handles of a pool's metrics.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};
use pgmill_schema::Task;

use super::by_queue::ByQueue;
use super::fate::Fate;
use super::meters::Level;
use super::names;

#[derive(Debug)]
pub(crate) struct PoolMeters {
    queues: ByQueue<HandlingMeters>,
    extended: Counter,
    not_extended: Counter,
    _slots: Level,
}

impl PoolMeters {
    /// Of a pool that runs, until this is dropped.
    pub(crate) fn new(namespace: &str, slots: usize) -> Self {
        Self {
            queues: ByQueue::new(HandlingMeters::new),
            extended: names::LEASE_EXTENSIONS.counter(&[namespace, "done"]),
            not_extended: names::LEASE_EXTENSIONS.counter(&[namespace, "failed"]),
            _slots: Level::new(&names::POOL_SLOTS.gauge(&[namespace]), slots as f64),
        }
    }

    pub(crate) fn of(&self, task: &Task) -> Arc<HandlingMeters> {
        self.queues.of(&task.namespace, &task.queue)
    }

    /// A statement was to extend leases.
    pub(crate) fn extended(&self, done: bool) {
        if done { &self.extended } else { &self.not_extended }.increment(1);
    }
}

/// Of the attempts of one queue.
pub(crate) struct HandlingMeters {
    pickup: Histogram,
    run: Histogram,
    running: Gauge,
    held: Gauge,
    leases_lost: Counter,
    ended: [Counter; Fate::ALL.len()],
}

impl HandlingMeters {
    fn new(namespace: &str, queue: &str) -> Self {
        let labels = [namespace, queue];
        Self {
            pickup: names::PICKUP.histogram(&labels),
            run: names::RUN.histogram(&labels),
            running: names::HANDLERS_RUNNING.gauge(&labels),
            held: names::TASKS_HELD.gauge(&labels),
            leases_lost: names::LEASES_LOST.counter(&labels),
            ended: Fate::ALL.map(|fate| names::ATTEMPTS_ENDED.counter(&[namespace, queue, fate.as_str()])),
        }
    }

    /// A task that the pool holds, for as long as this is kept.
    pub(crate) fn holding(&self) -> Level {
        Level::new(&self.held, 1.0)
    }

    /// A handler is started. It runs for as long as this is kept.
    pub(crate) fn started(&self, waited: Duration) -> Level {
        self.pickup.record(waited);
        Level::new(&self.running, 1.0)
    }

    /// A handler has come to its end, or was given up.
    pub(crate) fn ran(&self, ran: Duration) {
        self.run.record(ran);
    }

    pub(crate) fn lease_lost(&self) {
        self.leases_lost.increment(1);
    }

    pub(crate) fn ended(&self, fate: Fate) {
        self.ended[fate as usize].increment(1);
    }
}

impl fmt::Debug for HandlingMeters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlingMeters").finish_non_exhaustive()
    }
}
