//! Who asks, and for which namespace.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use pgmill::Manager;

use crate::api::App;
use crate::error::ApiError;

/// Who sent a request, as [`identify`] found out.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The manager of the namespace that the request is for.
    pub(crate) manager: Manager,
}

/// Finds out who sent a request, and tells the handlers.
pub(crate) async fn identify(State(app): State<App>, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(Caller { manager: app.manager().clone() });
    next.run(request).await
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| ApiError::defect("no caller was identified"))
    }
}
