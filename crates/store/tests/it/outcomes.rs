//! What the ways to end an attempt do to the task.

use std::time::Duration;

use pgmill_schema::{AttemptOutcome, Backoff, Json, Outcome, QueueMeta, Status, hours, minutes, seconds};

use crate::support::{Fixture, done, released, retry, seconds_between};

#[tokio::test]
async fn a_task_that_is_done_keeps_its_result_and_its_times() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let id = fixture.create(&queue, 1).await[0];
    let retained = fixture.retain_one(&queue).await;
    let answer = released(fixture.release(&retained, Outcome::done(&"sent").unwrap()).await);
    let stored = fixture.task(id).await.unwrap();
    assert_eq!(stored.status, Some(Status::Released));
    assert_eq!(stored.result, Some(Json::encode("sent").unwrap()));
    assert_eq!(stored.started_at, retained.started_at);
    assert!(stored.finished_at >= stored.started_at);
    assert_eq!(stored.dies_at, None);
    assert!(stored.attempts.is_empty());
    let answer = pgmill_schema::Task { payload: stored.payload.clone(), ..answer };
    assert_eq!(answer, stored, "the answer to the release is what is stored");
}

#[tokio::test]
async fn a_failed_attempt_is_tried_again_until_none_is_left() {
    let fixture = Fixture::new().await;
    let queue = fixture.queue(QueueMeta::new("plain").retries(3)).await;
    let id = fixture.create(&queue, 1).await[0];
    for (left, status) in [(2, Status::Retry), (1, Status::Retry), (0, Status::Failed)] {
        let task = fixture.finish_one(&queue, retry()).await;
        assert_eq!((task.status, task.retries), (Some(status), left));
        let stored = fixture.task(id).await.unwrap();
        assert_eq!((stored.status, stored.retries), (Some(status), left));
        fixture.skip_pauses().await;
    }
    let task = fixture.task(id).await.unwrap();
    assert_eq!(task.result, Some(Json::encode("try again").unwrap()));
    let outcomes: Vec<AttemptOutcome> = task.attempts.iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(outcomes, [AttemptOutcome::Retry, AttemptOutcome::Retry, AttemptOutcome::Failed]);
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn the_pause_grows_as_the_queue_says_within_ten_percent_and_up_to_its_limit() {
    for (backoff, pauses) in [
        (Backoff::Exponential, [10.0, 20.0, 40.0, 80.0, 100.0, 100.0]),
        (Backoff::Polynomial, [10.0, 40.0, 90.0, 100.0, 100.0, 100.0]),
        (Backoff::Linear, [10.0, 20.0, 30.0, 40.0, 50.0, 60.0]),
        (Backoff::Constant, [10.0, 10.0, 10.0, 10.0, 10.0, 10.0]),
    ] {
        let fixture = Fixture::new().await;
        let meta = QueueMeta::new("plain")
            .retries(20)
            .retry_delay(seconds(10))
            .backoff(backoff)
            .max_retry_delay(seconds(100));
        let queue = fixture.queue(meta).await;
        let id = fixture.create(&queue, 1).await[0];
        for pause in pauses {
            let task = fixture.finish_one(&queue, retry()).await;
            let ended = fixture.task(id).await.unwrap().attempts.last().unwrap().ended_at;
            let waited = seconds_between(ended, task.delayed_at.unwrap());
            let range = 0.9 * pause - 0.001..=f64::min(1.1 * pause, 100.0) + 0.001;
            assert!(range.contains(&waited), "{backoff}: {waited} s, not about {pause} s");
            fixture.skip_pauses().await;
        }
    }
}

#[tokio::test]
async fn pauses_are_not_all_the_same() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    fixture.create(&queue, 20).await;
    let tasks = fixture.retain(&queue, 20).await;
    let endings: Vec<_> = tasks.iter().map(|retained| fixture.ending(&retained.task, retry())).collect();
    fixture.store.release(&endings, pgmill_store::Sending::First).await.unwrap();
    assert!(fixture.number("SELECT count(DISTINCT run_at) FROM pgmill.task").await > 10);
}

