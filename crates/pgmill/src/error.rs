//! What the operations of a [`Manager`](crate::Manager) can end with: one enum for each family.

use pgmill_schema::{ListRequestError, NameError, OutcomeError, QueueMetaError, Status, TaskMetaError};
use pgmill_store::{ConnectError, MigrateError, StoreError};

/// Why there is no manager.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The namespace has a name it cannot have.
    #[error(transparent)]
    Namespace(#[from] NameError),
    /// The connection string is malformed, or its files are of no use.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The database could not be reached or migrated.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
}

impl OpenError {
    /// Whether trying again later may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Namespace(_) => false,
            Self::Connect(error) => error.is_transient(),
            Self::Migrate(error) => error.is_transient(),
        }
    }
}

/// Why an operation on queues failed. Nothing has changed, unless the connection was lost
/// ([`StoreError::Lost`]).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// There is no such queue.
    #[error("queue \"{queue}\" not found in namespace \"{namespace}\"")]
    NotFound {
        /// Where it was looked for.
        namespace: String,
        /// Its name.
        queue: String,
    },
    /// The name is taken.
    #[error("queue \"{queue}\" already exists in namespace \"{namespace}\"")]
    Exists {
        /// Where it is.
        namespace: String,
        /// The name.
        queue: String,
    },
    /// A name that no queue can have.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A setting out of its range.
    #[error(transparent)]
    Meta(#[from] QueueMetaError),
    /// An update that changes nothing.
    #[error("No patch values")]
    NothingToChange,
    /// A page beyond the largest number.
    #[error(transparent)]
    Page(#[from] ListRequestError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a task was not created.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum EnqueueError {
    /// There is no such queue.
    #[error("queue \"{queue}\" not found in namespace \"{namespace}\"")]
    NoQueue {
        /// Where it was looked for.
        namespace: String,
        /// Its name.
        queue: String,
    },
    /// A name that no queue can have.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The task is not one that can be created.
    #[error(transparent)]
    Meta(#[from] TaskMetaError),
    /// The task was to start more than a second ago, by the database's clock.
    #[error("delayed_at is in the past")]
    DelayedInPast,
    /// Whether the task was created could not be found out in time, or before the runtime that asked ended: look for it
    /// by its id.
    #[error(
        "it is not known whether task {id} was created: the connection was lost and did not come back in time"
    )]
    Unknown {
        /// The id that it has, if it was created.
        id: u64,
    },
    /// The manager is closed, or its runtime ended before the call was sent: nothing was created.
    #[error("the manager is closed")]
    Closed,
    /// The database failed, and nothing was created.
    #[error(transparent)]
    Store(#[from] SharedStoreError),
}

/// Why no task was retained.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RetainError {
    /// A name that no queue or worker can have.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A lease out of its range.
    #[error("lease is out of range: allowed are 1 s to 30 days")]
    Lease,
    /// The manager is closed, or its runtime ended. A task that was retained all the same comes back when its lease
    /// lapses.
    #[error("the manager is closed")]
    Closed,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] SharedStoreError),
}

/// Why an attempt was not ended.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The namespace has no such task.
    #[error("task {id} not found")]
    NotFound {
        /// Its id.
        id: u64,
    },
    /// The task is not retained: it waits, or has ended.
    #[error("task {id} is not retained")]
    NotRetained {
        /// Its id.
        id: u64,
    },
    /// The attempt is over, its lease having lapsed, and another one runs.
    #[error("task {id} is retained by another attempt")]
    Superseded {
        /// Its id.
        id: u64,
    },
    /// The task was retained [fenced](crate::Retain::fenced): its release needs the task or its claim, not the id alone.
    #[error("task {id} was retained fenced: its release needs its lease, not its id alone")]
    LeaseRequired {
        /// Its id.
        id: u64,
    },
    /// A transaction outside of pgmill holds the task's row, and did not let go of it in time.
    #[error("task {id} is locked by another transaction")]
    Locked {
        /// Its id.
        id: u64,
    },
    /// An id that no task can have.
    #[error("task id {id} is out of range: allowed are 1 to 9223372036854775807")]
    Id {
        /// The id.
        id: u64,
    },
    /// A result that cannot be stored.
    #[error(transparent)]
    Outcome(#[from] OutcomeError),
    /// Whether the attempt was ended could not be found out in time, or before the runtime that asked ended. If it was
    /// not, its lease will lapse.
    #[error(
        "it is not known whether task {id} was released: the connection was lost and did not come back in time"
    )]
    Unknown {
        /// Its id.
        id: u64,
    },
    /// The manager is closed, or its runtime ended before the call was sent: nothing was changed.
    #[error("the manager is closed")]
    Closed,
    /// The database failed, and nothing was changed.
    #[error(transparent)]
    Store(#[from] SharedStoreError),
}

