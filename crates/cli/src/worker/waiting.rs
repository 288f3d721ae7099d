//! What the queues still have to give, and which of them are paused.

use std::collections::HashSet;
use std::time::Duration;

use pgmill::{QueueError, QueueName, Status};
use tokio::time::Instant;

use crate::output;
use crate::worker::{Handler, Worker};

/// How often an idle worker looks whether a queue is paused.
const BETWEEN_LOOKS: Duration = Duration::from_secs(10);

/// What is known of the queues that are paused.
#[derive(Debug, Default)]
pub(super) struct Paused {
    /// Those that were mentioned, until they are resumed.
    mentioned: HashSet<QueueName>,
    looked: Option<Instant>,
}

impl Paused {
    /// Whether it is time to look again.
    pub(super) fn is_due(&self) -> bool {
        self.looked.is_none_or(|looked| looked.elapsed() >= BETWEEN_LOOKS)
    }

    /// Mentions those that were not paused when this was last looked at.
    fn mention(&mut self, paused: HashSet<QueueName>) {
        for queue in paused.difference(&self.mentioned) {
            output::note(&format!("pgmill: queue `{queue}` is paused; its tasks wait until it is resumed"));
        }
        self.mentioned = paused;
        self.looked = Some(Instant::now());
    }
}

impl<H: Handler> Worker<H> {
    /// Whether no task waits that could be had, now or later: neither for its first attempt nor for another. Those of a
    /// paused queue cannot be had for as long as somebody likes, so they do not count, and are mentioned.
    pub(super) async fn have_nothing_to_give(&self, paused: &mut Paused) -> Result<bool, QueueError> {
        let wanted = &self.options.queues;
        let statuses = self.manager.list_queue_statuses().await?;
        let waiting: HashSet<QueueName> = statuses
            .into_iter()
            .filter(|row| matches!(row.status, Status::New | Status::Retry) && row.count > 0)
            .map(|row| row.queue)
            .filter(|queue| wanted.is_empty() || wanted.iter().any(|name| name == queue.as_str()))
            .collect();
        let (mut nothing, mut stopped) = (true, HashSet::new());
        for queue in waiting {
            match self.manager.get_queue(queue.as_str()).await {
                Ok(found) if found.paused_at.is_some() => drop(stopped.insert(queue)),
                Ok(_) => nothing = false,
                // Deleted since, with its tasks.
                Err(QueueError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        paused.mention(stopped);
        Ok(nothing)
    }
}
