//! A span for each request, with the fields of OpenTelemetry's conventions for HTTP servers.

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use tracing::field::Empty;
use tracing::{Instrument, Span, info_span};

use super::request_id::RequestId;
use crate::metrics::known_method;

/// Answers a request in a span of its own, which ends when the answer begins: streams are not waited for.
///
/// Its path is told without the query, in which there may be what is not for everybody.
pub(crate) async fn trace(mut request: Request, next: Next) -> Response {
    let id = RequestId::of(&mut request);
    let method = known_method(request.method()).unwrap_or("_OTHER");
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let name = [Some(method), route].into_iter().flatten().collect::<Vec<_>>().join(" ");
    #[cfg(feature = "otel")]
    let within = is_traced();
    let span = info_span!(
        "pgmill.request",
        otel.name = name,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        url.path = request.uri().path(),
        pgmill.request_id = id.as_str(),
    );
    // Within a span of the application around it, that one has followed the client already.
    #[cfg(feature = "otel")]
    if !within {
        super::context::follow(&span, request.headers());
    }
    let open = Open { span, answered: false };
    let response = next.run(request).instrument(open.span.clone()).await;
    open.answered(&response);
    response
}

/// Whether the current span has a trace context, which tasks take that are created in it.
pub(crate) fn is_traced() -> bool {
    #[cfg(feature = "otel")]
    return super::context::is_traced();
    #[cfg(not(feature = "otel"))]
    false
}

/// The span of a request whose answer has not begun. Dropped before, its client went away, or it took too long.
struct Open {
    span: Span,
    answered: bool,
}

impl Open {
    fn answered(mut self, response: &Response) {
        self.span.record("http.response.status_code", response.status().as_u16());
        self.answered = !response.status().is_server_error();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.answered {
            self.span.record("otel.status_code", "error");
        }
    }
}
