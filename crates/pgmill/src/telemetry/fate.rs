//! How an attempt ends, in the words of labels and reports.

use pgmill_schema::{Outcome, Status};

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Done,
    Retry,
    Failed,
    Expired,
    Cancelled,
    Snoozed,
    GivenBack,
    Lost,
    Unrecorded,
}

impl Fate {
    pub(super) const ALL: [Self; 9] = [
        Self::Done,
        Self::Retry,
        Self::Failed,
        Self::Expired,
        Self::Cancelled,
        Self::Snoozed,
        Self::GivenBack,
        Self::Lost,
        Self::Unrecorded,
    ];

    /// Of a release that does not leave it to the task's status.
    pub(crate) fn chosen(outcome: &Outcome) -> Option<Self> {
        match outcome {
            Outcome::GiveBack => Some(Self::GivenBack),
            Outcome::Snooze(_) => Some(Self::Snoozed),
            Outcome::Done(_) | Outcome::Retry { .. } | Outcome::Failed(_) | Outcome::Cancelled(_) => None,
        }
    }

    /// Of a release after which the task has this status.
    pub(crate) fn of(status: Status) -> Self {
        match status {
            Status::Released => Self::Done,
            Status::Failed => Self::Failed,
            Status::Expired => Self::Expired,
            Status::Cancelled => Self::Cancelled,
            Status::New | Status::Retry | Status::Retained => Self::Retry,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Retry => "retry",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Snoozed => "snoozed",
            Self::GivenBack => "given_back",
            Self::Lost => "lost",
            Self::Unrecorded => "unrecorded",
        }
    }

    /// Whether the work was not done, though it was to be.
    pub(super) fn is_failure(self) -> bool {
        match self {
            Self::Done | Self::Cancelled | Self::Snoozed | Self::GivenBack => false,
            Self::Retry | Self::Failed | Self::Expired | Self::Lost | Self::Unrecorded => true,
        }
    }
}
