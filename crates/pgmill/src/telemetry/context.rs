//! The trace context that a task carries, in OpenTelemetry's terms.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use pgmill_schema::TaskMeta;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The task with the context it is created in: that of the current span, unless it was given one.
pub(crate) fn carrying_context(meta: TaskMeta) -> TaskMeta {
    if meta.traceparent.is_some() {
        return meta;
    }
    let traceparent = traceparent(&Span::current().context()).or_else(|| traceparent(&Context::current()));
    TaskMeta { traceparent, ..meta }
}

fn traceparent(context: &Context) -> Option<String> {
    let span = context.span();
    let span = span.span_context();
    let (trace, id, flags) = (span.trace_id(), span.span_id(), span.trace_flags().to_u8());
    span.is_valid().then(|| format!("00-{trace}-{id}-{flags:02x}"))
}

/// Links a span to the one that a task carries.
pub(super) fn link(span: &Span, traceparent: &str) {
    if let Some(context) = parse(traceparent) {
        span.add_link(context);
    }
}

fn parse(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let flags = TraceFlags::new(u8::from_str_radix(parts.next()?, 16).ok()?);
    Some(SpanContext::new(trace, span, flags, true, TraceState::NONE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_context_that_a_task_carries_is_linked_as_it_is(
            trace in "[0-9a-f]{31}[1-9a-f]", span in "[0-9a-f]{15}[1-9a-f]", flags in "0[01]",
        ) {
            let text = format!("00-{trace}-{span}-{flags}");
            let context = Context::new().with_remote_span_context(parse(&text).unwrap());
            prop_assert_eq!(traceparent(&context), Some(text));
        }

        #[test]
        fn what_is_no_context_is_none(text in prop_oneof!["\\PC{0,60}", "[0-9a-f+ -]{50,60}"]) {
            if let Some(read) = parse(&text) {
                let context = Context::new().with_remote_span_context(read.clone());
                prop_assert_eq!(traceparent(&context).is_some(), read.is_valid());
            }
        }
    }
}
