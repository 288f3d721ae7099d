//! Bodies of requests.

use std::error::Error;

use axum::body::{Bytes, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::{form, media, object};
use crate::api::App;
use crate::error::ApiError;
use crate::layers::BodyLate;

/// A body read as a type: JSON, or a form.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

/// A body and what it is.
#[derive(Debug)]
pub(crate) enum Read {
    Json(Bytes),
    Form(object::Object<'static, form::Text>),
}

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let value = match read_body(request, app).await? {
            Read::Json(text) => object::from_slice(&text),
            Read::Form(form) => T::deserialize(form),
        };
        Ok(Self(value.map_err(|error| invalid(&error))?))
    }
}

/// What is wrong with a body, without naming types of ours.
pub(crate) fn invalid(error: &serde_json::Error) -> ApiError {
    ApiError::bad("invalid_body", format!("json: {error}"))
}

/// Reads the whole body, up to the limit, and finds out what it is.
///
/// # Errors
/// 400 if it has no content type, one that is not read here, or nothing in it; 413 if it is too long, as soon as that is known.
pub(crate) async fn read_body(request: Request, app: &App) -> Result<Read, ApiError> {
    let (parts, body) = request.into_parts();
    let (kind, header) = media::media_type(&parts.headers)?;
    let known = ["application/json", "multipart/form-data"].contains(&kind.as_str());
    if !known {
        let message = format!("unexpected content type {header:?}");
        return Err(ApiError::bad("unsupported_content_type", message));
    }
    let limit = app.options().body_limit();
    // What a request says that it will send need not be sent to be refused.
    if body.size_hint().lower() > limit as u64 {
        return Err(too_long(limit));
    }
    let text = Limited::new(body, limit).collect().await.map_err(|error| unread(&*error, limit))?.to_bytes();
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(ApiError::bad("missing_body", "Missing request body"));
    }
    match kind.as_str() {
        "application/json" => Ok(Read::Json(text)),
        _ => Ok(Read::Form(form::read(header, text).await?)),
    }
}

/// Reads a body that does not matter to its end. While something of it is still to come, nobody sees that the client goes away.
///
/// # Errors
/// As for [`read_body`], but for what it is.
pub(crate) async fn skip_body(body: axum::body::Body, app: &App) -> Result<(), ApiError> {
    let limit = app.options().body_limit();
    let mut body = Limited::new(body, limit);
    while let Some(frame) = body.frame().await {
        frame.map_err(|error| unread(&*error, limit))?;
    }
    Ok(())
}

fn is_late(error: &(dyn Error + 'static)) -> bool {
    error.is::<BodyLate>() || error.source().is_some_and(is_late)
}

fn too_long(limit: usize) -> ApiError {
    let message = format!("the body is longer than {limit} bytes");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
}

fn unread(error: &(dyn std::error::Error + Send + Sync + 'static), limit: usize) -> ApiError {
    if error.is::<LengthLimitError>() {
        return too_long(limit);
    }
    if is_late(error) {
        return ApiError::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the body did not arrive in time");
    }
    ApiError::bad("invalid_body", "the body could not be read")
}
