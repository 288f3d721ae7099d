//! Where the reference is wrong: the life of a task. The numbers are those of its defects.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::task::Poll;

use jiff::{SignedDuration, Timestamp};
use pgmill::{
    Backoff, EnqueueError, Outcome, QueueError, QueueMeta, QueueMetaError, Status, TaskMeta, TaskMetaError,
    hours, minutes, seconds,
};
use pgmill_testkit::wait_until;
use tokio::task::JoinSet;

use crate::fixture::{Fixture, SOON, done, json, retry, seconds_between, task};

/// The pauses in seconds after failed attempts of a task.
async fn pauses(fixture: &Fixture, attempts: usize) -> Vec<f64> {
    fixture.create(task(1)).await;
    let mut pauses = Vec::new();
    for _ in 0..attempts {
        let waiting = fixture.finish(retry()).await.task.unwrap();
        assert_eq!(waiting.status, Some(Status::Retry));
        let history = fixture.manager.get_task(waiting.id).await.unwrap().attempts;
        pauses.push(seconds_between(history.last().unwrap().ended_at, waiting.delayed_at.unwrap()));
        fixture.skip_pauses().await;
    }
    pauses
}

fn assert_about(pauses: &[f64], expected: &[f64]) {
    assert_eq!(pauses.len(), expected.len());
    for (pause, expected) in pauses.iter().zip(expected) {
        assert!(
            (expected * 0.9 - 1e-5..=expected * 1.1 + 1e-5).contains(pause),
            "{pauses:?}, not {expected}"
        );
    }
}

/// B10: `retries` is the number of attempts in all, and none was a queue whose tasks never ran.
#[tokio::test]
async fn b10_retries_is_the_number_of_attempts_in_all() {
    let fixture = Fixture::with(QueueMeta::new("q").retries(3).retry_delay(seconds(0))).await;
    fixture.create(task(1)).await;
    for left in [2, 1] {
        let failed = fixture.finish(retry()).await;
        assert_eq!((failed.status, failed.task.unwrap().retries), (Status::Retry, left));
    }
    assert_eq!(fixture.finish(retry()).await.status, Status::Failed);
    assert!(fixture.manager.next_task("worker", &["q"]).await.unwrap().is_none());
}

/// B10: see above.
#[tokio::test]
async fn b10_retries_of_0_are_refused_with_what_is_allowed() {
    let fixture = Fixture::new().await;
    let error = fixture.manager.register_queue(QueueMeta::new("q").retries(0)).await.unwrap_err();
    assert!(matches!(error, QueueError::Meta(QueueMetaError::OutOfRange { field: "retries", .. })));
    assert_eq!(
        error.to_string(),
        "retries is the number of attempts in all and must be at least 1 and at most 2147483647, not 0"
    );
}

/// B11: `expired` came before everything, so that a failed task turned into an expired one.
#[tokio::test]
async fn b11_expired_comes_first_only_for_unfinished_tasks() {
    let fixture = Fixture::with(QueueMeta::new("q").retries(1).ttl(hours(1))).await;
    let failed = fixture.create(task("failed")).await;
    fixture.finish(retry()).await;
    fixture.sql("UPDATE pgmill.task_finished SET dies_at = now() - interval '1 s'").await;
    assert_eq!(fixture.status(&failed).await, Status::Failed);
    let unfinished = fixture.create(task("unfinished")).await;
    let taken = fixture.retain().await;
    fixture.expire().await;
    assert_eq!(fixture.status(&unfinished).await, Status::Expired);
    let late = fixture.manager.release_task(&taken, done()).await.unwrap();
    assert_eq!(late.status, Status::Released, "what was done is done");
}

/// B12: backoff was quadratic though documented as exponential.
#[tokio::test]
async fn b12_backoff_is_exponential() {
    let fixture = Fixture::with(QueueMeta::new("q").retries(9).retry_delay(minutes(1))).await;
    assert_about(&pauses(&fixture, 4).await, &[60.0, 120.0, 240.0, 480.0]);
}

/// B12: the other backoffs are options.
#[tokio::test]
async fn b12_backoff_is_polynomial_linear_or_constant_where_the_queue_says_so() {
    for (backoff, expected) in [
        (Backoff::Polynomial, [60.0, 240.0, 540.0]),
        (Backoff::Linear, [60.0, 120.0, 180.0]),
        (Backoff::Constant, [60.0, 60.0, 60.0]),
    ] {
        let meta = QueueMeta::new("q").retries(9).retry_delay(minutes(1)).backoff(backoff);
        assert_about(&pauses(&Fixture::with(meta).await, 3).await, &expected);
    }
}

