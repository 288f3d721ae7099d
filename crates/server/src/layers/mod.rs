//! What every request passes, in this order from outside.
//!
//! ```text
//!   request id ─▶ access log ─▶ security headers ─▶ host, origin, CORS ─▶ time limit ─▶ trace ─▶ report ─▶ router
//! ```
//!
//! All but the trace and the report are of the [`Server`](crate::Server), in one pass: [`Front`]. The trace (a span for each
//! request) and the report (request id, failures of ours to the log, panics) are of the router, so that they are there where
//! the router is nested in an application of others.

mod access;
mod address;
#[cfg(feature = "otel")]
mod context;
mod headers;
mod origin;
mod report;
mod request_id;
mod time_limit;
mod trace;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use self::access::Access;
pub(crate) use self::address::{ClientAddress, Peers};
pub(crate) use self::origin::{Names, Origins};
pub(crate) use self::report::{chain, report};
pub(crate) use self::request_id::RequestId;
pub(crate) use self::time_limit::{BodyLate, TimeLimit};
pub(crate) use self::trace::{is_traced, trace};

/// What a server does with each request before and after its router.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) peers: Peers,
    pub(crate) origins: Origins,
    pub(crate) request_time: Duration,
    pub(crate) body_time: Duration,
    pub(crate) encrypted: bool,
}

/// The pass through the front.
pub(crate) async fn front(State(front): State<Arc<Front>>, mut request: Request, next: Next) -> Response {
    let id = RequestId::of(&mut request);
    let access = Access::begin(&mut request, front.peers, &id);
    let response = match front.origins.judge(&request) {
        Ok(origin) => {
            let mut response = match origin::preflight(&request, origin.as_ref()) {
                Some(response) => response,
                None => front.answer(request, next).await,
            };
            if let Some(origin) = origin {
                origin::allow(response.headers_mut(), origin);
            }
            response
        }
        Err(error) => error.into_response(),
    };
    let mut response = report::reported(response, &id);
    headers::secure(response.headers_mut(), front.encrypted);
    access.answered(response)
}

impl Front {
    async fn answer(&self, request: Request, next: Next) -> Response {
        let answer = |request| report::caught(next.run(request));
        time_limit::limited(request, self.request_time, self.body_time, answer).await
    }
}
