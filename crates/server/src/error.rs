//! What a request ends with when it fails, in the shape of the contract.

mod convert;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;

use crate::answer::json;
use crate::indent::indented;

/// A failed request. What it shows is meant for whoever sent it; the cause of a failure of ours goes to the log.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    status: StatusCode,
    message: Option<Cow<'static, str>>,
    detail: Option<Value>,
    name: &'static str,
    /// In how many seconds trying again may help.
    retry_after: Option<u32>,
    /// How a client is to prove who it is, where it has not.
    challenge: Option<&'static str>,
    cause: Option<Arc<Cause>>,
    /// Whether the answer of the database was lost.
    lost: bool,
}

/// Why a request failed though nothing was wrong with it: for the log alone.
#[derive(Debug)]
pub(crate) struct Cause(pub(crate) Box<dyn std::error::Error + Send + Sync>);

/// The body of an answer to a failed request.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ErrorBody {
    /// The HTTP status.
    code: u16,
    /// What is wrong, for people.
    reason: String,
    /// More about it, if there is more to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    detail: Option<Value>,
    /// What is wrong, for programs: a name that stays the same.
    error: &'static str,
    /// Under which name the log of the server has the cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

impl ApiError {
    /// An error with a status, a message that follows the status in `reason`, and its stable name.
    pub(crate) fn new(status: StatusCode, name: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        let message = Some(message.into()).filter(|message| !message.is_empty());
        Self {
            status,
            message,
            detail: None,
            name,
            retry_after: None,
            challenge: None,
            cause: None,
            lost: false,
        }
    }

    /// 401. Whether a token is unknown, revoked or expired is nothing to tell to somebody unknown.
    pub(crate) fn unauthenticated(presented: bool) -> Self {
        let (message, challenge) = match presented {
            true => ("the token is not valid", "Bearer error=\"invalid_token\""),
            false => ("a token is needed: Authorization: Bearer <token>", "Bearer"),
        };
        let error = Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", message);
        Self { challenge: Some(challenge), ..error }
    }

    /// 400.
    pub(crate) fn bad(name: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, name, message)
    }

    /// 404, in the words of the contract.
    pub(crate) fn not_found(name: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, name, "not found")
    }

    /// 409.
    pub(crate) fn conflict(name: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, name, message)
    }

    /// 503: the database is away or busy.
    pub(crate) fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "try again later");
        Self { retry_after: Some(1), cause: Some(Arc::new(Cause(cause.into()))), ..error }
    }

    /// 503: the connection to the database was lost over it.
    pub(crate) fn lost(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { lost: true, ..Self::unavailable(cause) }
    }

    /// The same of something that changes what it is asked for: where the connection was lost, it may have been done.
    #[must_use]
    pub(crate) fn of_change(self) -> Self {
        if !self.lost {
            return self;
        }
        let message = "it is not known whether this was done: look before trying again";
        let unknown = Self::new(StatusCode::SERVICE_UNAVAILABLE, "outcome_unknown", message);
        Self { cause: self.cause, ..unknown }
    }

    /// 503: what was asked for may have been done.
    pub(crate) fn outcome_unknown(
        id: u64,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        let message = "it is not known whether this was done: look for the task before trying again";
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "outcome_unknown", message);
        Self { cause: Some(Arc::new(Cause(cause.into()))), ..error }
            .with_detail(serde_json::json!({ "id": id }))
    }

    /// 429: there is room again after so long.
    pub(crate) fn rate_limited(wait: Duration) -> Self {
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "slow down");
        let seconds = u32::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX).max(1);
        Self { retry_after: Some(seconds), ..error }
    }

    /// 503: of what costs something for as long as somebody waits for it, there is no more to be had.
    pub(crate) fn too_many_waits() -> Self {
        let message = "as many different queues or namespaces are waited for as can be: try again later";
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_waits", message);
        Self { retry_after: Some(1), ..error }
    }

    /// 503: the answer did not come within this time.
    pub(crate) fn too_late(time: Duration, changes: bool) -> Self {
        let asked = if changes { "; it is not known whether it was done" } else { "" };
        let message = format!("there was no answer within {time:?}{asked}");
        let cause = format!("it was not answered within {time:?}");
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", message);
        let retry_after = (!changes).then_some(1);
        Self { retry_after, cause: Some(Arc::new(Cause(cause.into()))), ..error }
    }

    /// 500: a defect of ours.
    pub(crate) fn defect(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let error = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "");
        Self { cause: Some(Arc::new(Cause(cause.into()))), ..error }
    }

    /// What in particular was wrong.
    #[must_use]
    pub(crate) fn with_detail(self, detail: impl Into<Value>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// Whether it is no fault of the request.
    pub(crate) fn is_ours(&self) -> bool {
        self.status.is_server_error()
    }

    /// Whether it is a defect.
    pub(crate) fn is_defect(&self) -> bool {
        self.status == StatusCode::INTERNAL_SERVER_ERROR
    }

    /// At which of several elements it was, from 0. A detail that is an object keeps its keys.
    #[must_use]
    pub(crate) fn at_index(self, index: usize) -> Self {
        let mut detail = match &self.detail {
            Some(Value::Object(detail)) => detail.clone(),
            _ => serde_json::Map::new(),
        };
        detail.insert("index".to_owned(), index.into());
        self.with_detail(detail)
    }

    /// The stable name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Why it failed, where that is for the log.
    pub(crate) fn cause(&self) -> Option<&Cause> {
        self.cause.as_deref()
    }

    /// The response. A failure of ours carries the id under which the log has its cause.
    pub(crate) fn response(&self, request_id: Option<&str>) -> Response {
        let body = self.body(request_id);
        let mut response = json(self.status, &body).unwrap_or_else(|_| self.status.into_response());
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = self.challenge {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

impl ApiError {
    fn body(&self, request_id: Option<&str>) -> ErrorBody {
        let status = self.status.canonical_reason().unwrap_or("Error");
        let reason = match &self.message {
            Some(message) => format!("{status}: {message}"),
            None => status.to_owned(),
        };
        let (detail, request_id) = (self.detail.clone(), request_id.map(str::to_owned));
        ErrorBody { code: self.status.as_u16(), reason, detail, error: self.name, request_id }
    }

    /// The body of the response alone.
    pub(crate) fn text(&self) -> String {
        let json = serde_json::to_vec(&self.body(None)).unwrap_or_default();
        String::from_utf8(indented(&json)).unwrap_or_default()
    }
}

impl IntoResponse for ApiError {
    /// Beside the response goes the error itself, for the layer that knows the id of the request and writes the log.
    fn into_response(self) -> Response {
        let mut response = self.response(None);
        response.extensions_mut().insert(self);
        response
    }
}
