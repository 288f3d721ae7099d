//! Spans: what they cover, what they tell, and what they do not.

use std::path::Path;

use pgmill::{Context, Outcome, QueueMeta, QueueOptions, TaskError, WorkerPool};

use crate::fixture::{Fixture, task};
use crate::pool_scene::Running;
use crate::scene::QUEUE;
use crate::telemetry_scene::Spans;

const CONTEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Runs everything in `q` with a handler that creates a follow-up task, and fails.
async fn run(fixture: &Fixture) {
    let builder = WorkerPool::builder(&fixture.manager).name("worker-7").maintenance(false);
    let pool = builder.until_empty(true).build().unwrap();
    fixture.manager.register_queue(QueueMeta::new("follow-up")).await.unwrap();
    pool.register_queue(QueueMeta::new(QUEUE), |context: Context, _: String| async move {
        let follow_up = task("classified");
        let follow_up = match context.traceparent() {
            Some(traceparent) => follow_up.traceparent(traceparent),
            None => follow_up,
        };
        let created = context.manager().create_task("follow-up", follow_up).await?;
        assert_eq!(created.traceparent.as_deref(), Some(CONTEXT));
        Err::<(), TaskError>("confidential".into())
    })
    .await
    .unwrap();
    Running::start(pool).end().await;
}

#[tokio::test]
async fn an_attempt_is_a_span_from_the_start_of_its_handler_to_its_release() {
    let (spans, _guard) = Spans::collect();
    let fixture = Fixture::with(QueueMeta::new(QUEUE).retries(1)).await;
    let created = fixture.create(task("secret").traceparent(CONTEXT)).await;
    run(&fixture).await;
    let id = created.id.to_string();
    let run = &spans.named("pgmill.run")[0];
    for (field, value) in [
        ("otel.kind", "consumer"),
        ("otel.status_code", "error"),
        ("messaging.system", "pgmill"),
        ("messaging.operation.type", "process"),
        ("messaging.destination.name", "q"),
        ("messaging.message.id", &id),
        ("pgmill.namespace", "app"),
        ("pgmill.worker", "worker-7"),
        ("pgmill.attempt", "1"),
        ("pgmill.outcome", "failed"),
        ("traceparent", CONTEXT),
    ] {
        assert_eq!(run.field(field), value, "{field}");
    }
    assert!(run.closed && run.parent.is_none());
    let release = &spans.named("pgmill.release")[0];
    assert_eq!(release.parent.as_deref(), Some("pgmill.run"));
    assert_eq!((release.field("messaging.message.id"), release.field("pgmill.outcome")), (&*id, "failed"));
    let creates = spans.named("pgmill.create_task");
    assert_eq!((creates[0].field("messaging.message.id"), creates[0].parent.as_deref()), (&*id, None));
    assert_eq!(creates[1].parent.as_deref(), Some("pgmill.run"), "the follow-up");
    let retain = &spans.named("pgmill.retain")[0];
    assert_eq!(retain.field("messaging.batch.message_count"), "1");
    assert_eq!(retain.field("messaging.destination.name"), "q");
}

#[tokio::test]
async fn no_span_and_no_log_event_holds_a_payload_a_result_or_a_key() {
    let (spans, _guard) = Spans::collect();
    let fixture = Fixture::with(QueueMeta::new(QUEUE).retries(1)).await;
    fixture.create(task("secret").key("undisclosed").traceparent(CONTEXT)).await;
    run(&fixture).await;
    let text = spans.text();
    assert!(text.contains("pgmill.run"));
    for hidden in ["secret", "undisclosed", "confidential", "classified"] {
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }
}

#[tokio::test]
async fn a_span_tells_of_an_operation_that_failed() {
    let (spans, _guard) = Spans::collect();
    let fixture = Fixture::with_queue().await;
    fixture.manager.create_task("nowhere", task(1)).await.unwrap_err();
    fixture.manager.release_task(1 << 40, Outcome::GiveBack).await.unwrap_err();
    fixture.create(task(1)).await;
    let held = fixture.retain().await;
    fixture.manager.release_task(&held, Outcome::GiveBack).await.unwrap();
    let codes = |name| {
        let all = spans.named(name);
        all.iter().map(|span| span.field("otel.status_code").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(codes("pgmill.create_task"), ["error", ""]);
    assert_eq!(codes("pgmill.release"), ["error", ""]);
}

#[tokio::test]
async fn the_page_tells_of_all_spans_and_their_fields() {
    let (spans, _guard) = Spans::collect();
    let fixture = Fixture::with_queue().await;
    fixture.create(task("secret").traceparent(CONTEXT)).await;
    fixture.manager.create_tasks(QUEUE, [task(2)]).await.unwrap();
    let pool = WorkerPool::builder(&fixture.manager).maintenance(false).until_empty(true).build().unwrap();
    pool.register_raw(&[QUEUE], QueueOptions::new(), |_: Context| async { Outcome::done_empty() })
        .await
        .unwrap();
    Running::start(pool).end().await;
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/telemetry.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows = |name: &str| page.lines().any(|line| line.starts_with(&format!("| `{name}` |")));
    let all = spans.all();
    for name in ["pgmill.create_task", "pgmill.create_tasks", "pgmill.retain", "pgmill.run", "pgmill.release"]
    {
        assert!(all.iter().any(|span| span.name == name) && rows(name), "{name}");
    }
    let common = ["messaging.system", "messaging.operation.type", "otel.kind", "otel.status_code"];
    for span in all {
        let start = format!("| `{}` |", span.name);
        let row = page.lines().find(|line| line.starts_with(&start)).unwrap_or_default();
        for field in &span.names {
            let told = common.contains(&field.as_str()) || row.contains(&format!("`{field}`"));
            assert!(told, "{field} of {} is not told of", span.name);
        }
    }
}
