//! The handles of a manager's metrics.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};
use pgmill_schema::{Namespace, QueueName, Task};
use pgmill_store::StoreError;

use super::by_queue::ByQueue;
use super::fate::Fate;
use super::names;

/// What the managers of all namespaces share.
#[derive(Debug)]
pub(crate) struct Meters {
    queues: ByQueue<QueueMeters>,
}

impl Meters {
    pub(crate) fn new() -> Self {
        Self { queues: ByQueue::new(QueueMeters::new) }
    }

    pub(crate) fn of(&self, namespace: &Namespace, queue: &QueueName) -> Arc<QueueMeters> {
        self.queues.of(namespace, queue)
    }

    /// Tasks were retained: of the same queue mostly, one after the other.
    pub(crate) fn retained<'a>(&self, tasks: impl Iterator<Item = &'a Task>) {
        let mut tasks = tasks.peekable();
        while let Some(first) = tasks.next() {
            let same = |next: &&Task| next.queue == first.queue && next.namespace == first.namespace;
            let mut count = 1;
            while tasks.next_if(same).is_some() {
                count += 1;
            }
            self.of(&first.namespace, &first.queue).retained.increment(count);
        }
    }

    /// Tasks were found by looking. One that was retained before may have lost its lease, which nobody tells of.
    pub(crate) fn missed<'a>(&self, tasks: impl Iterator<Item = &'a Task>) {
        for task in tasks.filter(|task| task.attempt == 1) {
            self.of(&task.namespace, &task.queue).missed.increment(1);
        }
    }
}

/// Of one queue.
pub(crate) struct QueueMeters {
    pub(crate) created: Counter,
    retained: Counter,
    released: [Counter; Fate::ALL.len()],
    missed: Counter,
}

impl QueueMeters {
    fn new(namespace: &str, queue: &str) -> Self {
        let labels = [namespace, queue];
        Self {
            created: names::TASKS_CREATED.counter(&labels),
            retained: names::TASKS_RETAINED.counter(&labels),
            released: Fate::ALL.map(|fate| match fate {
                // What is not committed is not released.
                Fate::Lost | Fate::Unrecorded => Counter::noop(),
                fate => names::TASKS_RELEASED.counter(&[namespace, queue, fate.as_str()]),
            }),
            missed: names::NOTICES_MISSED.counter(&labels),
        }
    }

    pub(crate) fn released(&self, fate: Fate) {
        self.released[fate as usize].increment(1);
    }
}

impl fmt::Debug for QueueMeters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueMeters").finish_non_exhaustive()
    }
}

/// Of one batcher.
#[derive(Clone)]
pub(crate) struct BatchMeters {
    batcher: &'static str,
    waiting: Gauge,
    flights: Gauge,
    rows: Histogram,
    statement: Histogram,
    retried: Counter,
}

impl BatchMeters {
    pub(crate) fn new(batcher: &'static str) -> Self {
        let labels = [batcher];
        Self {
            batcher,
            waiting: names::CALLS_WAITING.gauge(&labels),
            flights: names::FLIGHTS.gauge(&labels),
            rows: names::BATCH_ROWS.histogram(&labels),
            statement: names::STATEMENT.histogram(&labels),
            retried: names::STATEMENTS_RETRIED.counter(&labels),
        }
    }

    /// A call waits for a flight.
    pub(crate) fn gathered(&self) {
        self.waiting.increment(1.0);
    }

    /// Calls wait no longer.
    pub(crate) fn departed(&self, calls: usize) {
        self.waiting.decrement(calls as f64);
    }

    /// A flight, for as long as it is kept.
    pub(crate) fn flight(&self) -> Level {
        Level::new(&self.flights, 1.0)
    }

    /// A statement was answered.
    pub(crate) fn sent<T>(&self, rows: usize, took: Duration, answer: &Result<T, StoreError>) {
        self.rows.record(rows as f64);
        self.statement.record(took);
        if let Err(error) = answer {
            names::STATEMENTS_FAILED.counter(&[self.batcher, reason(error)]).increment(1);
        }
    }

    /// It is sent once more.
    pub(crate) fn retried(&self) {
        self.retried.increment(1);
    }

    /// A batch whose answer was lost is given up, or it was found out what became of it.
    pub(crate) fn settled(&self, known: bool) {
        let outcome = if known { "known" } else { "unknown" };
        names::LOSSES_SETTLED.counter(&[self.batcher, outcome]).increment(1);
    }
}

impl fmt::Debug for BatchMeters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchMeters").field("batcher", &self.batcher).finish_non_exhaustive()
    }
}

fn reason(error: &StoreError) -> &'static str {
    match error {
        StoreError::Unavailable(_) => "unavailable",
        StoreError::Lost(_) => "lost",
        StoreError::Refused(_) => "refused",
        StoreError::Contended(_) => "contended",
        StoreError::PartitionMissing(_) => "partition_missing",
        _ => "database",
    }
}

/// What a gauge is higher by while this is kept. So gauges of several managers and pools add up, and none is left behind.
pub(crate) struct Level {
    gauge: Gauge,
    by: f64,
}

impl Level {
    pub(crate) fn new(gauge: &Gauge, by: f64) -> Self {
        gauge.increment(by);
        Self { gauge: gauge.clone(), by }
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        self.gauge.decrement(self.by);
    }
}

impl fmt::Debug for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Level").field("by", &self.by).finish_non_exhaustive()
    }
}
