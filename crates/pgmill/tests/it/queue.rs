//! Queues: the reference's tests, and what goes beyond them.

use pgmill::{
    Backoff, DEFAULT_LEASE, DEFAULT_MAX_RETRY_DELAY, DEFAULT_RETENTION, DEFAULT_RETENTION_FAILED,
    DEFAULT_RETRIES, DEFAULT_RETRY_DELAY, DEFAULT_TTL, ListRequest, NameError, NameKind, QueueError,
    QueueMeta, Status, Ttl, hours, minutes, seconds,
};

use crate::fixture::{Fixture, done, retry, task};

fn not_found(error: &QueueError) -> bool {
    matches!(error, QueueError::NotFound { namespace, queue } if namespace == "app" && queue == "missing")
}

/// `Test_Queue_RegisterQueue`: creates.
#[tokio::test]
async fn test_queue_register_queue_creates() {
    let fixture = Fixture::new().await;
    let meta = QueueMeta::new("q").ttl(hours(1)).retries(3).retry_delay(minutes(1));
    let queue = fixture.manager.register_queue(meta).await.unwrap();
    assert_eq!(queue.queue.as_str(), "q");
    assert_eq!(queue.ttl, Ttl::After(hours(1)));
    assert_eq!(queue.retries, 3);
    assert_eq!(queue.retry_delay, minutes(1));
    assert_eq!(queue.namespace.as_str(), "app");
    assert_eq!(fixture.manager.get_queue("q").await.unwrap(), queue);
}

#[tokio::test]
async fn a_queue_has_the_documented_defaults() {
    let fixture = Fixture::new().await;
    let queue = fixture.manager.register_queue(QueueMeta::new("q")).await.unwrap();
    assert_eq!(queue.ttl, Ttl::After(DEFAULT_TTL));
    assert_eq!(queue.retries, DEFAULT_RETRIES);
    assert_eq!(queue.retry_delay, DEFAULT_RETRY_DELAY);
    assert_eq!(queue.backoff, Backoff::Exponential);
    assert_eq!(queue.max_retry_delay, DEFAULT_MAX_RETRY_DELAY);
    assert_eq!(queue.retention, DEFAULT_RETENTION);
    assert_eq!(queue.retention_failed, DEFAULT_RETENTION_FAILED);
    assert_eq!(queue.lease, DEFAULT_LEASE);
    assert_eq!(queue.paused_at, None);
}

/// `Test_Queue_RegisterQueue`: registering again updates what is given.
#[tokio::test]
async fn test_queue_register_queue_updates() {
    let fixture = Fixture::with(QueueMeta::new("q").ttl(hours(1)).retries(3).lease(minutes(2))).await;
    let meta =
        QueueMeta::new(" Q ").ttl(hours(2)).retries(5).retry_delay(seconds(7)).backoff(Backoff::Linear);
    let queue = fixture.manager.register_queue(meta).await.unwrap();
    assert_eq!(queue.ttl, Ttl::After(hours(2)));
    assert_eq!(queue.retries, 5);
    assert_eq!(queue.retry_delay, seconds(7));
    assert_eq!(queue.backoff, Backoff::Linear);
    assert_eq!(queue.lease, minutes(2), "what is not given stays");
    assert_eq!(fixture.manager.list_queues(ListRequest::new()).await.unwrap().body, [queue]);
}

