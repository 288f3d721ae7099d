//! Tasks: the reference's tests.

use jiff::{SignedDuration, Timestamp};
use pgmill::{EnqueueError, Outcome, QueueMeta, ReleaseError, Status, TaskMeta, TaskMetaError, seconds};

use crate::fixture::{Fixture, done, json, retry, seconds_between, task};

/// `Test_Task_CreateTask`: what a new task carries.
#[tokio::test]
async fn test_task_create_task() {
    let fixture = Fixture::with_queue().await;
    let created = fixture.create(TaskMeta::raw(json(r#"{"key": "value", "n": 1}"#))).await;
    assert!(created.id > 0);
    assert_eq!((created.queue.as_str(), created.namespace.as_str()), ("q", "app"));
    assert!(seconds_between(created.created_at, Timestamp::now()).abs() < 60.0);
    assert_eq!((&created.worker, created.started_at, created.finished_at), (&None, None, None));
    assert_eq!(created.payload.as_ref().unwrap().as_str(), r#"{"key": "value", "n": 1}"#);
    assert_eq!(created.dies_at, Some(created.created_at + SignedDuration::from_hours(1)));
    assert_eq!((created.retries, created.priority, created.attempt), (3, 5, 0));
    assert_eq!(created.status, Some(Status::New));
    assert_eq!(fixture.manager.get_task(created.id).await.unwrap(), created);
}

/// `Test_Task_CreateTask`: a delay.
#[tokio::test]
async fn test_task_create_task_delayed_at() {
    let fixture = Fixture::with_queue().await;
    let due = Timestamp::now() + SignedDuration::from_hours(2);
    let created = fixture.create(task(1).delayed_at(due)).await;
    assert!(seconds_between(due, created.delayed_at.unwrap()).abs() < 1.0);
    let dies_at = created.dies_at.unwrap();
    assert!((seconds_between(due, dies_at) - 3600.0).abs() < 1.0, "the ttl counts from when it is due");
    assert_eq!(fixture.manager.get_task(created.id).await.unwrap(), created);
}

#[tokio::test]
async fn a_delay_counts_from_the_creation_by_the_clock_of_the_database() {
    let fixture = Fixture::with_queue().await;
    let created = fixture.create(task(1).delay(seconds(90))).await;
    assert_eq!(created.delayed_at, Some(created.created_at + SignedDuration::from_secs(90)));
    assert_eq!(created.status, Some(Status::New));
    assert_eq!(fixture.manager.get_task(created.id).await.unwrap(), created);
}

/// `Test_Task_CreateTask`: a delay in the past.
#[tokio::test]
async fn test_task_create_task_delayed_at_in_the_past() {
    let fixture = Fixture::with_queue().await;
    let past = Timestamp::now() - SignedDuration::from_hours(1);
    let error = fixture.manager.create_task("q", task(1).delayed_at(past)).await.unwrap_err();
    assert!(matches!(error, EnqueueError::DelayedInPast), "{error:?}");
    assert!(error.to_string().contains("delayed_at is in the past"));
}

/// `Test_Task_CreateTask`: a nil payload.
#[tokio::test]
async fn test_task_create_task_missing_payload() {
    let fixture = Fixture::with_queue().await;
    let error = fixture.manager.create_task("q", TaskMeta::empty()).await.unwrap_err();
    assert!(matches!(error, EnqueueError::Meta(TaskMetaError::MissingPayload)), "{error:?}");
    assert!(error.to_string().contains("missing payload"));
}

/// `Test_Task_CreateTask`: an unknown queue.
#[tokio::test]
async fn test_task_create_task_unknown_queue() {
    let fixture = Fixture::with_queue().await;
    let error = fixture.manager.create_task("missing", task(1)).await.unwrap_err();
    assert!(
        matches!(&error, EnqueueError::NoQueue { namespace, queue } if namespace == "app" && queue == "missing")
    );
    assert_eq!(error.to_string(), r#"queue "missing" not found in namespace "app""#);
    assert!(!error.is_transient());
}

/// `Test_Task_NextTask`: an empty queue.
#[tokio::test]
async fn test_task_next_task_empty_queue() {
    let fixture = Fixture::with_queue().await;
    assert!(fixture.manager.next_task("worker", &["q"]).await.unwrap().is_none());
}

/// `Test_Task_NextTask`: returns the task that was created.
#[tokio::test]
async fn test_task_next_task_returns_created_task() {
    let fixture = Fixture::with_queue().await;
    let created = fixture.create(task("payload")).await;
    let taken = fixture.manager.next_task(" worker-1 ", &["q"]).await.unwrap().unwrap();
    assert_eq!((taken.id, &taken.payload), (created.id, &created.payload));
    assert_eq!(taken.worker.as_deref(), Some("worker-1"));
    assert!(taken.started_at.unwrap() >= created.created_at);
    assert_eq!((taken.status, taken.attempt, taken.retries), (Some(Status::Retained), 1, 3));
    assert!((seconds_between(taken.started_at.unwrap(), taken.lease_until.unwrap()) - 900.0).abs() < 1e-3);
    assert_eq!(fixture.manager.get_task(created.id).await.unwrap(), taken);
}

/// `Test_Task_NextTask`: a retained task is not given twice.
#[tokio::test]
async fn test_task_next_task_retained_not_returned_again() {
    let fixture = Fixture::with_queue().await;
    fixture.create(task(1)).await;
    fixture.retain().await;
    assert!(fixture.manager.next_task("other", &["q"]).await.unwrap().is_none());
    assert!(fixture.other_process().await.next_task("other", &["q"]).await.unwrap().is_none());
}

/// `Test_Task_NextTask`: a future delay.
#[tokio::test]
async fn test_task_next_task_future_delayed_not_returned() {
    let fixture = Fixture::with_queue().await;
    let created = fixture.create(task(1).delay(seconds(3600))).await;
    assert!(fixture.manager.next_task("worker", &["q"]).await.unwrap().is_none());
    fixture.skip_pauses().await;
    assert_eq!(fixture.retain().await.id, created.id);
}

#[tokio::test]
async fn a_delayed_task_is_returned_when_it_is_due() {
    let fixture = Fixture::with_queue().await;
    let created = fixture.create(task(1).delay(std::time::Duration::from_millis(200))).await;
    let taken = fixture.retain().await;
    assert_eq!(taken.id, created.id);
    assert!(taken.started_at.unwrap() >= created.delayed_at.unwrap());
}

/// `Test_Task_ReleaseTask`: success.
#[tokio::test]
async fn test_task_release_task_success() {
    let fixture = Fixture::with_queue().await;
    fixture.create(task("payload")).await;
    let taken = fixture.retain().await;
    let released = fixture.manager.release_task(&taken, Outcome::done(&"result").unwrap()).await.unwrap();
    assert_eq!((released.id, released.status), (taken.id, Status::Released));
    let task = released.task.unwrap();
    assert!(task.finished_at.unwrap() >= taken.started_at.unwrap());
    assert_eq!(task.result.as_ref().unwrap().as_str(), r#""result""#);
    assert_eq!((task.started_at, task.dies_at, task.lease_until), (taken.started_at, None, None));
    assert_eq!((task.status, &task.payload), (Some(Status::Released), &taken.payload));
    assert_eq!(fixture.manager.get_task(taken.id).await.unwrap(), task);
}

/// `Test_Task_ReleaseTask`: failure, with attempts left and without.
#[tokio::test]
async fn test_task_release_task_failure() {
    let fixture = Fixture::with(QueueMeta::new("q").retries(2).retry_delay(seconds(0))).await;
    fixture.create(task(1)).await;
    let first = fixture.finish(retry()).await;
    assert_eq!(first.status, Status::Retry);
    let waiting = first.task.unwrap();
    assert_eq!((waiting.started_at, waiting.finished_at, waiting.retries), (None, None, 1));
    assert_eq!(waiting.worker.as_deref(), Some("worker"), "the worker is kept");
    assert_eq!(waiting.result.as_ref().unwrap().as_str(), r#""went wrong""#);
    let last = fixture.finish(retry()).await;
    assert_eq!((last.status, last.task.unwrap().retries), (Status::Failed, 0));
}

/// `Test_Task_ReleaseTask`: a nil pointer for the status. Its counterpart is that nothing need be done with the answer.
#[tokio::test]
async fn test_task_release_task_nil_status() {
    let fixture = Fixture::with_queue().await;
    let created = fixture.create(task(1)).await;
    let taken = fixture.retain().await;
    drop(fixture.manager.release_task(&taken, Outcome::done_empty()).await.unwrap());
    let seen = fixture.manager.get_task(created.id).await.unwrap();
    assert_eq!(seen.status, Some(Status::Released));
    assert!(seen.result.unwrap().is_null());
}

/// `Test_Task_ReleaseTask`: an unknown id.
#[tokio::test]
async fn test_task_release_task_unknown_id() {
    let fixture = Fixture::with_queue().await;
    let error = fixture.manager.release_task(999_999, done()).await.unwrap_err();
    assert!(matches!(error, ReleaseError::NotFound { id: 999_999 }), "{error:?}");
    assert_eq!(error.to_string(), "task 999999 not found");
}

/// `Test_Task_ReleaseTask`: a task that is not retained.
#[tokio::test]
async fn test_task_release_task_not_retained() {
    let fixture = Fixture::with_queue().await;
    let created = fixture.create(task(1)).await;
    let error = fixture.manager.release_task(created.id, done()).await.unwrap_err();
    assert!(matches!(error, ReleaseError::NotRetained { id } if id == created.id), "{error:?}");
    assert_eq!(fixture.status(&created).await, Status::New);
}