/// Why a task was not cancelled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CancelError {
    /// The namespace has no such task.
    #[error("task {id} not found")]
    NotFound {
        /// Its id.
        id: u64,
    },
    /// The task has ended already, or is past its `dies_at`.
    #[error("task {id} has ended already: it is {status}")]
    Finished {
        /// Its id.
        id: u64,
        /// How it ended: `released`, `failed`, `expired` or `cancelled`.
        status: Status,
    },
    /// Another transaction holds the task's row, and did not let go of it within 2 s.
    #[error("task {id} is locked by another transaction")]
    Locked {
        /// Its id.
        id: u64,
    },
    /// Whether the task was cancelled could not be found out in time. Cancelling it again is safe.
    #[error(
        "it is not known whether task {id} was cancelled: the connection was lost and did not come back in time"
    )]
    Unknown {
        /// Its id.
        id: u64,
    },
    /// The database failed, and nothing was changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a task was not retried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RetryError {
    /// The namespace has no such task, or keeps it no longer, or its queue was deleted.
    #[error("task {id} not found")]
    NotFound {
        /// Its id.
        id: u64,
    },
    /// The task has not ended: it waits or is retained.
    #[error("task {id} has not ended: it is {status}")]
    NotFinished {
        /// Its id.
        id: u64,
        /// What it is: `new`, `retry` or `retained`.
        status: Status,
    },
    /// The task was past its retention, and the key it was created under has been given to another task since.
    #[error("task {id} cannot be retried: its key belongs to task {by} by now")]
    KeyTaken {
        /// Its id.
        id: u64,
        /// The id of the task that has the key.
        by: u64,
    },
    /// Another transaction holds the task's row, its key or its queue, and did not let go of it within some 2 s.
    #[error("task {id} is locked by another transaction")]
    Locked {
        /// Its id.
        id: u64,
    },
    /// Whether the task was retried could not be found out in time: look at its status before retrying it again.
    #[error(
        "it is not known whether task {id} was retried: the connection was lost and did not come back in time"
    )]
    Unknown {
        /// Its id.
        id: u64,
    },
    /// The database failed, and nothing was changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a task could not be looked up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The namespace has no such task.
    #[error("task {id} not found")]
    NotFound {
        /// Its id.
        id: u64,
    },
    /// A page beyond the largest number.
    #[error(transparent)]
    Page(#[from] ListRequestError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A [`StoreError`] that befell a whole batch, shared by its callers.
#[derive(Debug, Clone)]
pub struct SharedStoreError(std::sync::Arc<StoreError>);

impl SharedStoreError {
    /// The error.
    pub fn get(&self) -> &StoreError {
        &self.0
    }
}

impl From<StoreError> for SharedStoreError {
    fn from(error: StoreError) -> Self {
        Self(error.into())
    }
}

impl std::fmt::Display for SharedStoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for SharedStoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl QueueError {
    /// Whether trying again later may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
    }
}

impl EnqueueError {
    /// Whether trying again later may help. After [`Unknown`](Self::Unknown) it may create the task a second time, unless
    /// the task has a key.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unknown { .. } => true,
            Self::Store(error) => error.get().is_transient(),
            _ => false,
        }
    }
}

impl RetainError {
    /// Whether trying again later may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(error) if error.get().is_transient())
    }
}

impl ReleaseError {
    /// Whether trying again later may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unknown { .. } | Self::Locked { .. } => true,
            Self::Store(error) => error.get().is_transient(),
            _ => false,
        }
    }
}

impl CancelError {
    /// Whether trying again later may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unknown { .. } | Self::Locked { .. } => true,
            Self::Store(error) => error.is_transient(),
            _ => false,
        }
    }
}

impl RetryError {
    /// Whether trying again later may help. After [`Unknown`](Self::Unknown) it may retry the task a second time.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unknown { .. } | Self::Locked { .. } => true,
            Self::Store(error) => error.is_transient(),
            _ => false,
        }
    }
}

impl LookupError {
    /// Whether trying again later may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
    }
}
