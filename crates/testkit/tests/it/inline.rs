//! Handlers run by the test itself, with a queue and without.

use pgmill::{Context, QueueMeta, Status, TaskError, TaskMeta, hours};
use pgmill_testkit::{Inline, TaskMatch, assert_enqueued, run_handler};
use tokio_util::sync::CancellationToken;

use crate::scene::{Scene, panic_of};

async fn double(_: Context, number: u32) -> Result<u32, TaskError> {
    match number {
        0 => Err(TaskError::discard("nothing to double")),
        1 => Err(TaskError::cancel("too easy")),
        2 => Err(TaskError::snooze(hours(1), "later")),
        3 => panic!("three"),
        number => Ok(number * 2),
    }
}

#[tokio::test]
async fn a_handler_alone_comes_to_what_a_pool_would_release() {
    assert_eq!(run_handler(double, 8).await.done::<u32>(), 16);
    let failed = run_handler(double, 0).await;
    assert!(failed.is_failed());
    assert_eq!(failed.message().as_deref(), Some("nothing to double"));
    assert!(run_handler(double, 1).await.is_cancelled());
    assert_eq!(run_handler(double, 2).await.pause(), Some(hours(1)));
    let panicked = run_handler(double, 3).await;
    assert!(panicked.is_retry() && panicked.message().unwrap().contains("three"), "{panicked}");
    let misunderstood = run_handler(double, "eight").await;
    assert!(
        misunderstood.is_retry() && misunderstood.message().unwrap().contains("payload"),
        "{misunderstood}"
    );
}

#[tokio::test]
async fn a_result_that_a_pool_could_not_store_is_told_as_it_would_tell_it() {
    let large = |_: Context, length: usize| async move { Ok::<_, TaskError>("x".repeat(length)) };
    let outcome = run_handler(large, 2 << 20).await;
    assert!(outcome.is_failed() && outcome.message().unwrap().contains("cannot be stored"));
}

#[tokio::test]
async fn what_is_not_done_has_no_result() {
    let message = panic_of(async { run_handler(double, 0).await.done::<u32>() }).await;
    assert_eq!(message, r#"the task is not done, but failed for good: "nothing to double""#);
}

#[tokio::test]
async fn a_handler_sees_the_task_and_the_token_it_is_given() {
    let token = CancellationToken::new();
    token.cancel();
    let inline = Inline::detached().await.cancellation(token).task(|task| task.priority = 9);
    let look = |context: Context, _: ()| async move {
        Ok::<_, TaskError>((context.is_cancelled(), context.priority(), context.attempt()))
    };
    assert_eq!(inline.run(look, ()).await.done::<(bool, u8, u32)>(), (true, 9, 1));
}

#[tokio::test]
async fn without_a_database_what_asks_for_one_fails() {
    let ask = |context: Context, _: ()| async move {
        context.manager().list_namespaces().await?;
        Ok::<_, TaskError>(())
    };
    assert!(run_handler(ask, ()).await.is_retry());
}

#[tokio::test]
async fn a_performed_task_is_the_only_one_that_runs() {
    let scene = Scene::new().await;
    scene.create_with(TaskMeta::json(&1).unwrap().priority(0)).await;
    scene.create(2).await;
    let meta = TaskMeta::json(&4).unwrap().priority(9).delay(hours(1));
    let performed = Inline::new(&scene.manager).perform("q", meta, double).await;
    assert_eq!(performed.status, Status::Released);
    assert_eq!((performed.task.attempt, performed.outcome.done::<u32>()), (1, 8));
    let stored = scene.manager.get_task(performed.task.id).await.unwrap();
    assert_eq!(stored.result.unwrap().decode(), Ok(8));
    let untouched = TaskMatch::any().and("never tried", |task| task.attempt == 0).count(2);
    assert_enqueued(&scene.manager, "q", untouched).await;
}

#[tokio::test]
async fn a_performed_task_that_fails_waits_for_its_retry() {
    let scene = Scene::new().await;
    let performed = Inline::new(&scene.manager).perform("q", TaskMeta::json(&3).unwrap(), double).await;
    assert_eq!(performed.status, Status::Retry);
    let retry = TaskMatch::json(3).status(Status::Retry).and("one attempt", |task| task.attempt == 1);
    assert_enqueued(&scene.manager, "q", retry).await;
}

#[tokio::test]
async fn what_cannot_be_performed_is_told() {
    let scene = Scene::new().await;
    scene.manager.register_queue(QueueMeta::new("paused")).await.unwrap();
    scene.manager.pause_queue("paused").await.unwrap();
    let keyed = || TaskMeta::json(&4).unwrap().key("k");
    Inline::new(&scene.manager).perform("q", keyed(), double).await;
    for (queue, meta, reason) in [
        ("paused", TaskMeta::json(&4).unwrap(), "the queue is paused"),
        ("missing", TaskMeta::json(&4).unwrap(), "queue"),
        ("q", keyed(), "which is released"),
    ] {
        let manager = scene.manager.clone();
        let doomed = async move { Inline::new(&manager).perform(queue, meta, double).await };
        let message = panic_of(doomed).await;
        assert!(message.contains(reason), "{message}");
    }
}
