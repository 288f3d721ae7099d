//! The routes, one file for each resource.

pub(crate) mod audit;
pub(crate) mod docs;
pub(crate) mod event;
pub(crate) mod health;
pub(crate) mod metrics;
pub(crate) mod namespace;
pub(crate) mod queue;
pub(crate) mod task;
pub(crate) mod ticker;
pub(crate) mod token;

use axum::extract::OriginalUri;
use axum::http::StatusCode;

use crate::error::ApiError;
use crate::resource::Routes;

/// Every route, under this prefix; what is asked without knowing the prefix also without it.
pub(crate) fn all(prefix: &str) -> Routes {
    let groups = [
        queue::routes(),
        task::routes(),
        ticker::routes(),
        event::routes(),
        metrics::routes(),
        token::routes(),
        audit::routes(),
        health::routes(),
        docs::routes(),
    ];
    let prefixed = groups.into_iter().fold(namespace::routes(), Routes::and).under(prefix);
    if prefix.is_empty() { prefixed } else { prefixed.and(health::routes()).and(docs::routes()) }
}

/// The answer where there is no route.
pub(crate) async fn fallback(OriginalUri(uri): OriginalUri) -> ApiError {
    let asked = uri.path_and_query().map_or_else(|| uri.path(), |asked| asked.as_str());
    ApiError::new(StatusCode::NOT_FOUND, "path_not_found", "").with_detail(asked)
}
