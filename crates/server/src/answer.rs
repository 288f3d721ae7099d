//! What a handler answers with.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::error::ApiError;
use crate::indent::indented;

/// A status and a value as indented JSON.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    status: StatusCode,
    value: T,
}

/// What handlers return.
pub(crate) type Answered<T> = Result<Answer<T>, ApiError>;

impl<T> Answer<T> {
    /// 200.
    pub(crate) fn ok(value: T) -> Self {
        Self { status: StatusCode::OK, value }
    }

    /// 201.
    pub(crate) fn created(value: T) -> Self {
        Self { status: StatusCode::CREATED, value }
    }

    /// 201 for something new, 200 for what was there already.
    pub(crate) fn created_or_found(is_new: bool, value: T) -> Self {
        if is_new { Self::created(value) } else { Self::ok(value) }
    }
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        match json(self.status, &self.value) {
            Ok(response) => response,
            Err(error) => ApiError::defect(format!("an answer has no JSON: {error}")).into_response(),
        }
    }
}

/// A response with this value as indented JSON.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Result<Response, serde_json::Error> {
    let text = indented(&serde_json::to_vec(value)?);
    Ok((status, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response())
}
