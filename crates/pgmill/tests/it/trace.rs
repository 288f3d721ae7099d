//! The trace context of whoever created a task goes with the task, all the way.

use pgmill::{EnqueueError, TaskMetaError, seconds};

use crate::fixture::{Fixture, done, retry, task};

const CONTEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn a_task_keeps_its_trace_context_through_its_attempts_and_into_history() {
    let fixture = Fixture::with_queue().await;
    let created = fixture.create(task(1).traceparent(CONTEXT)).await;
    assert_eq!(created.traceparent.as_deref(), Some(CONTEXT));
    let held = fixture.retain().await;
    assert_eq!(held.traceparent.as_deref(), Some(CONTEXT));
    let again = fixture.manager.release_task(&held, retry()).await.unwrap().task.unwrap();
    assert_eq!(again.traceparent.as_deref(), Some(CONTEXT));
    fixture.client.execute("UPDATE pgmill.task SET run_at = now()", &[]).await.unwrap();
    let held = fixture.retain().await;
    assert_eq!(held.traceparent.as_deref(), Some(CONTEXT));
    fixture.manager.release_task(&held, done()).await.unwrap();
    let ended = fixture.manager.get_task(created.id).await.unwrap();
    assert_eq!(ended.traceparent.as_deref(), Some(CONTEXT));
}

#[tokio::test]
async fn a_task_that_expires_keeps_its_trace_context() {
    let fixture = Fixture::with_queue().await;
    let created = fixture.create(task(1).traceparent(CONTEXT)).await;
    fixture.client.execute("UPDATE pgmill.task SET dies_at = now()", &[]).await.unwrap();
    fixture.manager.maintain().await.unwrap();
    let ended = fixture.manager.get_task(created.id).await.unwrap();
    assert_eq!(ended.traceparent.as_deref(), Some(CONTEXT));
}

#[tokio::test]
async fn tasks_with_and_without_a_trace_context_are_created_together() {
    let fixture = Fixture::with_queue().await;
    let metas = (0..1_200).map(|n| if n == 7 { task(n).traceparent(CONTEXT) } else { task(n) });
    let created = fixture.manager.create_tasks("q", metas).await.unwrap();
    assert!(created[6].traceparent.is_none());
    let seventh = fixture.manager.get_task(created[7].id).await.unwrap();
    assert_eq!(seventh.traceparent.as_deref(), Some(CONTEXT));
}

#[tokio::test]
async fn in_transactions_and_in_sql_a_task_takes_a_trace_context_too() {
    let mut fixture = Fixture::with_queue().await;
    let transaction = fixture.client.transaction().await.unwrap();
    let traced = task(1).traceparent(CONTEXT);
    let (created, _wake) = fixture.manager.create_task_in(&transaction, "q", traced).await.unwrap();
    let call = "SELECT pgmill.create_task('app', 'q', '1', traceparent => $1)";
    let id: i64 = transaction.query_one(call, &[&CONTEXT]).await.unwrap().get(0);
    transaction.commit().await.unwrap();
    for id in [created.id, u64::try_from(id).unwrap()] {
        let found = fixture.manager.get_task(id).await.unwrap();
        assert_eq!(found.traceparent.as_deref(), Some(CONTEXT));
    }
    let error = fixture.client.query_one(call, &[&"00-nothing"]).await.unwrap_err();
    assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some("22023"), "{error:?}");
}

#[tokio::test]
async fn what_is_no_trace_context_is_refused() {
    let fixture = Fixture::with_queue().await;
    let zero_trace = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
    let zero_span = "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01";
    let upper = "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01";
    let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for wrong in ["", "00", zero_trace, zero_span, upper, later, &CONTEXT[1..], &format!("{CONTEXT}-x")] {
        let refused = task(1).traceparent(wrong).delay(seconds(1));
        let error = fixture.manager.create_task("q", refused).await.unwrap_err();
        assert!(matches!(error, EnqueueError::Meta(TaskMetaError::Traceparent { .. })), "{wrong}: {error}");
    }
}
