//! How the errors of the library look over HTTP.

use axum::http::StatusCode;
use pgmill::{
    AuditError, BulkError, CancelError, ClaimError, EnqueueError, ListRequestError, LookupError, NameError,
    NameKind, OutcomeError, QueueError, QueueMetaError, ReleaseError, RetainError, RetryError,
    SharedStoreError, StatusError, StoreError, TaskMetaError, TickerError, TickerMetaError, TokenError,
    TokenMetaError,
};

use super::ApiError;

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            error @ StoreError::Lost(_) => Self::lost(error),
            error if error.is_transient() => Self::unavailable(error),
            // The database looks at data once more than we do. It is the caller's data that it refused.
            StoreError::Refused(_) => Self::bad("invalid_parameter", "the data cannot be stored"),
            error => Self::defect(error),
        }
    }
}

impl From<SharedStoreError> for ApiError {
    fn from(error: SharedStoreError) -> Self {
        match error.get() {
            it if it.is_transient() => Self::unavailable(error),
            StoreError::Refused(_) => Self::bad("invalid_parameter", "the data cannot be stored"),
            _ => Self::defect(error),
        }
    }
}

impl From<NameError> for ApiError {
    fn from(error: NameError) -> Self {
        match &error {
            NameError::Missing { kind: NameKind::Worker } => Self::bad("missing_worker", "Missing worker"),
            NameError::Missing { .. } => Self::bad("missing_name", error.to_string()),
            NameError::Reserved => Self::bad("reserved_namespace", error.to_string()),
            _ => Self::bad("invalid_name", error.to_string()),
        }
    }
}

impl From<ListRequestError> for ApiError {
    fn from(error: ListRequestError) -> Self {
        Self::bad("invalid_parameter", error.to_string())
    }
}

impl From<StatusError> for ApiError {
    fn from(error: StatusError) -> Self {
        Self::bad("invalid_parameter", error.to_string())
    }
}

impl From<QueueMetaError> for ApiError {
    fn from(error: QueueMetaError) -> Self {
        match error {
            QueueMetaError::Name(error) => error.into(),
            error => Self::bad("invalid_queue", error.to_string()),
        }
    }
}

impl From<QueueError> for ApiError {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::NotFound { .. } => Self::not_found("queue_not_found"),
            QueueError::Exists { queue, .. } => {
                Self::conflict("queue_exists", "queue already exists").with_detail(queue)
            }
            QueueError::Name(error) => error.into(),
            QueueError::Meta(error) => error.into(),
            QueueError::NothingToChange => Self::bad("no_patch_values", "No patch values"),
            QueueError::Page(error) => error.into(),
            QueueError::Store(error) => error.into(),
            error => Self::defect(error),
        }
    }
}

impl From<TickerMetaError> for ApiError {
    fn from(error: TickerMetaError) -> Self {
        match error {
            TickerMetaError::Name(error) => error.into(),
            error => Self::bad("invalid_ticker", error.to_string()),
        }
    }
}

impl From<TickerError> for ApiError {
    fn from(error: TickerError) -> Self {
        match error {
            TickerError::NotFound { .. } => Self::not_found("ticker_not_found"),
            TickerError::Exists { ticker, .. } => {
                Self::conflict("ticker_exists", "ticker already exists").with_detail(ticker)
            }
            TickerError::Name(error) => error.into(),
            TickerError::Meta(error) => error.into(),
            TickerError::Cron(error) => Self::bad("invalid_ticker", error.to_string()),
            TickerError::NothingToChange => Self::bad("no_patch_values", "No patch values"),
            TickerError::Page(error) => error.into(),
            error @ TickerError::Period { .. } => Self::bad("invalid_parameter", error.to_string()),
            error @ TickerError::Contended { .. } => Self::unavailable(error),
            TickerError::Store(error) => error.into(),
            error => Self::defect(error),
        }
    }
}

impl From<TaskMetaError> for ApiError {
    fn from(error: TaskMetaError) -> Self {
        match error {
            TaskMetaError::MissingPayload => Self::bad("missing_payload", "missing payload"),
            error @ TaskMetaError::PayloadTooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", error.to_string())
            }
            TaskMetaError::Key(error) => error.into(),
            error => Self::bad("invalid_task", error.to_string()),
        }
    }
}

impl From<EnqueueError> for ApiError {
    fn from(error: EnqueueError) -> Self {
        match error {
            EnqueueError::NoQueue { .. } => Self::not_found("queue_not_found"),
            EnqueueError::Name(error) => error.into(),
            EnqueueError::Meta(error) => error.into(),
            EnqueueError::DelayedInPast => Self::bad("delayed_in_past", "delayed_at is in the past"),
            EnqueueError::Unknown { id } => Self::outcome_unknown(id, error),
            EnqueueError::Closed => Self::unavailable(error),
            EnqueueError::Store(error) => error.into(),
            error => Self::defect(error),
        }
    }
}