/// B12: backoff is capped.
#[tokio::test]
async fn b12_backoff_is_capped() {
    let meta = QueueMeta::new("q").retries(9).retry_delay(minutes(1)).max_retry_delay(seconds(50));
    assert_about(&pauses(&Fixture::with(meta).await, 2).await, &[50.0, 50.0]);
}

/// B12: backoff has jitter, so that what failed together does not come back together.
#[tokio::test]
async fn b12_backoff_has_jitter() {
    let fixture = Fixture::with(QueueMeta::new("q").retry_delay(minutes(1))).await;
    let mut pauses = Vec::new();
    for number in 0..5 {
        let created = fixture.create(task(number)).await;
        fixture.finish(retry()).await;
        let waiting = fixture.manager.get_task(created.id).await.unwrap();
        pauses.push(seconds_between(waiting.attempts[0].ended_at, waiting.delayed_at.unwrap()));
    }
    assert_about(&pauses, &[60.0; 5]);
    assert!(pauses.iter().any(|pause| (pause - pauses[0]).abs() > 1e-3), "{pauses:?}");
}

/// B12: the pause after very many attempts overflowed.
#[tokio::test]
async fn b12_backoff_after_very_many_attempts_does_not_overflow() {
    let meta = QueueMeta::new("q")
        .no_ttl()
        .retries(1_000_000)
        .retry_delay(hours(8_760))
        .max_retry_delay(hours(876_000));
    let fixture = Fixture::with(meta).await;
    fixture.create(task(1)).await;
    fixture.sql("UPDATE pgmill.task SET attempt = 900000").await;
    let waiting = fixture.finish(retry()).await.task.unwrap();
    let years = seconds_between(Timestamp::now(), waiting.delayed_at.unwrap()) / 86_400.0 / 365.0;
    assert!((99.0..101.0).contains(&years), "{years}");
}

/// B12: the last failure still set a delay.
#[tokio::test]
async fn b12_there_is_no_delay_after_the_last_failure() {
    let fixture = Fixture::with(QueueMeta::new("q").retries(1)).await;
    let created = fixture.create(task(1)).await;
    let failed = fixture.finish(retry()).await.task.unwrap();
    assert_eq!((failed.status, failed.delayed_at), (Some(Status::Failed), None));
    let seen = fixture.manager.get_task(created.id).await.unwrap();
    assert_eq!((seen.status, seen.delayed_at), (Some(Status::Failed), None));
}

