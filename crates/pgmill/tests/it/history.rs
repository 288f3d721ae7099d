//! How attempts end, and the history they leave.

use jiff::SignedDuration;
use pgmill::{
    Attempt, AttemptOutcome, LookupError, Outcome, QueueMeta, Status, Task, TaskFilter, hours, minutes,
    seconds,
};

use crate::fixture::{Fixture, done, retry, seconds_between, task};

async fn history(fixture: &Fixture, task: &Task) -> Vec<Attempt> {
    fixture.manager.get_task(task.id).await.unwrap().attempts
}

fn outcomes(history: &[Attempt]) -> Vec<(u32, AttemptOutcome)> {
    history.iter().map(|attempt| (attempt.attempt, attempt.outcome)).collect()
}

#[tokio::test]
async fn each_attempt_that_did_not_succeed_is_told_first_to_last() {
    let fixture = Fixture::with(QueueMeta::new("q").retries(9).retry_delay(seconds(0))).await;
    let created = fixture.create(task(1)).await;
    assert_eq!(created.attempts, []);
    let first = fixture.retain().await;
    let error = Outcome::retry(&["first", "error"]).unwrap();
    fixture.manager.release_task(&first, error).await.unwrap();
    fixture.finish(Outcome::GiveBack).await;
    fixture.finish(Outcome::Snooze(seconds(0))).await;
    fixture.retain().await;
    fixture.lapse_leases().await;
    fixture.finish(done()).await;

    let history = history(&fixture, &created).await;
    assert_eq!(
        outcomes(&history),
        [
            (1, AttemptOutcome::Retry),
            (2, AttemptOutcome::GivenBack),
            (3, AttemptOutcome::Snoozed),
            (4, AttemptOutcome::Lapsed),
        ]
    );
    assert_eq!(history[0].worker.as_deref(), Some("worker"));
    assert_eq!(history[0].error.as_ref().unwrap().as_str(), r#"["first","error"]"#);
    assert_eq!(Some(history[0].started_at), first.started_at);
    assert!(history.iter().all(|attempt| attempt.started_at <= attempt.ended_at));
    assert!(history[1..].iter().all(|attempt| attempt.error.is_none()));
    let seen = fixture.manager.get_task(created.id).await.unwrap();
    assert_eq!((seen.status, seen.attempt), (Some(Status::Released), 5));
    assert_eq!(
        seen.retries,
        9 - 2,
        "the failed and the lapsed attempt are spent, the one that succeeded is not"
    );
}

#[tokio::test]
async fn a_task_that_failed_for_good_is_not_tried_again() {
    let fixture = Fixture::with_queue().await;
    let created = fixture.create(task(1)).await;
    let failed = fixture.finish(Outcome::failed(&"hopeless").unwrap()).await;
    assert_eq!((failed.status, failed.task.unwrap().retries), (Status::Failed, 0));
    assert!(fixture.manager.next_task("worker", &["q"]).await.unwrap().is_none());
    assert_eq!(outcomes(&history(&fixture, &created).await), [(1, AttemptOutcome::Failed)]);
    assert_eq!((fixture.count(Status::Failed).await, fixture.count(Status::Retained).await), (1, 0));
}

#[tokio::test]
async fn a_task_that_is_given_back_is_offered_at_once_and_costs_no_attempt() {
    let fixture = Fixture::with(QueueMeta::new("q").retries(1).retry_delay(hours(1))).await;
    let created = fixture.create(task(1)).await;
    for attempt in 1..=3 {
        let taken = fixture.retain().await;
        assert_eq!((taken.id, taken.attempt, taken.retries), (created.id, attempt, 1));
        let released = fixture.manager.release_task(&taken, Outcome::GiveBack).await.unwrap();
        assert_eq!(released.status, Status::New, "no attempt was counted");
    }
    assert_eq!(fixture.finish(retry()).await.status, Status::Failed);
}

#[tokio::test]
async fn a_snoozed_task_comes_back_after_the_pause_and_costs_no_attempt() {
    let fixture = Fixture::with(QueueMeta::new("q").retries(1)).await;
    fixture.create(task(1)).await;
    let taken = fixture.retain().await;
    let snoozed = fixture.manager.release_task(&taken, Outcome::Snooze(minutes(5))).await.unwrap();
    assert_eq!(snoozed.status, Status::New);
    let waiting = snoozed.task.unwrap();
    let pause = seconds_between(taken.started_at.unwrap(), waiting.delayed_at.unwrap());
    assert!((300.0..330.0).contains(&pause), "{pause}");
    assert_eq!(waiting.retries, 1);
    assert!(fixture.manager.next_task("worker", &["q"]).await.unwrap().is_none());
    fixture.skip_pauses().await;
    assert_eq!(fixture.finish(done()).await.status, Status::Released);
}

#[tokio::test]
async fn a_snooze_past_the_ttl_ends_as_expired() {
    let fixture = Fixture::with(QueueMeta::new("q").ttl(minutes(5))).await;
    fixture.create(task(1)).await;
    assert_eq!(fixture.finish(Outcome::Snooze(minutes(6))).await.status, Status::Expired);
}

#[tokio::test]
async fn a_retry_can_say_its_own_pause() {
    let fixture =
        Fixture::with(QueueMeta::new("q").retry_delay(seconds(1)).max_retry_delay(seconds(1))).await;
    fixture.create(task(1)).await;
    let taken = fixture.retain().await;
    let outcome = Outcome::retry_in(minutes(10), &"later").unwrap();
    let waiting = fixture.manager.release_task(&taken, outcome).await.unwrap().task.unwrap();
    let pause = seconds_between(taken.started_at.unwrap(), waiting.delayed_at.unwrap());
    assert!((600.0..630.0).contains(&pause), "{pause}");
    assert_eq!((waiting.status, waiting.retries), (Some(Status::Retry), 2));
}

#[tokio::test]
async fn a_cancelled_task_is_finished_with_its_reason() {
    let fixture = Fixture::with_queue().await;
    let created = fixture.create(task(1)).await;
    assert_eq!(fixture.finish(Outcome::cancelled(&"not wanted").unwrap()).await.status, Status::Cancelled);
    let seen = fixture.manager.get_task(created.id).await.unwrap();
    assert_eq!(seen.result.unwrap().as_str(), r#""not wanted""#);
    assert_eq!(outcomes(&seen.attempts), [(1, AttemptOutcome::Cancelled)]);
    assert!(fixture.manager.next_task("worker", &["q"]).await.unwrap().is_none());
}

#[tokio::test]
async fn the_result_of_an_earlier_attempt_is_hidden_while_the_next_one_runs() {
    let fixture = Fixture::with(QueueMeta::new("q").retry_delay(seconds(0))).await;
    let created = fixture.create(task(1)).await;
    fixture.finish(retry()).await;
    let result = async || fixture.manager.get_task(created.id).await.unwrap().result;
    assert!(result().await.is_some());
    let taken = fixture.retain().await;
    assert_eq!((taken.result, result().await), (None, None));
}

#[tokio::test]
async fn a_task_whose_lease_lapsed_on_its_last_attempt_is_ended_as_failed_by_maintenance() {
    let fixture = Fixture::with(QueueMeta::new("q").retries(1)).await;
    let created = fixture.create(task(1)).await;
    fixture.retain().await;
    assert_eq!(fixture.manager.maintain().await.unwrap().failed, 0, "the lease runs");
    fixture.lapse_leases().await;
    assert_eq!(fixture.manager.maintain().await.unwrap().failed, 1);
    let seen = fixture.manager.get_task(created.id).await.unwrap();
    assert_eq!((seen.status, seen.retries), (Some(Status::Failed), 0));
    assert_eq!(seen.result.unwrap().as_str(), r#""the lease lapsed on the last attempt""#);
    assert_eq!(outcomes(&seen.attempts), [(1, AttemptOutcome::Lapsed)]);
    assert_eq!((fixture.count(Status::Failed).await, fixture.count(Status::Retained).await), (1, 0));
}

#[tokio::test]
async fn a_task_past_its_ttl_is_given_to_nobody_and_ended_as_expired_by_maintenance() {
    let fixture = Fixture::with_queue().await;
    let created = fixture.create(task(1)).await;
    fixture.expire().await;
    assert_eq!(fixture.status(&created).await, Status::Expired, "it shows at once");
    assert!(fixture.manager.next_task("worker", &["q"]).await.unwrap().is_none());
    assert_eq!((fixture.count(Status::New).await, fixture.count(Status::Expired).await), (1, 0));
    assert_eq!(fixture.manager.maintain().await.unwrap().expired, 1);
    let seen = fixture.manager.get_task(created.id).await.unwrap();
    assert_eq!((seen.status, seen.finished_at), (Some(Status::Expired), None));
    assert_eq!((fixture.count(Status::New).await, fixture.count(Status::Expired).await), (0, 1));
    assert_eq!(fixture.manager.maintain().await.unwrap().expired, 0);
}

#[tokio::test]
async fn a_queue_with_retention_0_keeps_no_task_that_is_done() {
    let fixture = Fixture::with(QueueMeta::new("q").retention(seconds(0)).retries(1)).await;
    let created = fixture.create(task("payload")).await;
    let released = fixture.finish(done()).await;
    assert_eq!(released.status, Status::Released);
    let answered = released.task.unwrap();
    assert_eq!(
        (answered.id, answered.payload, answered.status),
        (created.id, created.payload, Some(Status::Released))
    );
    assert!(matches!(fixture.manager.get_task(created.id).await, Err(LookupError::NotFound { .. })));
    assert_eq!(fixture.manager.list_tasks(TaskFilter::new()).await.unwrap().count, 0);
    let failed = fixture.create(task(2)).await;
    fixture.finish(retry()).await;
    assert_eq!(fixture.status(&failed).await, Status::Failed, "what failed is kept");
}

#[tokio::test]
async fn settings_that_change_leave_existing_tasks_alone_but_for_the_retry_delay() {
    let fixture = Fixture::with(QueueMeta::new("q").ttl(hours(1)).retries(2).retry_delay(hours(5))).await;
    let created = fixture.create(task(1)).await;
    let changed = QueueMeta::patch().ttl(hours(9)).retries(7).retry_delay(minutes(10));
    fixture.manager.update_queue("q", changed).await.unwrap();
    let waiting = fixture.finish(retry()).await.task.unwrap();
    assert_eq!(waiting.dies_at, Some(created.created_at + SignedDuration::from_hours(1)));
    assert_eq!(waiting.retries, 1);
    let pause = seconds_between(created.created_at, waiting.delayed_at.unwrap());
    assert!((540.0..690.0).contains(&pause), "{pause}");
}

#[tokio::test]
async fn counts_are_the_same_before_and_after_they_are_folded() {
    let fixture = Fixture::with(QueueMeta::new("q").retry_delay(minutes(30))).await;
    fixture.manager.create_tasks("q", (0..5).map(task)).await.unwrap();
    fixture.finish(done()).await;
    fixture.finish(retry()).await;
    fixture.retain().await;
    let before = fixture.manager.list_queue_statuses().await.unwrap();
    assert!(fixture.manager.maintain().await.unwrap().folded > 0);
    assert_eq!(fixture.manager.list_queue_statuses().await.unwrap(), before);
    let counts: Vec<u64> = before.iter().map(|row| row.count).collect();
    assert_eq!(counts, [2, 1, 1, 1, 0, 0, 0]);
}
