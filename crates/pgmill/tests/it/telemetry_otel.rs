//! Trace contexts of OpenTelemetry: from the span that creates a task to the spans of its attempts.

use opentelemetry::trace::{SpanKind, TracerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use pgmill::{Context, QueueMeta, TaskMeta, WorkerPool};
use tracing::subscriber::DefaultGuard;
use tracing::{Instrument, info_span};
use tracing_subscriber::layer::SubscriberExt;

use crate::fixture::{Fixture, task};
use crate::pool_scene::Running;
use crate::scene::QUEUE;

const CONTEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Exports the spans of this thread.
struct Traces {
    exporter: InMemorySpanExporter,
    _provider: SdkTracerProvider,
    _guard: DefaultGuard,
}

impl Traces {
    fn export() -> Self {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("pgmill"));
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        Self { exporter, _provider: provider, _guard: guard }
    }

    fn named(&self, name: &str) -> Vec<SpanData> {
        let spans = self.exporter.get_finished_spans().unwrap();
        spans.into_iter().filter(|span| span.name == name).collect()
    }

    fn one(&self, name: &str) -> SpanData {
        let mut spans = self.named(name);
        assert_eq!(spans.len(), 1, "{name}");
        spans.remove(0)
    }
}

fn traceparent(span: &SpanData) -> String {
    let context = &span.span_context;
    format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags().to_u8())
}

async fn run(fixture: &Fixture) {
    let pool = WorkerPool::builder(&fixture.manager).maintenance(false).until_empty(true).build().unwrap();
    fixture.manager.register_queue(QueueMeta::new("follow-up")).await.unwrap();
    pool.register_queue(QueueMeta::new(QUEUE), |context: Context, _: u32| async move {
        context.manager().create_task("follow-up", task("next")).await?;
        Ok(())
    })
    .await
    .unwrap();
    Running::start(pool).end().await;
}

#[tokio::test]
async fn the_span_of_an_attempt_is_linked_to_the_one_that_created_the_task() {
    let traces = Traces::export();
    let fixture = Fixture::with_queue().await;
    let request = info_span!("request");
    let created = fixture.create(task(1)).instrument(request).await;
    let request = traces.one("request");
    let create = traces.one("pgmill.create_task");
    assert_eq!(created.traceparent, Some(traceparent(&create)));
    assert_eq!(create.parent_span_id, request.span_context.span_id());
    assert_eq!(create.span_kind, SpanKind::Producer);
    run(&fixture).await;
    let run = traces.one("pgmill.run");
    assert_eq!(run.span_kind, SpanKind::Consumer);
    assert_eq!(run.links.len(), 1);
    let link = &run.links[0].span_context;
    assert_eq!(
        (link.trace_id(), link.span_id(), link.is_remote()),
        (create.span_context.trace_id(), create.span_context.span_id(), true)
    );
    assert_ne!(run.span_context.trace_id(), create.span_context.trace_id(), "a trace of its own");
    let follow_up = &traces.named("pgmill.create_task")[1];
    assert_eq!(follow_up.parent_span_id, run.span_context.span_id());
    let next = fixture.manager.next_task("w", &["follow-up"]).await.unwrap().unwrap();
    assert_eq!(next.traceparent, Some(traceparent(follow_up)));
}

#[tokio::test]
async fn a_trace_context_that_is_given_goes_before_the_current_one() {
    let traces = Traces::export();
    let fixture = Fixture::with_queue().await;
    let created = fixture.create(task(1).traceparent(CONTEXT)).await;
    assert_eq!(created.traceparent.as_deref(), Some(CONTEXT));
    run(&fixture).await;
    let link = &traces.one("pgmill.run").links[0].span_context;
    assert_eq!(link.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
}

#[tokio::test]
async fn tasks_created_at_once_carry_one_trace_context_also_by_copy() {
    let traces = Traces::export();
    let fixture = Fixture::with_queue().await;
    let metas = || (0..1_200).map(task).collect::<Vec<TaskMeta>>();
    let created = fixture.manager.create_tasks(QUEUE, metas()).await.unwrap();
    let expected = traceparent(&traces.one("pgmill.create_tasks"));
    let stored = fixture.manager.get_task(created[1_199].id).await.unwrap();
    assert_eq!((&created[0].traceparent, &stored.traceparent), (&Some(expected.clone()), &Some(expected)));
}

#[tokio::test]
async fn without_a_span_a_task_carries_no_trace_context() {
    let fixture = Fixture::with_queue().await;
    assert_eq!(fixture.create(task(1)).await.traceparent, None);
}
