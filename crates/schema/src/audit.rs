use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::wire::time;
use crate::{Json, ListRequest, Namespace};

const ACTION_BYTES: usize = 64;
const TEXT_BYTES: usize = 255;
const DETAIL_BYTES: usize = 16 << 10;

/// Who did what to which queue, ticker, task or token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEntry {
    /// The number; a later entry has, but for what happens at the same moment, a higher one.
    pub id: u64,
    /// When it was recorded, which is once it was done.
    #[serde(with = "time")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Time))]
    pub at: Timestamp,
    /// Who did it: the name of a token; `anonymous`, over HTTP without a token; `cli`, on the command line.
    pub actor: String,
    /// The token, if it was done with one: names are used again, ids are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<u64>,
    /// The namespace in which it was done, if it concerns one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
    /// What was done, such as `pause_queue`.
    pub action: String,
    /// To what: the name of a queue, ticker or token, or the id of a task.
    pub target: String,
    /// The request by which it was done, as the log has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What there is to know besides, such as the settings that were given. Never a payload, never a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Any, required = false))]
    pub detail: Option<Json>,
}

/// What is to be recorded.
///
/// ```
/// use pgmill_schema::{AuditMeta, Namespace};
///
/// let meta = AuditMeta::new("alice", "pause_queue", "emails").namespace(Namespace::new("shop")?).token_id(7);
/// meta.validate()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditMeta {
    /// Who did it: 1 to 255 bytes.
    pub actor: String,
    /// The token it was done with.
    pub token_id: Option<u64>,
    /// The namespace it was done in.
    pub namespace: Option<Namespace>,
    /// What was done: 1 to 64 bytes.
    pub action: String,
    /// To what: 1 to 255 bytes.
    pub target: String,
    /// The request by which it was done: 1 to 255 bytes.
    pub request_id: Option<String>,
    /// What there is to know besides: at most 16 KiB.
    pub detail: Option<Json>,
}

/// An entry that cannot be recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditMetaError {
    /// A text is empty, too long, or holds NUL.
    #[error("{field} must have 1 to {limit} bytes, none of them NUL, and has {bytes}")]
    Text {
        /// Which.
        field: &'static str,
        /// Its length.
        bytes: usize,
        /// The longest allowed.
        limit: usize,
    },
}

impl AuditMeta {
    /// That `actor` did `action` to `target`.
    #[must_use]
    pub fn new(actor: impl Into<String>, action: impl Into<String>, target: impl Into<String>) -> AuditMeta {
        AuditMeta {
            actor: actor.into(),
            token_id: None,
            namespace: None,
            action: action.into(),
            target: target.into(),
            request_id: None,
            detail: None,
        }
    }

    /// Sets the token it was done with.
    #[must_use]
    pub fn token_id(self, id: u64) -> AuditMeta {
        AuditMeta { token_id: Some(id), ..self }
    }

    /// Sets the namespace it was done in.
    #[must_use]
    pub fn namespace(self, namespace: Namespace) -> AuditMeta {
        AuditMeta { namespace: Some(namespace), ..self }
    }

    /// Sets the request by which it was done.
    #[must_use]
    pub fn request_id(self, request_id: impl Into<String>) -> AuditMeta {
        AuditMeta { request_id: Some(request_id.into()), ..self }
    }

    /// Sets what there is to know besides.
    #[must_use]
    pub fn detail(self, detail: Json) -> AuditMeta {
        AuditMeta { detail: Some(detail), ..self }
    }

    /// Checks that it can be recorded.
    ///
    /// # Errors
    ///
    /// [`AuditMetaError`] for the first thing that is wrong.
    pub fn validate(&self) -> Result<(), AuditMetaError> {
        text("actor", &self.actor, TEXT_BYTES)?;
        text("action", &self.action, ACTION_BYTES)?;
        text("target", &self.target, TEXT_BYTES)?;
        if let Some(request_id) = &self.request_id {
            text("request_id", request_id, TEXT_BYTES)?;
        }
        match &self.detail {
            Some(detail) => text("detail", detail.as_str(), DETAIL_BYTES),
            None => Ok(()),
        }
    }
}

fn text(field: &'static str, text: &str, limit: usize) -> Result<(), AuditMetaError> {
    if (1..=limit).contains(&text.len()) && !text.contains('\0') {
        return Ok(());
    }
    Err(AuditMetaError::Text { field, bytes: text.len(), limit })
}

/// Which entries to list, newest first. By default all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct AuditFilter {
    /// Only those of this action.
    pub action: Option<String>,
    /// Only those about this target.
    pub target: Option<String>,
    /// Which page of them.
    pub page: ListRequest,
}

impl AuditFilter {
    /// All entries, the first page of them.
    #[must_use]
    pub const fn new() -> AuditFilter {
        AuditFilter { action: None, target: None, page: ListRequest::new() }
    }

    /// Only those of this action.
    #[must_use]
    pub fn action(self, action: impl Into<String>) -> AuditFilter {
        AuditFilter { action: Some(action.into()), ..self }
    }

    /// Only those about this target.
    #[must_use]
    pub fn target(self, target: impl Into<String>) -> AuditFilter {
        AuditFilter { target: Some(target.into()), ..self }
    }

    /// Sets which page to read.
    #[must_use]
    pub fn page(self, page: ListRequest) -> AuditFilter {
        AuditFilter { page, ..self }
    }
}
