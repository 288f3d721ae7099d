use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::wire::time;
use crate::{Namespace, QueueName, Status};

/// How many ids an [`EventFilter`] over the network may name at most.
pub const EVENT_IDS_LIMIT: usize = 100;

/// A task has another status: one change of its life, from its creation (`new`) to its end.
///
/// In JSON, what is not set is left out. Times are UTC.
///
/// ```
/// use pgmill_schema::TaskEvent;
///
/// let text = r#"{"id":7,"namespace":"app","queue":"emails","status":"new","attempt":0,"at":"2030-01-02T03:04:05Z"}"#;
/// let event: TaskEvent = serde_json::from_str(text)?;
/// assert_eq!(serde_json::to_string(&event)?, text);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskEvent {
    /// The number of the task.
    pub id: u64,
    /// The namespace of its queue.
    pub namespace: Namespace,
    /// The queue it is in.
    pub queue: QueueName,
    /// Where it stands now. A task that was given back or snoozed is `new` or `retry` again.
    pub status: Status,
    /// How often it has been retained. It only grows, and so tells the order of the changes of one task.
    pub attempt: u32,
    /// The label of the worker that retained it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// When it changed, by the database's clock.
    #[serde(with = "time")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Time))]
    pub at: Timestamp,
}

/// Which changes of tasks to tell of. By default all of the namespace. What is named several times of one kind counts if
/// one of them fits, and each kind that is named must fit.
///
/// ```
/// use pgmill_schema::{EventFilter, QueueName, Status};
///
/// let failures = EventFilter::new().queue(QueueName::new("emails")?).status(Status::Failed).status(Status::Expired);
/// assert_eq!(failures.statuses.len(), 2);
/// # Ok::<(), pgmill_schema::NameError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct EventFilter {
    /// Only those of tasks in these queues; empty: in any.
    pub queues: Vec<QueueName>,
    /// Only those to these statuses; empty: to any.
    pub statuses: Vec<Status>,
    /// Only those of these tasks; empty: of any.
    pub ids: Vec<u64>,
}

impl EventFilter {
    /// All changes.
    #[must_use]
    pub const fn new() -> EventFilter {
        EventFilter { queues: Vec::new(), statuses: Vec::new(), ids: Vec::new() }
    }

    /// Those of tasks in this queue too.
    #[must_use]
    pub fn queue(mut self, queue: QueueName) -> EventFilter {
        self.queues.push(queue);
        self
    }

    /// Those to this status too.
    #[must_use]
    pub fn status(mut self, status: Status) -> EventFilter {
        self.statuses.push(status);
        self
    }

    /// Those of the task with this id too.
    #[must_use]
    pub fn id(mut self, id: u64) -> EventFilter {
        self.ids.push(id);
        self
    }

    /// Whether the change is one to tell of. The namespace is not looked at.
    #[must_use]
    pub fn matches(&self, event: &TaskEvent) -> bool {
        fn fits<T: PartialEq>(wanted: &[T], value: &T) -> bool {
            wanted.is_empty() || wanted.contains(value)
        }
        fits(&self.statuses, &event.status) && fits(&self.queues, &event.queue) && fits(&self.ids, &event.id)
    }
}
