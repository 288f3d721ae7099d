//! Tells other processes of tasks.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use metrics::Counter;
use pgmill_schema::{Namespace, QueueName};
use pgmill_store::{Arrival, Store, StoreError, Waking};

use crate::batch::Flight;
use crate::telemetry::BatchMeters;

/// How long what follows a notice is gathered into the next one.
const GATHER: Duration = Duration::from_millis(8);

pub(crate) struct NoticeFlight {
    pub(crate) store: Store,
    pub(crate) process: i64,
    pub(crate) meters: BatchMeters,
    pub(crate) sent: Counter,
}

/// What is told.
pub(crate) enum Notice {
    /// Tasks that were committed.
    Of(Arrival),
    /// So many queues, at this time, behind the statement that created the tasks: only its answer is waited for.
    Sent(usize, Instant, Waking),
}

impl Flight for NoticeFlight {
    type Call = Notice;

    fn bytes(_: &Notice) -> usize {
        0
    }

    fn is_abandoned(_: &Notice) -> bool {
        false
    }

    async fn fly(&self, calls: Vec<Notice>) {
        let mut arrivals = Vec::new();
        for call in calls {
            match call {
                Notice::Of(arrival) => arrivals.push(arrival),
                Notice::Sent(queues, sent, waking) => self.told(queues, sent, waking.told().await),
            }
        }
        if !arrivals.is_empty() {
            let arrivals = soonest(arrivals);
            let sent = Instant::now();
            let told = self.store.wake(self.process, &arrivals).await;
            self.told(arrivals.len(), sent, told);
        }
        tokio::time::sleep(GATHER).await;
    }
}

impl NoticeFlight {
    fn told(&self, queues: usize, sent: Instant, told: Result<u64, StoreError>) {
        self.meters.sent(queues, sent.elapsed(), &told);
        match told {
            // Nobody waits for these: nothing was sent.
            Ok(0) => {}
            Ok(_) => self.sent.increment(1),
            // They look for themselves before long.
            Err(error) => tracing::debug!(
                error = &error as &dyn std::error::Error,
                "other processes could not be told of tasks"
            ),
        }
    }
}

/// Each queue once, with the task that is due first.
pub(super) fn soonest(arrivals: Vec<Arrival>) -> Vec<Arrival> {
    let mut queues: HashMap<(Namespace, QueueName), Duration> = HashMap::new();
    for (namespace, queue, due_in) in arrivals {
        let soonest = queues.entry((namespace, queue)).or_insert(due_in);
        *soonest = (*soonest).min(due_in);
    }
    queues.into_iter().map(|((namespace, queue), due_in)| (namespace, queue, due_in)).collect()
}
