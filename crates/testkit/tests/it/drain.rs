//! Draining queues: in which order, how far, and with what.

use std::sync::Mutex;

use pgmill::{
    Context, Outcome, QueueMeta, QueueOptions, Status, TaskError, TaskMeta, WorkerPool, hours, minutes,
};
use pgmill_testkit::{Drained, Inline, TaskMatch, assert_enqueued, drain, drain_pool};

use crate::scene::{Scene, panic_of};

async fn echo(_: Context, name: String) -> Result<String, TaskError> {
    Ok(name)
}

async fn fails_once(context: Context, name: String) -> Result<String, TaskError> {
    if name == "flaky" && context.attempt() == 1 { Err("not yet")? } else { Ok(name) }
}

fn payloads(drained: &Drained) -> Vec<String> {
    drained.iter().map(|performed| performed.task.payload.as_ref().unwrap().decode().unwrap()).collect()
}

#[tokio::test]
async fn pauses_are_over_in_the_order_in_which_they_would_be() {
    let scene = Scene::new().await;
    let delayed = |name, delay| TaskMeta::json(name).unwrap().delay(delay);
    scene.create_with(delayed("hour", hours(1))).await;
    scene.create_with(delayed("minute", minutes(1))).await;
    // Comes back after two minutes, as the queue says.
    scene.create("flaky").await;

    let drained = drain(&scene.manager, "q", fails_once).ignoring_delays().await;
    assert_eq!(payloads(&drained), ["flaky", "minute", "flaky", "hour"]);
    use Status::{Released, Retry};
    assert_eq!(drained.statuses(), [Retry, Released, Released, Released]);
    let flaky: Vec<_> = drained.of(drained[0].task.id).map(|performed| performed.task.attempt).collect();
    assert_eq!(flaky, [1, 2]);
    assert!(drain(&scene.manager, "q", fails_once).ignoring_delays().await.is_empty());
}

#[tokio::test]
async fn without_ignoring_delays_what_is_not_due_stays() {
    let scene = Scene::new().await;
    scene.create_with(TaskMeta::json("later").unwrap().delay(hours(1))).await;
    scene.create("flaky").await;
    scene.create("now").await;
    let drained = drain(&scene.manager, "q", fails_once).await;
    assert_eq!(payloads(&drained), ["flaky", "now"]);
    assert_enqueued(&scene.manager, "q", TaskMatch::json("later").status(Status::New)).await;
    assert_enqueued(&scene.manager, "q", TaskMatch::json("flaky").status(Status::Retry)).await;
}

