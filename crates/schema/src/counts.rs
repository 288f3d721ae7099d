use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::wire::time;
use crate::{Namespace, QueueName, Status};

/// How many tasks a queue has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueueCounts {
    /// The name of the queue.
    pub queue: QueueName,
    /// The namespace of the queue.
    pub namespace: Namespace,
    /// Since when the queue hands out no tasks; `None` if it does.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::Time>))]
    pub paused_at: Option<Timestamp>,
    /// Its tasks, by status.
    pub tasks: TaskCounts,
}

/// How many tasks have each status. In JSON an object with a key for each; one that is absent reads as 0.
///
/// ```
/// use pgmill_schema::{Status, TaskCounts};
///
/// let counts: TaskCounts = serde_json::from_str(r#"{"new": 3, "failed": 1}"#)?;
/// assert_eq!((counts.new, counts.of(Status::Failed), counts.of(Status::Retry)), (3, 1, 0));
/// assert_eq!(counts.live(), 3);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct TaskCounts {
    /// Those that wait and were never retained, or whose attempts all were given back or snoozed.
    pub new: u64,
    /// Those that wait for another attempt.
    pub retry: u64,
    /// Those that are held by a worker, their lease lapsed or not.
    pub retained: u64,
    /// Those that are done.
    pub released: u64,
    /// Those that failed for good.
    pub failed: u64,
    /// Those that were not done in time.
    pub expired: u64,
    /// Those that were called off.
    pub cancelled: u64,
}

impl TaskCounts {
    /// How many have this status.
    #[must_use]
    pub const fn of(&self, status: Status) -> u64 {
        match status {
            Status::New => self.new,
            Status::Retry => self.retry,
            Status::Retained => self.retained,
            Status::Released => self.released,
            Status::Failed => self.failed,
            Status::Expired => self.expired,
            Status::Cancelled => self.cancelled,
        }
    }

    /// How many have not ended: `new`, `retry` and `retained`.
    #[must_use]
    pub const fn live(&self) -> u64 {
        self.new + self.retry + self.retained
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_a_queue_are_told_by_status_in_one_object() {
        let text = r#"{"queue":"emails","namespace":"app","tasks":{"new":1,"retry":2,"retained":3,"released":4,"failed":5,"expired":6,"cancelled":7}}"#;
        let counts: QueueCounts = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&counts).unwrap(), text);
        for (code, count) in (0..7).zip(1..) {
            assert_eq!(counts.tasks.of(Status::from_code(code).unwrap()), count);
        }
        assert_eq!(counts.tasks.live(), 6);
    }
}
