//! The part of a path that names something.

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use crate::error::ApiError;

/// One segment of the path, percent-decoded.
#[derive(Debug)]
pub(crate) struct Segment(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let segment: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, state).await;
        match segment {
            Ok(Path(segment)) => Ok(Self(segment)),
            Err(_) => Err(ApiError::bad("invalid_parameter", "the path is not UTF-8")),
        }
    }
}

/// One segment of the path that is the id of a task: decimal digits alone, from 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TaskId(pub(crate) u64);

impl<S: Send + Sync> FromRequestParts<S> for TaskId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Segment::from_request_parts(parts, state).await?.task_id().map(Self)
    }
}

impl Segment {
    /// The id of a task: decimal digits alone, from 1.
    ///
    /// # Errors
    /// 400 in the words of the contract.
    fn task_id(&self) -> Result<u64, ApiError> {
        let invalid = || ApiError::bad("invalid_parameter", "invalid task id").with_detail(self.0.as_str());
        if self.0.is_empty() || !self.0.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid());
        }
        match self.0.parse::<u64>().map_err(|_| invalid())? {
            0 => Err(ApiError::bad("invalid_parameter", "Missing task id")),
            id if i64::try_from(id).is_err() => Err(invalid()),
            id => Ok(id),
        }
    }
}
