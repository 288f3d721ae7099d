//! Tells waiting workers of this process that a task may have come into their queues.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pgmill_schema::{Namespace, QueueName};
use pgmill_store::Demand;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Counts arrivals. A worker waits for a count other than the one before it last looked, so that a task that came between
/// its look and its wait is not slept through.
#[derive(Default)]
pub(crate) struct Wakes {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Default)]
struct State {
    arrivals: HashMap<Namespace, Arrivals>,
    /// The count before the last look, by what was looked for.
    seen: HashMap<Demand, u64>,
}

#[derive(Default)]
struct Arrivals {
    all: u64,
    queues: HashMap<QueueName, u64>,
}

impl State {
    fn count(&self, demand: &Demand) -> u64 {
        let Some(arrivals) = self.arrivals.get(&demand.namespace) else { return 0 };
        match demand.queues.as_slice() {
            [] => arrivals.all,
            queues => queues.iter().filter_map(|queue| arrivals.queues.get(queue)).sum(),
        }
    }
}

impl Wakes {
    /// A task may have come into this queue.
    pub(crate) fn wake(&self, namespace: &Namespace, queue: &QueueName) {
        {
            let mut state = self.state();
            if !state.arrivals.contains_key(namespace) {
                state.arrivals.insert(namespace.clone(), Arrivals::default());
            }
            if let Some(arrivals) = state.arrivals.get_mut(namespace) {
                arrivals.all += 1;
                match arrivals.queues.get_mut(queue) {
                    Some(count) => *count += 1,
                    None => drop(arrivals.queues.insert(queue.clone(), 1)),
                }
            }
        }
        self.arrived.notify_waiters();
    }

    /// The queues of this demand are about to be looked at.
    pub(crate) fn look(&self, demand: &Demand) {
        let mut state = self.state();
        let count = state.count(demand);
        match state.seen.get_mut(demand) {
            Some(seen) => *seen = count,
            None => drop(state.seen.insert(demand.clone(), count)),
        }
    }

    /// Waits until a task may have come since the last look, or the time is over.
    pub(crate) async fn wait(&self, demand: &Demand, limit: Duration) {
        let until = Instant::now() + limit;
        loop {
            let arrived = self.arrived.notified();
            {
                let state = self.state();
                if state.seen.get(demand).copied().unwrap_or_default() != state.count(demand) {
                    return;
                }
            }
            if tokio::time::timeout_at(until, arrived).await.is_err() {
                return;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
