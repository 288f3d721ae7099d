//! Requests, counted by route.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

const REQUESTS: &str = "pgmill_http_requests_total";
const SECONDS: &str = "pgmill_http_seconds";
const OPEN: &str = "pgmill_http_requests_open";

/// Tells a recorder what is counted here.
pub(crate) fn describe() {
    describe_counter!(REQUESTS, Unit::Count, "Requests that were answered.");
    describe_histogram!(SECONDS, Unit::Seconds, "From the head of a request until its answer began.");
    describe_gauge!(OPEN, Unit::Count, "Requests whose answer has not begun.");
}

/// Counts requests by route, method and status, and how long they took until their answer began.
///
/// A route is the pattern and not the path, so that nobody can make labels by asking.
pub(crate) async fn count(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|it| it.as_str().to_owned());
    let route = route.unwrap_or_else(|| "none".to_owned());
    // Anybody could make up more of them.
    let method = known_method(request.method()).unwrap_or("other");
    let open = Open::new(&route);
    let started = Instant::now();
    let response = next.run(request).await;
    drop(open);
    histogram!(SECONDS, "route" => route.clone(), "method" => method).record(started.elapsed().as_secs_f64());
    let status = response.status().as_str().to_owned();
    counter!(REQUESTS, "route" => route, "method" => method, "status" => status).increment(1);
    response
}

/// A request that is counted as open until it is dropped, whether it was answered or its client went away.
struct Open(metrics::Gauge);

impl Open {
    fn new(route: &str) -> Self {
        let open = gauge!(OPEN, "route" => route.to_owned());
        open.increment(1);
        Self(open)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// The name of a method that is known.
pub(crate) fn known_method(method: &Method) -> Option<&'static str> {
    let known = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    known.into_iter().find(|it| *it == method.as_str())
}