#[tokio::test]
async fn a_pause_asked_for_is_taken_as_it_is() {
    let fixture = Fixture::new().await;
    let queue = fixture.queue(QueueMeta::new("plain").ttl(hours(9)).max_retry_delay(seconds(1))).await;
    let id = fixture.create(&queue, 1).await[0];
    let task = fixture.finish_one(&queue, Outcome::retry_in(minutes(5), &"busy").unwrap()).await;
    let ended = fixture.task(id).await.unwrap().attempts[0].ended_at;
    assert!((seconds_between(ended, task.delayed_at.unwrap()) - 300.0).abs() < 0.001);
}

#[tokio::test]
async fn a_retry_that_would_come_too_late_expires_the_task() {
    let fixture = Fixture::new().await;
    let queue = fixture.queue(QueueMeta::new("brief").ttl(minutes(1)).retry_delay(minutes(2))).await;
    let id = fixture.create(&queue, 1).await[0];
    let task = fixture.finish_one(&queue, retry()).await;
    assert_eq!(task.status, Some(Status::Expired));
    let stored = fixture.task(id).await.unwrap();
    assert_eq!(stored.status, Some(Status::Expired));
    assert_eq!(stored.attempts[0].outcome, AttemptOutcome::Expired);
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn a_snooze_and_a_give_back_cost_no_attempt() {
    let fixture = Fixture::new().await;
    let queue = fixture.queue(QueueMeta::new("plain").retries(1)).await;
    let id = fixture.create(&queue, 1).await[0];
    let task = fixture.finish_one(&queue, Outcome::Snooze(seconds(90))).await;
    assert_eq!((task.status, task.retries, task.attempt), (Some(Status::New), 1, 1));
    assert!(fixture.retain(&queue, 1).await.is_empty(), "it sleeps");
    fixture.skip_pauses().await;
    let task = fixture.finish_one(&queue, Outcome::GiveBack).await;
    assert_eq!((task.status, task.retries, task.attempt), (Some(Status::New), 1, 2));
    let task = fixture.finish_one(&queue, done()).await;
    assert_eq!((task.status, task.attempt), (Some(Status::Released), 3), "offered again at once");
    let outcomes: Vec<_> =
        fixture.task(id).await.unwrap().attempts.iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(outcomes, [AttemptOutcome::Snoozed, AttemptOutcome::GivenBack]);
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn a_task_that_was_tried_before_is_a_retry_again_after_a_snooze() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    fixture.create(&queue, 1).await;
    fixture.finish_one(&queue, retry()).await;
    fixture.skip_pauses().await;
    let task = fixture.finish_one(&queue, Outcome::Snooze(seconds(1))).await;
    assert_eq!((task.status, task.retries), (Some(Status::Retry), 2));
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn a_permanent_failure_ends_the_task_whatever_is_left() {
    let fixture = Fixture::new().await;
    let queue = fixture.queue(QueueMeta::new("plain").retries(9)).await;
    let id = fixture.create(&queue, 1).await[0];
    let task = fixture.finish_one(&queue, Outcome::failed(&"no such address").unwrap()).await;
    assert_eq!((task.status, task.retries), (Some(Status::Failed), 0));
    let stored = fixture.task(id).await.unwrap();
    assert_eq!((stored.status, stored.retries), (Some(Status::Failed), 0));
    assert_eq!(stored.attempts[0].error, Some(Json::encode("no such address").unwrap()));
}

#[tokio::test]
async fn a_cancelled_task_is_over_and_keeps_the_reason() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let id = fixture.create(&queue, 1).await[0];
    let task = fixture.finish_one(&queue, Outcome::cancelled(&"the user left").unwrap()).await;
    assert_eq!(task.status, Some(Status::Cancelled));
    let stored = fixture.task(id).await.unwrap();
    assert_eq!(stored.result, Some(Json::encode("the user left").unwrap()));
    assert_eq!(stored.attempts[0].outcome, AttemptOutcome::Cancelled);
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn a_task_of_a_queue_without_retention_leaves_no_row_when_it_is_done() {
    let fixture = Fixture::new().await;
    let meta = QueueMeta::new("forgetful").retention(Duration::ZERO).retries(1);
    let queue = fixture.queue(meta).await;
    let created = fixture.create(&queue, 2).await;
    assert_eq!(fixture.finish_one(&queue, done()).await.status, Some(Status::Released));
    assert_eq!(fixture.finish_one(&queue, retry()).await.status, Some(Status::Failed));
    assert_eq!(fixture.status(created[0]).await, None);
    assert_eq!(fixture.status(created[1]).await, Some(Status::Failed), "a failure is kept");
    fixture.assert_counts_are_true().await;
}
