//! Tasks, from their creation to their end.

use futures_util::TryStreamExt as _;
use pgmill::{Json, Outcome, QueueMeta, Status, TaskFilter, TaskMeta, minutes, seconds};
use pgmill_client::{Client, Retain, RetainedTask};

use crate::Fixture;

async fn with_queue() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.manager.register_queue(QueueMeta::new("emails").retries(2)).await.expect("a queue");
    fixture
}

fn payload(text: &str) -> TaskMeta {
    TaskMeta::raw(Json::from_text(text).expect("JSON"))
}

/// A value as text, without the layout that the server gives it.
fn without_spaces(json: Option<&Json>) -> String {
    json.map(Json::as_str).unwrap_or_default().split_whitespace().collect()
}

async fn retain(client: &Client) -> RetainedTask {
    client.retain_task("w", &["emails"]).await.expect("an answer").expect("a task")
}

#[tokio::test]
async fn a_task_is_created_retained_and_released_with_every_digit() {
    let Fixture { client, .. } = &with_queue().await;
    let text = "[12345678901234567890,1.50]";
    let created = client.create_task("Emails", &payload(text).priority(0)).await.unwrap();
    assert_eq!((created.queue.as_str(), created.priority), ("emails", 0));
    let retained = retain(client).await;
    assert_eq!(
        (retained.task.id, without_spaces(retained.task.payload.as_ref())),
        (created.id, text.to_owned())
    );
    assert!(client.retain_task("w", &["emails"]).await.unwrap().is_none());
    let done = Outcome::Done(Json::from_text(text).unwrap());
    let released = client.release_task(&retained, &done).await.unwrap();
    let result = without_spaces(released.result.as_ref());
    assert_eq!((released.status, result), (Some(Status::Released), text.to_owned()));
}

#[tokio::test]
async fn a_lease_ends_its_own_attempt_only() {
    let Fixture { client, .. } = &with_queue().await;
    client.create_task("emails", &payload("1")).await.unwrap();
    let first = retain(client).await;
    assert!(first.lease.is_some());
    client.release_task(&first, &Outcome::GiveBack).await.unwrap();
    let second = retain(client).await;
    assert_eq!(second.task.id, first.task.id);
    let stale = client.release_task(&first, &Outcome::done_empty()).await.unwrap_err();
    assert!(stale.is_lease_stale(), "{stale}");
    let failed = client.release_task(&second, &Outcome::failed("broken").unwrap()).await.unwrap();
    assert_eq!(failed.status, Some(Status::Failed));
    let over = client.release_task(second.task.id, &Outcome::done_empty()).await.unwrap_err();
    assert!(over.is_not_found(), "{over}");
}

#[tokio::test]
async fn a_task_that_fails_is_tried_again_and_snoozed_when_it_is_told_to() {
    let Fixture { client, .. } = &with_queue().await;
    client.create_task("emails", &payload("1")).await.unwrap();
    let again = Outcome::retry_in(seconds(0), "broken").unwrap();
    let retried = client.release_task(&retain(client).await, &again).await.unwrap();
    assert_eq!((retried.status, retried.retries), (Some(Status::Retry), 1));
    let snoozed = client.release_task(&retain(client).await, &Outcome::Snooze(minutes(5))).await.unwrap();
    assert_eq!((snoozed.status, snoozed.retries), (Some(Status::Retry), 1));
    assert!(client.retain_task("w", &[]).await.unwrap().is_none());
}

#[tokio::test]
async fn several_tasks_are_created_under_keys_and_retained_at_once() {
    let Fixture { client, manager, .. } = &with_queue().await;
    manager.register_queue(QueueMeta::new("reports")).await.unwrap();
    let metas: Vec<_> = (0..5).map(|number| payload(&number.to_string()).key(format!("k{number}"))).collect();
    let tasks =
        metas.iter().zip(["emails", "reports"].into_iter().cycle()).map(|(meta, queue)| (queue, meta));
    let created = client.create_tasks(tasks).await.unwrap();
    let again = client.create_task("emails", &metas[0]).await.unwrap();
    assert_eq!((created.len(), again.id), (5, created[0].id));
    let retain = Retain::new("w").queues(["emails", "reports"]).count(10).lease(seconds(60)).wait(seconds(1));
    let retained = client.retain_tasks(&retain).await.unwrap();
    assert_eq!(retained.len(), 5);
    client.release_task(&retained[0], &Outcome::done_empty()).await.unwrap();
    assert!(client.retain_tasks(&retain.count(1).wait(seconds(0))).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_heartbeat_extends_the_lease() {
    let Fixture { client, .. } = &with_queue().await;
    client.create_task("emails", &payload("1")).await.unwrap();
    let retained = client.retain_one(&Retain::new("w").lease(seconds(30))).await.unwrap().unwrap();
    let heartbeat = client.heartbeat(&retained, Some(minutes(30))).await.unwrap();
    assert!(Some(heartbeat.lease_until) > retained.task.lease_until);
    client.release_task(&retained, &Outcome::done_empty()).await.unwrap();
    let over = client.heartbeat(&retained, None).await.unwrap_err();
    assert!(over.is_not_found() || over.is_lease_stale(), "{over}");
}

#[tokio::test]
async fn tasks_are_listed_to_their_end() {
    let Fixture { client, manager, .. } = &with_queue().await;
    let metas: Vec<_> = (0..250).map(|number| ("emails", payload(&number.to_string()))).collect();
    client.create_tasks(metas.iter().map(|(queue, meta)| (*queue, meta))).await.unwrap();
    let filter = TaskFilter::new().queue("emails".parse().unwrap()).status(Status::New);
    let ids: Vec<_> = client.list_tasks_stream(&filter).map_ok(|task| task.id).try_collect().await.unwrap();
    assert_eq!(ids.len(), 250);
    assert_eq!(manager.list_tasks(filter).await.unwrap().count, 250);
}

#[tokio::test]
async fn what_a_task_cannot_be_is_told() {
    let Fixture { client, .. } = &with_queue().await;
    let missing = client.create_task("emails", &TaskMeta::empty()).await.unwrap_err();
    assert_eq!((missing.status(), missing.code()), (Some(400), Some("missing_payload")));
    let unknown = client.create_task("nobody", &payload("1")).await.unwrap_err();
    assert_eq!((unknown.status(), unknown.code()), (Some(404), Some("queue_not_found")));
    assert!(client.retain_task("w", &["nobody"]).await.unwrap().is_none());
}
