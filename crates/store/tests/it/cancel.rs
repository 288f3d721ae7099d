//! A live task is cancelled in one statement, whatever it does at that time.

use std::time::Duration;

use pgmill_schema::{AttemptOutcome, Json, Outcome, QueueMeta, Status, Task};
use pgmill_store::{Cancelled, Ended, Sending};

use crate::support::{Fixture, done, namespace, retry};

impl Fixture {
    async fn cancel(&self, id: i64) -> Cancelled {
        self.store.cancel_task(&self.namespace, id).await.unwrap()
    }

    async fn cancelled(&self, id: i64) -> Task {
        match self.cancel(id).await {
            Cancelled::Task(task) => *task,
            other => panic!("not cancelled: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_task_that_waits_for_its_first_or_next_try_or_its_time_is_cancelled() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    fixture.create(&queue, 1).await;
    let tried = fixture.finish_one(&queue, retry()).await.id.cast_signed();
    let new = fixture.create(&queue, 1).await[0];
    let mut delayed = fixture.new_task(&queue).await;
    delayed.delay = Some(3_600_000_000);
    let later = fixture.create_all(&[delayed]).await[0];
    for id in [tried, new, later] {
        let before = fixture.task(id).await.unwrap();
        let cancelled = fixture.cancelled(id).await;
        assert_eq!(cancelled.status, Some(Status::Cancelled));
        let shown = fixture.task(id).await.unwrap();
        assert_eq!(
            Task { attempts: shown.attempts.clone(), ..cancelled },
            shown,
            "it is told as it is stored"
        );
        assert_eq!(
            Task { status: Some(Status::Cancelled), ..before },
            shown,
            "nothing else of it has changed, nor was an attempt noted"
        );
    }
    assert_eq!(fixture.number("SELECT count(*) FROM pgmill.task").await, 0);
    fixture.skip_pauses().await;
    assert!(fixture.retain(&queue, 9).await.is_empty());
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn the_attempt_of_a_retained_task_is_over_when_it_is_cancelled() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let id = fixture.create(&queue, 1).await[0];
    let running = fixture.retain_one(&queue).await;
    fixture.cancelled(id).await;

    let extended =
        fixture.store.extend(&fixture.namespace, &[(running.claim().unwrap(), None)]).await.unwrap();
    assert_eq!(extended, [None]);
    assert!(matches!(fixture.release(&running, done()).await, Ended::NotRetained));
    let stored = fixture.task(id).await.unwrap();
    let attempt = &stored.attempts[0];
    assert_eq!((stored.attempts.len(), attempt.attempt, attempt.outcome), (1, 1, AttemptOutcome::Cancelled));
    assert_eq!(attempt.worker.as_deref(), Some("worker"));
    fixture.assert_counts_are_true().await;
}

/// The release did nothing, so it must not be told that it did.
#[tokio::test]
async fn a_release_that_is_repeated_does_not_take_a_cancellation_for_its_own_end() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let id = fixture.create(&queue, 1).await[0];
    let running = fixture.retain_one(&queue).await;
    fixture.cancelled(id).await;
    let again = fixture.store.release(&[fixture.ending(&running, done())], Sending::Again).await.unwrap();
    assert!(matches!(again[..], [Ended::NotRetained]), "{again:?}");
}

#[tokio::test]
async fn what_the_last_attempt_reported_stays() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    fixture.create(&queue, 1).await;
    let id = fixture.finish_one(&queue, Outcome::retry(&"broken").unwrap()).await.id.cast_signed();
    let task = fixture.cancelled(id).await;
    assert_eq!(task.result, Some(Json::encode("broken").unwrap()));
}

#[tokio::test]
async fn a_cancelled_task_is_kept_though_its_queue_keeps_nothing_that_is_done() {
    let fixture = Fixture::new().await;
    let meta = QueueMeta::new("plain").retention(Duration::ZERO).retention_failed(Duration::ZERO);
    let queue = fixture.queue(meta).await;
    let id = fixture.create(&queue, 1).await[0];
    fixture.cancelled(id).await;
    assert_eq!(fixture.status(id).await, Some(Status::Cancelled));
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn what_has_ended_or_never_was_is_told_and_left_alone() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let created = fixture.create(&queue, 3).await;
    fixture.finish_one(&queue, done()).await;
    fixture.cancelled(created[1]).await;
    // The sweep has not been there.
    fixture.sql(&format!("UPDATE pgmill.task SET dies_at = now() WHERE id = {}", created[2])).await;
    for (id, status) in created.into_iter().zip([Status::Released, Status::Cancelled, Status::Expired]) {
        let answer = fixture.cancel(id).await;
        assert!(matches!(answer, Cancelled::Ended(ended) if ended == status), "{answer:?}");
        let other = fixture.store.cancel_task(&namespace("other"), id).await.unwrap();
        assert!(matches!(other, Cancelled::NoTask), "{other:?}");
    }
    let live = fixture.create(&queue, 1).await[0];
    let other = fixture.store.cancel_task(&namespace("other"), live).await.unwrap();
    assert!(matches!(other, Cancelled::NoTask), "{other:?}");
    assert!(matches!(fixture.cancel(4711).await, Cancelled::NoTask));
    assert_eq!(fixture.status(live).await, Some(Status::New));
    fixture.store.delete_queue(&fixture.namespace, &queue).await.unwrap();
    assert!(matches!(fixture.cancel(live).await, Cancelled::NoTask));
}

#[tokio::test]
async fn a_locked_task_is_told_at_once() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let id = fixture.create(&queue, 1).await[0];
    let lock = fixture.lock_row(id).await;
    assert!(matches!(fixture.cancel(id).await, Cancelled::Locked));
    lock.batch_execute("ROLLBACK").await.unwrap();
    fixture.cancelled(id).await;
}
