//! `/openapi.json` and `/docs`, a page to read it.

use axum::extract::State;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::answer::json;
use crate::api::App;
use crate::error::ApiError;
use crate::openapi::document;
use crate::resource::{Routes, at};

pub(crate) fn routes() -> Routes {
    Routes::new([
        at("/openapi.json").get(openapi),
        at("/docs").get(async || asset("text/html; charset=utf-8", include_str!("../../assets/docs.html"))),
        at("/docs/style.css")
            .get(async || asset("text/css; charset=utf-8", include_str!("../../assets/docs.css"))),
        at("/docs/script.js")
            .get(async || asset("text/javascript; charset=utf-8", include_str!("../../assets/docs.js"))),
    ])
}

/// This description.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "get_openapi",
    tag = "server",
    responses((status = 200, description = "The description.", content_type = "application/json"))
)]
pub(crate) async fn openapi(State(app): State<App>) -> Result<Response, ApiError> {
    let description = document(app.options().path_prefix(), app.options().wants_tokens());
    json(StatusCode::OK, &description).map_err(ApiError::defect)
}

/// A part of the page. It may load and ask nothing but what comes from this server.
fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                  form-action 'none'; frame-ancestors 'none'";
    let headers: [(HeaderName, HeaderValue); 2] = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
    ];
    (headers, text)
}