#[tokio::test]
async fn tasks_run_by_priority_and_age() {
    let scene = Scene::new().await;
    for (name, priority) in [("c", 5), ("d", 5), ("a", 0), ("b", 1)] {
        scene.create_with(TaskMeta::json(name).unwrap().priority(priority)).await;
    }
    assert_eq!(payloads(&drain(&scene.manager, "q", echo).await), ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn a_task_fails_when_its_attempts_are_spent() {
    let scene = Scene::new().await;
    scene.manager.register_queue(QueueMeta::new("two").retries(2)).await.unwrap();
    scene.manager.create_task("two", TaskMeta::json("x").unwrap()).await.unwrap();
    let panics = |_: Context, _: String| async move {
        if true {
            panic!("out of paper");
        }
        Ok::<(), TaskError>(())
    };
    let drained = drain(&scene.manager, "two", panics).ignoring_delays().await;
    assert_eq!(drained.statuses(), [Status::Retry, Status::Failed]);
    assert!(drained[1].outcome.message().unwrap().contains("out of paper"));
}

#[tokio::test]
async fn what_handlers_create_is_drained_too() {
    let scene = Scene::new().await;
    scene.create(3).await;
    let countdown = |context: Context, left: u32| async move {
        if left > 0 {
            let next = TaskMeta::json(&(left - 1))?.delay(hours(1));
            context.manager().create_task("q", next).await?;
        }
        Ok::<_, TaskError>(left)
    };
    let drained = drain(&scene.manager, "q", countdown).ignoring_delays().await;
    let results: Vec<u32> = drained.iter().map(|performed| performed.outcome.done()).collect();
    assert_eq!(results, [3, 2, 1, 0]);
}

#[tokio::test]
async fn a_task_that_comes_back_for_ever_is_told() {
    let scene = Scene::new().await;
    scene.create("x").await;
    let snooze = |_: Context, _: String| async { Err::<(), _>(TaskError::snooze(minutes(1), "not today")) };
    let message =
        panic_of(async move { drain(&scene.manager, "q", snooze).ignoring_delays().at_most(5).await }).await;
    assert!(message.contains("5 attempts") && message.contains("for ever"), "{message}");
}

#[tokio::test]
async fn other_queues_paused_ones_and_what_others_hold_are_left_alone() {
    let scene = Scene::new().await;
    for queue in ["other", "paused"] {
        scene.manager.register_queue(QueueMeta::new(queue)).await.unwrap();
        scene.manager.create_task(queue, TaskMeta::json("x").unwrap()).await.unwrap();
    }
    scene.manager.pause_queue("paused").await.unwrap();
    scene.create("held").await;
    let held = scene.manager.next_task("somebody", &["q"]).await.unwrap().unwrap();
    scene.create("free").await;

    assert_eq!(payloads(&drain(&scene.manager, "q", echo).ignoring_delays().await), ["free"]);
    assert!(drain(&scene.manager, "paused", echo).ignoring_delays().await.is_empty());
    assert_enqueued(&scene.manager, "other", TaskMatch::any().count(1)).await;
    scene.manager.release_task(&held, Outcome::done_empty()).await.unwrap();
}

struct Log(Mutex<Vec<String>>);

#[tokio::test]
async fn a_handler_with_a_state_is_drained_in_it() {
    let scene = Scene::new().await;
    scene.create("a").await;
    let note = |context: Context<Log>, name: String| async move {
        context.state().0.lock().unwrap().push(name);
        Ok::<_, TaskError>(context.state().0.lock().unwrap().len())
    };
    let inline = Inline::new(&scene.manager).state(Log(Mutex::default()));
    assert_eq!(inline.drain("q", note).await[0].outcome.done::<usize>(), 1);
    scene.create("b").await;
    assert_eq!(inline.drain("q", note).await[0].outcome.done::<usize>(), 2);
}

#[tokio::test]
async fn a_pool_is_drained_by_its_own_handlers_and_more_than_once() {
    let scene = Scene::new().await;
    let pool = WorkerPool::builder(&scene.manager).state("state").build().unwrap();
    let first = |context: Context<&'static str>, name: String| async move {
        context.manager().create_task("raw", TaskMeta::json(&name)?).await?;
        Ok::<_, TaskError>(*context.state())
    };
    pool.register_queue(QueueMeta::new("q"), first).await.unwrap();
    scene.manager.register_queue(QueueMeta::new("raw")).await.unwrap();
    let raw = |_: Context<&'static str>| async { Outcome::done("raw").unwrap() };
    pool.register_raw(&["raw"], QueueOptions::new(), raw).await.unwrap();

    for _ in 0..2 {
        scene.create("x").await;
        let drained = drain_pool(&pool).await.ignoring_delays().await;
        let results: Vec<String> = drained.iter().map(|performed| performed.outcome.done()).collect();
        assert_eq!(results, ["state", "raw"]);
    }
}

#[tokio::test]
async fn a_pool_that_has_been_run_cannot_be_drained() {
    let scene = Scene::new().await;
    let pool = WorkerPool::builder(&scene.manager).until_empty(true).maintenance(false).build().unwrap();
    pool.register_queue(QueueMeta::new("q"), echo).await.unwrap();
    pool.run(tokio_util::sync::CancellationToken::new()).await.unwrap();
    let message = panic_of(async move { drain_pool(&pool).await.await }).await;
    assert_eq!(message, "a pool that has been run cannot be drained");
}
