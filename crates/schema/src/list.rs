use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::wire::null_as_default;
use crate::{QueueName, Status, Task};

/// How many items one page has at most, and has if it is not asked for fewer.
pub const LIST_LIMIT: u64 = 100;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct List<T> {
    /// How many items were skipped before this page.
    #[serde(default, skip_serializing_if = "is_zero", deserialize_with = "null_as_default")]
    pub offset: u64,
    /// How many items were asked for, if that is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// How many items the whole list has.
    pub count: u64,
    /// The items of this page.
    #[serde(
        default = "Vec::new",
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_as_default",
        bound(deserialize = "T: Deserialize<'de>")
    )]
    pub body: Vec<T>,
}

/// Which page of a list to read. By default the first, of 100 items.
///
/// ```
/// use pgmill_schema::ListRequest;
///
/// let second = ListRequest::new().offset(20).limit(20);
/// assert_eq!(second.effective_limit(), 20);
/// assert_eq!(ListRequest::new().effective_limit(), 100);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ListRequest {
    /// How many items to skip: 0 to 2^63 − 1. Default 0.
    pub offset: u64,
    /// How many items to read; above 100 counts as 100. Default 100. With 0 only the count is read.
    pub limit: Option<u64>,
}

/// A page that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListRequestError {
    /// The offset is out of range.
    #[error("offset must be at most 9223372036854775807, not {value}")]
    Offset {
        /// The offset as given.
        value: u64,
    },
}

impl ListRequest {
    /// The first page.
    #[must_use]
    pub const fn new() -> ListRequest {
        ListRequest { offset: 0, limit: None }
    }

    /// Sets how many items to skip.
    #[must_use]
    pub const fn offset(self, offset: u64) -> ListRequest {
        ListRequest { offset, ..self }
    }

    /// Sets how many items to read, at most 100.
    #[must_use]
    pub const fn limit(self, limit: u64) -> ListRequest {
        ListRequest { limit: Some(limit), ..self }
    }

    /// How many items the page will have at most.
    #[must_use]
    pub fn effective_limit(&self) -> u64 {
        self.limit.unwrap_or(LIST_LIMIT).min(LIST_LIMIT)
    }

    /// Checks that the database can count as far as the offset.
    ///
    /// # Errors
    ///
    /// [`ListRequestError::Offset`] if it cannot.
    pub fn validate(&self) -> Result<(), ListRequestError> {
        if i64::try_from(self.offset).is_err() {
            return Err(ListRequestError::Offset { value: self.offset });
        }
        Ok(())
    }
}

/// Which tasks to list. By default all of the namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TaskFilter {
    /// Only those of this queue.
    pub queue: Option<QueueName>,
    /// Only those with this status.
    pub status: Option<Status>,
    /// Only those behind this place.
    pub after: Option<TaskPlace>,
    /// Which page of them.
    pub page: ListRequest,
}

/// Where a task stands in a list: tasks are listed by creation, and those created at the same time by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskPlace {
    /// When the task was created.
    pub created_at: Timestamp,
    /// The task's id.
    pub id: u64,
}

impl From<&Task> for TaskPlace {
    fn from(task: &Task) -> TaskPlace {
        TaskPlace { created_at: task.created_at, id: task.id }
    }
}

impl TaskFilter {
    /// All tasks, the first page of them.
    #[must_use]
    pub const fn new() -> TaskFilter {
        TaskFilter { queue: None, status: None, after: None, page: ListRequest::new() }
    }

    /// Only those of this queue.
    #[must_use]
    pub fn queue(self, queue: QueueName) -> TaskFilter {
        TaskFilter { queue: Some(queue), ..self }
    }

    /// Only those with this status.
    #[must_use]
    pub fn status(self, status: Status) -> TaskFilter {
        TaskFilter { status: Some(status), ..self }
    }

    /// Only those behind this place, as the last task of the page before: each page then costs the same, however far it is
    /// from the first, and none is missing for others that have gone meanwhile. Offsets count from there.
    #[must_use]
    pub fn after(self, place: impl Into<TaskPlace>) -> TaskFilter {
        TaskFilter { after: Some(place.into()), ..self }
    }

    /// Sets which page to read.
    #[must_use]
    pub fn page(self, page: ListRequest) -> TaskFilter {
        TaskFilter { page, ..self }
    }

    /// Sets how many tasks to skip.
    #[must_use]
    pub fn offset(self, offset: u64) -> TaskFilter {
        let page = self.page.offset(offset);
        self.page(page)
    }

    /// Sets how many tasks to read, at most 100.
    #[must_use]
    pub fn limit(self, limit: u64) -> TaskFilter {
        let page = self.page.limit(limit);
        self.page(page)
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}
