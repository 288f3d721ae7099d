//! The trace context that a client sends, in OpenTelemetry's terms.

use axum::http::{HeaderMap, HeaderName};
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, global};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Makes a span the child of the one that the client sends, if it sends one that the program's propagator can read.
pub(super) fn follow(span: &Span, headers: &HeaderMap) {
    let sent = global::get_text_map_propagator(|propagator| {
        propagator.extract_with_context(&Context::new(), &Headers(headers))
    });
    if sent.span().span_context().is_valid() {
        // It cannot be set where nobody makes traces.
        let _ = span.set_parent(sent);
    }
}

pub(super) fn is_traced() -> bool {
    Span::current().context().span().span_context().is_valid()
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