impl From<BulkError> for ApiError {
    fn from(BulkError { index, error, .. }: BulkError) -> Self {
        match index {
            Some(index) => Self::from(error).at_index(index),
            None => error.into(),
        }
    }
}

impl From<RetainError> for ApiError {
    fn from(error: RetainError) -> Self {
        match error {
            RetainError::Name(error) => error.into(),
            RetainError::Lease => Self::bad("invalid_parameter", error.to_string()),
            RetainError::Closed => Self::unavailable(error),
            RetainError::Store(error) => error.into(),
            error => Self::defect(error),
        }
    }
}

impl From<OutcomeError> for ApiError {
    fn from(error: OutcomeError) -> Self {
        Self::bad("invalid_parameter", error.to_string())
    }
}

impl From<ClaimError> for ApiError {
    fn from(error: ClaimError) -> Self {
        Self::bad("invalid_lease", error.to_string())
    }
}

impl From<ReleaseError> for ApiError {
    fn from(error: ReleaseError) -> Self {
        match error {
            ReleaseError::NotFound { .. } => Self::not_found("task_not_found"),
            // The contract has one answer for a task that is unknown, waits, or has ended.
            ReleaseError::NotRetained { .. } => Self::not_found("task_not_retained"),
            ReleaseError::Superseded { .. } => {
                Self::conflict("lease_stale", "the lease is stale: its attempt is over")
            }
            ReleaseError::LeaseRequired { .. } => Self::conflict(
                "lease_required",
                "the task was retained for a lease that was asked for: its release needs that lease",
            ),
            ReleaseError::Id { .. } => Self::bad("invalid_parameter", error.to_string()),
            ReleaseError::Outcome(error) => error.into(),
            ReleaseError::Unknown { id } => Self::outcome_unknown(id, error),
            ReleaseError::Locked { .. } | ReleaseError::Closed => Self::unavailable(error),
            ReleaseError::Store(error) => error.into(),
            error => Self::defect(error),
        }
    }
}

impl From<CancelError> for ApiError {
    fn from(error: CancelError) -> Self {
        match error {
            CancelError::NotFound { .. } => Self::not_found("task_not_found"),
            CancelError::Finished { status, .. } => {
                Self::conflict("task_finished", format!("the task has ended already: it is {status}"))
            }
            CancelError::Unknown { id } => Self::outcome_unknown(id, error),
            CancelError::Locked { .. } => Self::unavailable(error),
            CancelError::Store(error) => error.into(),
            error => Self::defect(error),
        }
    }
}

impl From<RetryError> for ApiError {
    fn from(error: RetryError) -> Self {
        match error {
            RetryError::NotFound { .. } => Self::not_found("task_not_found"),
            RetryError::NotFinished { status, .. } => {
                Self::conflict("task_not_finished", format!("the task has not ended: it is {status}"))
            }
            RetryError::KeyTaken { by, .. } => {
                Self::conflict("key_taken", "the key of the task belongs to another one by now")
                    .with_detail(serde_json::json!({ "id": by }))
            }
            RetryError::Unknown { id } => Self::outcome_unknown(id, error),
            RetryError::Locked { .. } => Self::unavailable(error),
            RetryError::Store(error) => error.into(),
            error => Self::defect(error),
        }
    }
}

impl From<LookupError> for ApiError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::NotFound { .. } => Self::not_found("task_not_found"),
            LookupError::Page(error) => error.into(),
            LookupError::Store(error) => error.into(),
            error => Self::defect(error),
        }
    }
}

impl From<TokenMetaError> for ApiError {
    fn from(error: TokenMetaError) -> Self {
        match error {
            TokenMetaError::Name(error) => error.into(),
            error => Self::bad("invalid_token_request", error.to_string()),
        }
    }
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::NotFound { .. } => Self::not_found("token_not_found"),
            TokenError::Exists { name } => {
                Self::conflict("token_exists", "token already exists").with_detail(name)
            }
            TokenError::Meta(error) => error.into(),
            TokenError::Page(error) => error.into(),
            TokenError::Store(error) => error.into(),
            error => Self::defect(error),
        }
    }
}

impl From<AuditError> for ApiError {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Page(error) => error.into(),
            AuditError::Store(error) => error.into(),
            error => Self::defect(error),
        }
    }
}