/// `Test_Queue_RegisterQueue`: an invalid name.
#[tokio::test]
async fn test_queue_register_queue_invalid_name() {
    let fixture = Fixture::new().await;
    let error = fixture.manager.register_queue(QueueMeta::new("invalid queue!")).await.unwrap_err();
    assert_eq!(error.to_string(), r#"Invalid queue name: "invalid queue!""#);
    assert!(matches!(error, QueueError::Name(NameError::Invalid { kind: NameKind::Queue, .. })));
}

/// `Test_Queue_RegisterQueue`: an empty name.
#[tokio::test]
async fn test_queue_register_queue_empty_name() {
    let fixture = Fixture::new().await;
    let error = fixture.manager.register_queue(QueueMeta::new("")).await.unwrap_err();
    assert_eq!(error.to_string(), "Missing queue name");
    assert!(matches!(error, QueueError::Name(NameError::Missing { kind: NameKind::Queue })));
}

#[tokio::test]
async fn a_queue_that_exists_cannot_be_created_again() {
    let fixture = Fixture::with(QueueMeta::new("q").retries(7)).await;
    let error = fixture.manager.create_queue(QueueMeta::new("Q").retries(1)).await.unwrap_err();
    assert!(matches!(&error, QueueError::Exists { namespace, queue } if namespace == "app" && queue == "q"));
    assert!(!error.is_transient());
    assert_eq!(fixture.manager.get_queue("q").await.unwrap().retries, 7);
}

/// `Test_Queue_ListQueues`: lists all.
#[tokio::test]
async fn test_queue_list_queues() {
    let fixture = Fixture::new().await;
    for name in ["list-2", "list-3", "list-1"] {
        fixture.manager.register_queue(QueueMeta::new(name)).await.unwrap();
    }
    let list = fixture.manager.list_queues(ListRequest::new()).await.unwrap();
    let names: Vec<&str> = list.body.iter().map(|queue| queue.queue.as_str()).collect();
    assert_eq!((list.count, names), (3, vec!["list-1", "list-2", "list-3"]));
}

/// `Test_Queue_ListQueues`: a limit of 2.
#[tokio::test]
async fn test_queue_list_queues_with_limit() {
    let fixture = Fixture::new().await;
    for name in ["a", "b", "c"] {
        fixture.manager.register_queue(QueueMeta::new(name)).await.unwrap();
    }
    let page = async |page: ListRequest| {
        let list = fixture.manager.list_queues(page).await.unwrap();
        assert_eq!(list.count, 3, "the count is of all");
        list.body.iter().map(|queue| queue.queue.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(page(ListRequest::new().limit(2)).await, ["a", "b"]);
    assert_eq!(page(ListRequest::new().limit(2).offset(2)).await, ["c"]);
    assert!(page(ListRequest::new().offset(3)).await.is_empty());
    assert!(page(ListRequest::new().limit(0)).await.is_empty());
}

/// `Test_Queue_GetQueue`: an existing one.
#[tokio::test]
async fn test_queue_get_queue() {
    let fixture = Fixture::with(QueueMeta::new("q").ttl(hours(1))).await;
    let queue = fixture.manager.get_queue(" Q ").await.unwrap();
    assert_eq!((queue.ttl, queue.namespace.as_str()), (Ttl::After(hours(1)), "app"));
}

/// `Test_Queue_GetQueue`: a missing one.
#[tokio::test]
async fn test_queue_get_queue_missing() {
    let fixture = Fixture::new().await;
    let error = fixture.manager.get_queue("missing").await.unwrap_err();
    assert!(not_found(&error), "{error:?}");
    assert_eq!(error.to_string(), r#"queue "missing" not found in namespace "app""#);
}

/// `Test_Queue_DeleteQueue`: returns it, then it is gone.
#[tokio::test]
async fn test_queue_delete_queue() {
    let fixture = Fixture::with(QueueMeta::new("q").retries(9)).await;
    let deleted = fixture.manager.delete_queue("q").await.unwrap();
    assert_eq!((deleted.queue.as_str(), deleted.retries), ("q", 9));
    assert!(matches!(fixture.manager.get_queue("q").await, Err(QueueError::NotFound { .. })));
}

/// `Test_Queue_DeleteQueue`: a missing one.
#[tokio::test]
async fn test_queue_delete_queue_missing() {
    let fixture = Fixture::new().await;
    assert!(not_found(&fixture.manager.delete_queue("missing").await.unwrap_err()));
}

/// `Test_Queue_UpdateQueue`: changes all three fields.
#[tokio::test]
async fn test_queue_update_queue() {
    let fixture = Fixture::with(QueueMeta::new("q").lease(minutes(3))).await;
    let patch = QueueMeta::patch().ttl(hours(5)).retries(9).retry_delay(seconds(3));
    let queue = fixture.manager.update_queue("q", patch).await.unwrap();
    assert_eq!((queue.ttl, queue.retries, queue.retry_delay), (Ttl::After(hours(5)), 9, seconds(3)));
    assert_eq!(queue.lease, minutes(3));
    assert_eq!(fixture.manager.get_queue("q").await.unwrap(), queue);
    let queue = fixture.manager.update_queue("q", QueueMeta::patch().no_ttl()).await.unwrap();
    assert_eq!((queue.ttl, queue.retries), (Ttl::Never, 9));
}

/// `Test_Queue_UpdateQueue`: a missing one.
#[tokio::test]
async fn test_queue_update_queue_missing() {
    let fixture = Fixture::new().await;
    let error = fixture.manager.update_queue("missing", QueueMeta::patch().retries(1)).await.unwrap_err();
    assert!(not_found(&error), "{error:?}");
}

/// `Test_Queue_UpdateQueue`: an empty patch, which is told before anything else.
#[tokio::test]
async fn test_queue_update_queue_no_patch_values() {
    let fixture = Fixture::new().await;
    let error = fixture.manager.update_queue("missing", QueueMeta::patch()).await.unwrap_err();
    assert!(matches!(error, QueueError::NothingToChange));
    assert_eq!(error.to_string(), "No patch values");
}

/// `Test_Queue_CleanQueue`: an empty queue.
#[tokio::test]
async fn test_queue_clean_queue_empty() {
    let fixture = Fixture::with_queue().await;
    assert!(fixture.manager.clean_queue("q").await.unwrap().is_empty());
}

/// `Test_Queue_CleanQueue`: a released task is removed and returned.
#[tokio::test]
async fn test_queue_clean_queue_released_task() {
    let fixture = Fixture::with_queue().await;
    let created = fixture.create(task("payload")).await;
    fixture.finish(done()).await;
    let cleaned = fixture.manager.clean_queue("q").await.unwrap();
    assert_eq!(cleaned.len(), 1);
    assert_eq!((cleaned[0].id, cleaned[0].status), (created.id, Some(Status::Released)));
    assert_eq!(cleaned[0].payload, created.payload);
    assert!(cleaned[0].finished_at.is_some());
    assert!(matches!(fixture.manager.get_task(created.id).await, Err(pgmill::LookupError::NotFound { .. })));
    assert!(fixture.manager.clean_queue("q").await.unwrap().is_empty());
    assert_eq!(fixture.count(Status::Released).await, 0);
}

/// `Test_Queue_CleanQueue`: after two failures of a queue with two retries there is no further task.
#[tokio::test]
async fn test_queue_clean_queue_exhausted_task() {
    let fixture = Fixture::with(QueueMeta::new("q").retries(2).retry_delay(seconds(0))).await;
    let created = fixture.create(task(1)).await;
    assert_eq!(fixture.finish(retry()).await.status, Status::Retry);
    assert_eq!(fixture.finish(retry()).await.status, Status::Failed);
    assert!(fixture.manager.next_task("worker", &["q"]).await.unwrap().is_none());
    let cleaned = fixture.manager.clean_queue("q").await.unwrap();
    assert_eq!((cleaned.len(), cleaned[0].id, cleaned[0].status), (1, created.id, Some(Status::Failed)));
}

/// `Test_Queue_CleanQueue`: an unknown queue.
#[tokio::test]
async fn test_queue_clean_queue_unknown() {
    let fixture = Fixture::with_queue().await;
    assert!(fixture.manager.clean_queue("missing").await.unwrap().is_empty());
}

/// `Test_Queue_CleanQueue`: new and retained tasks stay.
#[tokio::test]
async fn test_queue_clean_queue_keeps_live_tasks() {
    let fixture = Fixture::with(QueueMeta::new("q").retry_delay(minutes(30))).await;
    let retried = fixture.create(task(1)).await;
    fixture.finish(retry()).await;
    let retained = fixture.create(task(2)).await;
    assert_eq!(fixture.retain().await.id, retained.id);
    let new = fixture.create(task(3)).await;
    assert!(fixture.manager.clean_queue("q").await.unwrap().is_empty());
    assert_eq!(fixture.status(&retried).await, Status::Retry);
    assert_eq!(fixture.status(&retained).await, Status::Retained);
    assert_eq!(fixture.status(&new).await, Status::New);
}

/// `Test_Queue_ListQueueStatuses`: seven rows a queue.
#[tokio::test]
async fn test_queue_list_queue_statuses_seven_rows() {
    let fixture = Fixture::with_queue().await;
    fixture.manager.register_queue(QueueMeta::new("another")).await.unwrap();
    let statuses = fixture.manager.list_queue_statuses().await.unwrap();
    let expected: Vec<(&str, Status)> =
        ["another", "q"].into_iter().flat_map(|queue| Status::ALL.map(|status| (queue, status))).collect();
    let got: Vec<(&str, Status)> = statuses.iter().map(|row| (row.queue.as_str(), row.status)).collect();
    assert_eq!(got, expected);
    assert!(statuses.iter().all(|row| row.count == 0 && row.namespace.as_str() == "app"));
}

/// `Test_Queue_ListQueueStatuses`: one new task.
#[tokio::test]
async fn test_queue_list_queue_statuses_counts() {
    let fixture = Fixture::with_queue().await;
    fixture.create(task(1)).await;
    assert_eq!(fixture.count(Status::New).await, 1);
    let total: u64 = fixture.manager.list_queue_statuses().await.unwrap().iter().map(|row| row.count).sum();
    assert_eq!(total, 1);
}

#[tokio::test]
async fn a_paused_queue_takes_tasks_and_gives_none() {
    let fixture = Fixture::with_queue().await;
    let paused = fixture.manager.pause_queue("q").await.unwrap();
    assert!(paused.paused_at.is_some());
    assert_eq!(
        fixture.manager.pause_queue("q").await.unwrap().paused_at,
        paused.paused_at,
        "the first time stays"
    );
    let created = fixture.create(task(1)).await;
    assert!(fixture.manager.next_task("worker", &["q"]).await.unwrap().is_none());
    assert!(fixture.manager.next_task("worker", &[]).await.unwrap().is_none());
    assert_eq!(fixture.manager.resume_queue("q").await.unwrap().paused_at, None);
    assert_eq!(fixture.retain().await.id, created.id);
}

#[tokio::test]
async fn a_task_that_runs_when_its_queue_is_paused_can_be_released() {
    let fixture = Fixture::with_queue().await;
    fixture.create(task(1)).await;
    let taken = fixture.retain().await;
    fixture.manager.pause_queue("q").await.unwrap();
    let released = fixture.manager.release_task(&taken, done()).await.unwrap();
    assert_eq!(released.status, Status::Released);
}

#[tokio::test]
async fn a_queue_that_is_missing_can_neither_be_paused_nor_resumed() {
    let fixture = Fixture::new().await;
    assert!(not_found(&fixture.manager.pause_queue("missing").await.unwrap_err()));
    assert!(not_found(&fixture.manager.resume_queue("missing").await.unwrap_err()));
}
