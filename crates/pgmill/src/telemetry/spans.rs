//! The spans, and their fields: those of OpenTelemetry's conventions for messaging where they fit.
//!
//! Neither a payload nor a result is in any of them. What happens for each task or attempt is at level INFO, since traces
//! hang on it; the statements beneath are at DEBUG, since an idle worker makes them too.

use pgmill_schema::{Namespace, QueueName, Task};
use tracing::field::Empty;
use tracing::instrument::Instrumented;
use tracing::{Instrument, Span, debug_span, info_span};

use super::fate::Fate;

/// Creates a task.
pub(crate) fn creating(namespace: &Namespace, queue: &QueueName) -> Operation {
    Operation::new(info_span!(
        "pgmill.create_task",
        otel.kind = "producer",
        otel.status_code = Empty,
        messaging.system = "pgmill",
        messaging.operation.type = "send",
        messaging.destination.name = queue.as_str(),
        messaging.message.id = Empty,
        pgmill.namespace = namespace.as_str(),
    ))
}

/// Creates many tasks at once.
pub(crate) fn creating_many(namespace: &Namespace, queue: Option<&QueueName>, count: usize) -> Operation {
    Operation::new(info_span!(
        "pgmill.create_tasks",
        otel.kind = "producer",
        otel.status_code = Empty,
        messaging.system = "pgmill",
        messaging.operation.type = "send",
        messaging.destination.name = queue.map(QueueName::as_str),
        messaging.batch.message_count = count,
        pgmill.namespace = namespace.as_str(),
    ))
}

/// Retains tasks of these queues, for a worker.
pub(crate) fn retaining(namespace: &Namespace, queues: &[&str], worker: &str, wanted: usize) -> Operation {
    Operation::new(debug_span!(
        "pgmill.retain",
        otel.kind = "client",
        otel.status_code = Empty,
        messaging.system = "pgmill",
        messaging.operation.type = "receive",
        messaging.destination.name = queues.join(","),
        messaging.batch.message_count = Empty,
        pgmill.namespace = namespace.as_str(),
        pgmill.worker = worker,
        pgmill.wanted = wanted,
    ))
}

/// Runs one attempt: from the start of its handler until its release is committed.
///
/// It begins a trace of its own and is linked to the span that created the task: it may run days after that, and several
/// times, when the trace of whoever created it has long been told.
pub(crate) fn running(task: &Task, worker: &str) -> Span {
    let span = info_span!(
        parent: None,
        "pgmill.run",
        otel.kind = "consumer",
        otel.status_code = Empty,
        messaging.system = "pgmill",
        messaging.operation.type = "process",
        messaging.destination.name = task.queue.as_str(),
        messaging.message.id = task.id,
        pgmill.namespace = task.namespace.as_str(),
        pgmill.worker = worker,
        pgmill.attempt = task.attempt,
        pgmill.outcome = Empty,
        traceparent = task.traceparent,
    );
    #[cfg(feature = "otel")]
    if let Some(traceparent) = &task.traceparent {
        super::context::link(&span, traceparent);
    }
    span
}

/// Ends an attempt.
pub(crate) fn releasing(namespace: &Namespace, id: i64) -> Operation {
    Operation::new(debug_span!(
        "pgmill.release",
        otel.kind = "client",
        otel.status_code = Empty,
        messaging.system = "pgmill",
        messaging.operation.type = "settle",
        messaging.destination.name = Empty,
        messaging.message.id = id,
        pgmill.namespace = namespace.as_str(),
        pgmill.attempt = Empty,
        pgmill.outcome = Empty,
    ))
}

/// The span of an operation, which failed or was given up unless it is said to be done.
pub(crate) struct Operation {
    span: Span,
    done: bool,
}

impl Operation {
    fn new(span: Span) -> Self {
        Self { span, done: false }
    }

    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// Does this in the span. Only what waits should be: the future is held in addition to what is around it.
    pub(crate) fn within<F: Future>(&self, work: F) -> Instrumented<F> {
        work.instrument(self.span.clone())
    }

    pub(crate) fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        if !self.done {
            self.span.record("otel.status_code", "error");
        }
    }
}

impl Fate {
    /// Notes in a span that this is what became of the attempt.
    pub(crate) fn note(self, span: &Span) {
        span.record("pgmill.outcome", self.as_str());
        if self.is_failure() {
            span.record("otel.status_code", "error");
        }
    }
}
