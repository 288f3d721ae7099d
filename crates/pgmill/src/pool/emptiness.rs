//! Whether the queues of a pool have anything left to give.

use std::collections::HashSet;

use pgmill_schema::{QueueName, Status};

use super::book::serves;
use super::engine::Engine;
use crate::error::QueueError;

impl<S: Send + Sync + 'static> Engine<S> {
    /// Whether no task waits that could be had, now or later: neither for its first attempt nor for another. Those of a
    /// paused queue cannot be had for as long as somebody likes, so they do not count.
    pub(super) async fn has_nothing_left(&self) -> Result<bool, QueueError> {
        let manager = &self.common.manager;
        let waiting: HashSet<QueueName> = manager
            .list_queue_statuses()
            .await?
            .into_iter()
            .filter(|row| matches!(row.status, Status::New | Status::Retry) && row.count > 0)
            .map(|row| row.queue)
            .filter(|queue| self.lanes.iter().any(|lane| serves(&lane.queues, queue)))
            .collect();
        for queue in waiting {
            match manager.get_queue(queue.as_str()).await {
                Ok(found) if found.paused_at.is_some() => {}
                Ok(_) => return Ok(false),
                // Deleted since, with its tasks.
                Err(QueueError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}