/// B12: backoff ignored the ttl.
#[tokio::test]
async fn b12_a_retry_due_past_its_ttl_ends_as_expired() {
    let fixture = Fixture::with(QueueMeta::new("q").ttl(minutes(10)).retry_delay(hours(1))).await;
    let created = fixture.create(task(1)).await;
    assert_eq!(fixture.finish(retry()).await.status, Status::Expired);
    let seen = fixture.manager.get_task(created.id).await.unwrap();
    assert_eq!(seen.status, Some(Status::Expired));
    assert_eq!(seen.result.unwrap().as_str(), r#""went wrong""#);
    assert_eq!((fixture.count(Status::Expired).await, fixture.count(Status::Retained).await), (1, 0));
}

/// B14: a start of just now was refused where the clocks differ.
#[tokio::test]
async fn b14_a_start_of_just_now_is_taken_as_now() {
    let fixture = Fixture::with_queue().await;
    let start = Timestamp::now() - SignedDuration::from_millis(10);
    let created = fixture.create(task(1).delayed_at(start)).await;
    assert_eq!(created.delayed_at, None);
    assert_eq!(fixture.retain().await.id, created.id);
    let start = Timestamp::now() - SignedDuration::from_secs(3);
    let error = fixture.manager.create_task("q", task(1).delayed_at(start)).await.unwrap_err();
    assert!(matches!(error, EnqueueError::DelayedInPast), "{error:?}");
}

/// B15: a missing payload was an internal error. An explicit null is a payload.
#[tokio::test]
async fn b15_a_missing_payload_is_told_and_null_is_one() {
    let fixture = Fixture::with_queue().await;
    let error = fixture.manager.create_task("q", TaskMeta::empty()).await.unwrap_err();
    assert!(matches!(error, EnqueueError::Meta(TaskMetaError::MissingPayload)), "{error:?}");
    fixture.create(TaskMeta::raw(json("null"))).await;
    assert!(fixture.retain().await.payload.unwrap().is_null());
}

/// B16: a result went through a 64-bit float.
#[tokio::test]
async fn b16_payload_and_result_keep_every_digit() {
    let fixture = Fixture::with_queue().await;
    let text = r#"{"b": 12345678901234567890, "a": [1.50, 1e2], "b": "twice"}"#;
    let created = fixture.create(TaskMeta::raw(json(text))).await;
    let taken = fixture.retain().await;
    assert_eq!(taken.payload.as_ref().unwrap().as_str(), text);
    fixture.manager.release_task(&taken, Outcome::Done(json(text))).await.unwrap();
    let seen = fixture.manager.get_task(created.id).await.unwrap();
    assert_eq!((seen.payload.unwrap().as_str(), seen.result.unwrap().as_str()), (text, text));
}

/// B20: a ttl of 0 made tasks that were born dead.
#[tokio::test]
async fn b20_a_ttl_of_0_is_refused_and_a_retry_delay_of_0_is_not() {
    let fixture = Fixture::new().await;
    let error = fixture.manager.register_queue(QueueMeta::new("q").ttl(seconds(0))).await.unwrap_err();
    assert_eq!(error.to_string(), "ttl must be from 1µs to 876000h (100 years), not 0s");
    fixture.manager.register_queue(QueueMeta::new("q").retry_delay(seconds(0))).await.unwrap();
}

/// B27: a release ended with the context of its caller, and the task stayed retained.
#[tokio::test]
async fn b27_a_release_goes_on_when_its_caller_goes_away() {
    let fixture = Fixture::with_queue().await;
    fixture.create(task(1)).await;
    let taken = fixture.retain().await;
    {
        let mut release = pin!(fixture.manager.release_task(&taken, done()));
        let polled = poll_fn(|context| Poll::Ready(release.as_mut().poll(context).is_ready())).await;
        assert!(!polled, "it is under way");
    }
    wait_until("the task to be released", SOON, async || fixture.status(&taken).await == Status::Released)
        .await;
}

/// B31: cleaning took at most 100 tasks, in no order. `CleanQueue` takes the oldest first, at most 1,000 a call.
#[tokio::test(flavor = "multi_thread")]
async fn b31_clean_queue_removes_the_oldest_first_at_most_1000() {
    let fixture = Fixture::with_queue().await;
    let created = fixture.manager.create_tasks("q", (0..1_002).map(task)).await.unwrap();
    let mut releases = JoinSet::new();
    for _ in 0..2 {
        let retain = pgmill::Retain::new().count(1_000);
        for taken in fixture.manager.next_tasks("worker", &["q"], retain).await.unwrap() {
            let manager = fixture.manager.clone();
            releases.spawn(async move { manager.release_task(&taken, done()).await.unwrap().status });
        }
    }
    assert_eq!(releases.join_all().await, [Status::Released; 1_002]);
    let ids = |tasks: &[pgmill::Task]| tasks.iter().map(|task| task.id).collect::<Vec<_>>();
    let cleaned = fixture.manager.clean_queue("q").await.unwrap();
    assert_eq!(ids(&cleaned), ids(&created[..1_000]));
    assert_eq!(ids(&fixture.manager.clean_queue("q").await.unwrap()), ids(&created[1_000..]));
    assert_eq!(fixture.count(Status::Released).await, 0);
}

/// B43: times carried the offset of the server's zone.
#[tokio::test]
async fn b43_times_are_utc_whatever_the_zone_of_the_database() {
    let fixture = Fixture::new().await;
    fixture.sql(&format!("ALTER DATABASE {} SET timezone = 'Asia/Kolkata'", fixture.database.name())).await;
    let manager = fixture.other_process().await;
    manager.register_queue(QueueMeta::new("q")).await.unwrap();
    let created = manager.create_task("q", task(1)).await.unwrap();
    assert!(seconds_between(created.created_at, Timestamp::now()).abs() < 60.0);
    let text = pgmill::Json::encode(&manager.get_task(created.id).await.unwrap()).unwrap();
    let expected = format!(r#""created_at":"{}""#, created.created_at);
    assert!(
        expected.ends_with(r#"Z""#) && text.as_str().contains(&expected),
        "{} in {}",
        expected,
        text.as_str()
    );
}

/// B58: tasks came without their status.
#[tokio::test]
async fn b58_a_task_comes_with_its_status() {
    let fixture = Fixture::with_queue().await;
    assert_eq!(fixture.create(task(1)).await.status, Some(Status::New));
    assert_eq!(fixture.retain().await.status, Some(Status::Retained));
}
