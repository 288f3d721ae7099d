//! Assertions about the tasks of a queue, above all what they say when they fail.

use std::time::Duration;

use pgmill::{Outcome, QueueMeta, Status, TaskMeta};
use pgmill_testkit::{
    TaskMatch, assert_enqueued, assert_enqueued_in, assert_not_enqueued, assert_not_enqueued_in,
};
use serde_json::json;

use crate::scene::{Scene, panic_of};

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn a_task_is_found_by_everything_that_is_known_of_it() {
    let scene = Scene::new().await;
    let payload = json!({"to": "ann", "order": {"id": 7, "paid": true}});
    let meta = TaskMeta::json(&payload).unwrap().key("k").priority(2).delay(HOUR);
    let created = scene.create_with(meta).await;
    scene.create(json!({"to": "bob"})).await;

    let id_is_seven = |payload: &serde_json::Value| payload["order"]["id"] == 7;
    for wanted in [
        TaskMatch::json(json!({"order": {"id": 7}})),
        TaskMatch::payload(id_is_seven),
        TaskMatch::any().key("k"),
        TaskMatch::any().priority(2),
        TaskMatch::any().delay(HOUR),
        TaskMatch::any().delayed_at(created.delayed_at.unwrap()),
        TaskMatch::json(json!({"to": "ann"})).key("k").priority(2).delay(HOUR).count(1),
        TaskMatch::any().and("the same id", move |task| task.id == created.id),
    ] {
        let found = assert_enqueued(&scene.manager, "q", wanted).await;
        assert_eq!(found.iter().map(|task| task.id).collect::<Vec<_>>(), [created.id]);
    }
    for unwanted in [
        TaskMatch::json(json!({"to": "ann"})).priority(3),
        TaskMatch::json(json!({"to": "bob"})).delay(HOUR),
        TaskMatch::payload(|number: &u32| *number == 7),
        TaskMatch::any().key("l"),
    ] {
        assert_not_enqueued(&scene.manager, "q", unwanted).await;
    }
}

#[tokio::test]
async fn a_failure_tells_what_is_there_and_what_of_it_is_not_as_wanted() {
    let scene = Scene::new().await;
    let created = scene.create_with(TaskMeta::json(&json!({"to": "ann"})).unwrap().key("k")).await;
    let message = panic_of(async move {
        assert_enqueued(&scene.manager, "q", TaskMatch::json(json!({"to": "bob"})).key("k")).await
    })
    .await;
    let id = created.id;
    for part in [
        "enqueued.rs:",
        "in queue q of namespace app: wanted at least 1, found 0",
        r#"looked for: payload contains {"to":"bob"}, key is "k""#,
        &format!(r#"task {id} (new), priority 5, key "k", payload {{"to":"ann"}}"#),
        r#"not as described: payload contains {"to":"bob"}"#,
    ] {
        assert!(message.contains(part), "{part} is not in:\n{message}");
    }
    assert!(!message.contains("not as described: payload contains {\"to\":\"bob\"}, key"), "{message}");
}

#[tokio::test]
async fn a_count_is_exact_over_many_pages() {
    let scene = Scene::new().await;
    let metas: Vec<_> = (0..250).map(|number| TaskMeta::json(&number).unwrap()).collect();
    scene.manager.create_tasks("q", metas).await.unwrap();
    let found = assert_enqueued(&scene.manager, "q", TaskMatch::any().count(250)).await;
    assert_eq!(found.len(), 250);
    let message =
        panic_of(async move { assert_enqueued(&scene.manager, "q", TaskMatch::any().count(249)).await })
            .await;
    assert!(message.contains("wanted 249, found 250") && message.contains("and 230 more"), "{message}");
}

#[tokio::test]
async fn tasks_that_do_not_wait_count_only_where_their_status_is_asked_for() {
    let scene = Scene::new().await;
    scene.create("a").await;
    let task = scene.manager.next_task("w", &["q"]).await.unwrap().unwrap();
    assert_not_enqueued(&scene.manager, "q", "a").await;
    assert_enqueued(&scene.manager, "q", TaskMatch::json("a").status(Status::Retained)).await;
    scene.manager.release_task(&task, Outcome::done_empty()).await.unwrap();
    assert_enqueued(&scene.manager, "q", TaskMatch::json("a").status(Status::Released)).await;
    let message = panic_of(async move { assert_enqueued(&scene.manager, "q", "a").await }).await;
    assert!(
        message.contains("none is waiting there") && message.contains("also there, 1 released"),
        "{message}"
    );
}

#[tokio::test]
async fn a_queue_that_does_not_exist_is_told_by_both_assertions() {
    let scene = Scene::new().await;
    let manager = scene.manager.clone();
    let there = panic_of(async move { assert_enqueued(&manager, "w", "a").await }).await;
    let not_there = panic_of(async move { assert_not_enqueued(&scene.manager, "w", "a").await }).await;
    for message in [there, not_there] {
        assert!(message.contains("enqueued.rs:") && message.contains("queue \"w\""), "{message}");
    }
}

#[tokio::test]
async fn a_transaction_sees_its_own_tasks_and_nobody_else_does() {
    let scene = Scene::new().await;
    let mut client = scene.database.connect().await;
    let transaction = client.transaction().await.unwrap();
    let meta = TaskMeta::json("a").unwrap();
    let (created, _wake) = scene.manager.create_task_in(&transaction, "q", meta).await.unwrap();
    let found = assert_enqueued_in(&scene.manager, &transaction, "q", "a").await;
    assert_eq!(found[0].id, created.id);
    assert_not_enqueued_in(&scene.manager, &transaction, "q", "b").await;
    assert_not_enqueued(&scene.manager, "q", "a").await;
    transaction.commit().await.unwrap();
    assert_enqueued(&scene.manager, "q", "a").await;
}

#[tokio::test]
async fn tasks_of_other_queues_and_namespaces_are_not_looked_at() {
    let scene = Scene::new().await;
    scene.manager.register_queue(QueueMeta::new("r")).await.unwrap();
    scene.create("a").await;
    assert_not_enqueued(&scene.manager, "r", "a").await;
    let other = scene.manager.with_namespace("other").unwrap();
    other.register_queue(QueueMeta::new("q")).await.unwrap();
    assert_not_enqueued(&other, "q", "a").await;
}
