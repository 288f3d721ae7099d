//! Tells other processes of tasks.

use std::collections::HashMap;
use std::time::Duration;

use pgmill_schema::{Namespace, QueueName};
use pgmill_store::{Arrival, Store};

use crate::batch::Flight;

/// How long what follows a notice is gathered into the next one.
const GATHER: Duration = Duration::from_millis(8);

pub(crate) struct NoticeFlight {
    pub(crate) store: Store,
    pub(crate) process: i64,
}

impl Flight for NoticeFlight {
    type Call = Arrival;

    fn bytes(_: &Arrival) -> usize {
        0
    }

    fn is_abandoned(_: &Arrival) -> bool {
        false
    }

    async fn fly(&self, calls: Vec<Arrival>) {
        if let Err(error) = self.store.wake(self.process, &soonest(calls)).await {
            // They look for themselves before long.
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "other processes could not be told of tasks"
            );
        }
        tokio::time::sleep(GATHER).await;
    }
}

/// Each queue once, with the task that is due first.
fn soonest(arrivals: Vec<Arrival>) -> Vec<Arrival> {
    let mut queues: HashMap<(Namespace, QueueName), Duration> = HashMap::new();
    for (namespace, queue, due_in) in arrivals {
        let soonest = queues.entry((namespace, queue)).or_insert(due_in);
        *soonest = (*soonest).min(due_in);
    }
    queues.into_iter().map(|((namespace, queue), due_in)| (namespace, queue, due_in)).collect()
}
