//! Waiting for what becomes of tasks.

use std::time::Duration;

use pgmill::{Outcome, Status};
use pgmill_testkit::{wait_for_all, wait_for_status};

use crate::scene::{Scene, panic_of};

/// Longer than any test may take.
const NEVER: Duration = Duration::from_secs(3_600);
/// One look.
const NOT_AT_ALL: Duration = Duration::ZERO;

#[tokio::test]
async fn tasks_are_waited_for_in_the_order_of_their_ids() {
    let scene = Scene::new().await;
    let (one, two) = (scene.create(1).await, scene.create(2).await);
    let manager = scene.manager.clone();
    let worker = tokio::spawn(async move {
        while let Some(task) = manager.next_task("w", &["q"]).await.unwrap() {
            manager.release_task(&task, Outcome::done(&task.id).unwrap()).await.unwrap();
        }
    });
    let done = wait_for_all(&scene.manager, [two.id, one.id], Status::Released, NEVER).await;
    assert_eq!(done.iter().map(|task| task.id).collect::<Vec<_>>(), [two.id, one.id]);
    assert!(wait_for_all(&scene.manager, [], Status::Failed, NEVER).await.is_empty());
    worker.await.unwrap();
}

#[tokio::test]
async fn a_task_that_has_ended_otherwise_is_told_at_once() {
    let scene = Scene::new().await;
    let created = scene.create(1).await;
    let task = scene.manager.next_task("w", &["q"]).await.unwrap().unwrap();
    scene.manager.release_task(&task, Outcome::failed("boom").unwrap()).await.unwrap();
    let waiting = async move { wait_for_status(&scene.manager, created.id, Status::Released, NEVER).await };
    let message = panic_of(waiting).await;
    for part in ["status.rs:", "will never be released: it is failed in queue q", "boom"] {
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test]
async fn what_is_there_instead_is_told_at_the_limit() {
    let scene = Scene::new().await;
    let (held, waits) = (scene.create(1).await, scene.create(2).await);
    scene.manager.next_task("somebody", &["q"]).await.unwrap().unwrap();
    let manager = scene.manager.clone();
    let message =
        panic_of(async move { wait_for_status(&manager, held.id, Status::Released, NOT_AT_ALL).await }).await;
    assert!(message.contains("it is retained in queue q, by somebody"), "{message}");

    let manager = scene.manager.clone();
    let ids = [held.id, waits.id];
    let message =
        panic_of(async move { wait_for_all(&manager, ids, Status::Retained, NOT_AT_ALL).await }).await;
    let expected = format!("for task {} to be retained, and it is new in queue q (1 of 2 tasks", waits.id);
    assert!(message.contains(&expected), "{message}");

    let missing = async move { wait_for_status(&scene.manager, 1 << 40, Status::New, NOT_AT_ALL).await };
    assert!(panic_of(missing).await.contains("it is not there"));
}
