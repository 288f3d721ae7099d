//! Failures of ours: to the log with their cause, and to the client with the id under which it is there.

use std::any::Any;
use std::error::Error;
use std::panic::AssertUnwindSafe;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;

use super::request_id::{self, RequestId};
use crate::error::ApiError;

/// Gives a request its id, and reports how it failed.
pub(crate) async fn report(mut request: Request, next: Next) -> Response {
    let id = RequestId::of(&mut request);
    reported(caught(next.run(request)).await, &id)
}

/// The response, or one that says that the handler panicked.
pub(super) async fn caught(response: impl Future<Output = Response>) -> Response {
    // What a handler shares with others is behind locks that are poisoned, or whole.
    match AssertUnwindSafe(response).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => ApiError::defect(format!("the handler panicked: {}", message(&*panic))).into_response(),
    }
}

/// The response with the id of its request. The cause of a failure of ours is logged here, once.
pub(super) fn reported(mut response: Response, id: &RequestId) -> Response {
    if let Some(error) = response.extensions_mut().remove::<ApiError>()
        && error.is_ours()
    {
        log(&error, id);
        response = error.response(Some(id.as_str()));
    }
    if let Some(id) = id.header() {
        response.headers_mut().insert(request_id::HEADER, id);
    }
    response
}

fn log(error: &ApiError, id: &RequestId) {
    let (name, request_id) = (error.name(), id.as_str());
    let cause = error.cause().map(|cause| chain(&*cause.0)).unwrap_or_default();
    if error.is_defect() {
        tracing::error!(error = name, request_id, cause, "a request failed by a defect: {cause}");
    } else {
        tracing::warn!(error = name, request_id, cause, "a request failed: {cause}");
    }
}

/// An error and what caused it, each once.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        // Errors that show their source in their own message would be read twice.
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = cause.source();
    }
    text
}

fn message(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "without a message",
    }
}
