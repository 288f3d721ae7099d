//! Looks, now and then, at what may keep tasks waiting, and mentions it.

use std::collections::HashSet;
use std::convert::Infallible;
use std::time::Duration;

use pgmill::{Manager, QueueError, QueueName, Status};
use tokio::time::sleep;

use crate::output;

/// How often it is looked whether a queue is paused.
pub(super) const BETWEEN_LOOKS: Duration = Duration::from_secs(10);
/// How long a worker may take until it is told of tasks.
const BEGINNING: Duration = Duration::from_secs(3);

/// The queues that were mentioned to be paused, until they are resumed.
#[derive(Debug, Default)]
pub(super) struct Mentioned(HashSet<QueueName>);

impl Mentioned {
    /// Mentions those of the paused queues that were not paused at the last look.
    pub(super) fn look_at(&mut self, paused: HashSet<QueueName>) {
        for queue in paused.difference(&self.0) {
            output::note(&format!("pgmill: queue `{queue}` is paused; its tasks wait until it is resumed"));
        }
        self.0 = paused;
    }
}

/// What is known of the queues that are paused.
#[derive(Debug)]
pub(super) struct Paused {
    manager: Manager,
    /// None for every queue of the namespace.
    queues: Vec<QueueName>,
    mentioned: Mentioned,
}

impl Paused {
    pub(super) fn new(manager: Manager, queues: Vec<QueueName>) -> Self {
        Self { manager, queues, mentioned: Mentioned::default() }
    }

    /// Looks again and again, while there are commands to spare.
    pub(super) async fn watch(&mut self, is_idle: impl Fn() -> bool) -> Infallible {
        loop {
            if is_idle() {
                self.look().await;
            }
            sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Mentions the paused queues that hold tasks, and were not paused at the last look.
    pub(super) async fn look(&mut self) {
        match self.paused().await {
            Ok(paused) => self.mentioned.look_at(paused),
            // Whether the database is away is for the pool to say.
            Err(error) => tracing::debug!("it cannot be looked whether queues are paused: {error}"),
        }
    }

    async fn paused(&self) -> Result<HashSet<QueueName>, QueueError> {
        let mut paused = HashSet::new();
        let mut looked = HashSet::new();
        for row in self.manager.list_queue_statuses().await? {
            let waits = matches!(row.status, Status::New | Status::Retry) && row.count > 0;
            let wanted = self.queues.is_empty() || self.queues.contains(&row.queue);
            if !waits || !wanted || !looked.insert(row.queue.clone()) {
                continue;
            }
            match self.manager.get_queue(row.queue.as_str()).await {
                Ok(found) if found.paused_at.is_some() => drop(paused.insert(row.queue)),
                // Deleted since, with its tasks.
                Ok(_) | Err(QueueError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(paused)
    }
}

/// Says in the log how this worker learns of the tasks of other processes, and each time that changes.
pub(super) async fn watch_listening(manager: &Manager) -> Infallible {
    let mut known = None;
    loop {
        sleep(BEGINNING).await;
        let listening = manager.is_listening();
        if known.replace(listening) == Some(listening) {
            continue;
        }
        if listening {
            tracing::debug!("woken by notifications of tasks");
        } else {
            tracing::debug!("woken by polling alone: tasks of other processes are looked for every second");
        }
    }
}
