//! Retained tasks as a stream.

use std::sync::Arc;

use pgmill::{Manager, Outcome, QueueMeta, Status, seconds};
use pgmill_testkit::{Direction, wait_until};
use tokio_util::sync::CancellationToken;

use crate::faults::Line;
use crate::fixture::{Fixture, done, task};
use crate::pool_scene::Counter;
use crate::scene::{LIMIT, QUEUE, create};

/// `Test_Task_RunTaskLoop`: a task that is created is delivered.
#[tokio::test]
async fn test_task_run_task_loop_delivers_a_task_within_a_second() {
    let fixture = Fixture::with_queue().await;
    let mut tasks = fixture.manager.run_task_loop("worker", &["Q"], CancellationToken::new()).unwrap();
    let (created, found) = tokio::join!(
        async {
            tokio::task::yield_now().await;
            fixture.create(task("x")).await
        },
        tokio::time::timeout(seconds(5), tasks.next()),
    );
    let found = found.unwrap().unwrap();
    assert_eq!((found.id, found.worker.as_deref()), (created.id, Some("worker")));
    fixture.manager.release_task(&found, done()).await.unwrap();
}

/// `Test_Task_RunTaskLoop`: a loop that is cancelled ends without an error.
#[tokio::test]
async fn test_task_run_task_loop_ends_when_it_is_cancelled() {
    let fixture = Fixture::with_queue().await;
    let shutdown = CancellationToken::new();
    let mut tasks = fixture.manager.run_task_loop("worker", &[], shutdown.clone()).unwrap();
    let (found, ()) = tokio::join!(tasks.next(), async {
        tokio::task::yield_now().await;
        shutdown.cancel();
    });
    assert!(found.is_none());
    fixture.create(task("x")).await;
    assert!(tasks.next().await.is_none(), "it has ended");
}

/// `Test_Task_RunTaskLoop`: three tasks, and two workers.
#[tokio::test]
async fn test_task_run_task_loop_with_two_workers_processes_three_tasks() {
    let fixture = Fixture::with_queue().await;
    let (processed, shutdown) = (Counter::new(), CancellationToken::new());
    let work = async |manager: Manager| {
        let mut tasks = manager.run_task_loop("worker", &[QUEUE], shutdown.clone()).unwrap();
        while let Some(task) = tasks.next().await {
            manager.release_task(&task, done()).await.unwrap();
            processed.add();
        }
    };
    tokio::join!(work(fixture.manager.clone()), work(fixture.manager.clone()), async {
        create(&fixture.manager, 3).await;
        processed.reach(3).await;
        shutdown.cancel();
    });
    assert_eq!(fixture.count(Status::Released).await, 3);
}

#[tokio::test]
async fn a_task_loop_of_another_namespace_delivers_its_tasks() {
    let fixture = Fixture::with_queue().await;
    let other = fixture.manager.with_namespace("other").unwrap();
    other.register_queue(QueueMeta::new("q")).await.unwrap();
    fixture.create(task("mine")).await;
    let theirs = other.create_task("q", task("theirs")).await.unwrap();
    let shutdown = CancellationToken::new();
    let mut tasks = fixture.manager.run_task_loop_ns("other", "worker", &["q"], shutdown).unwrap();
    assert_eq!(tasks.next().await.unwrap().id, theirs.id);
}

#[tokio::test]
async fn names_that_nobody_can_have_make_no_task_loop() {
    let fixture = Fixture::new().await;
    let shutdown = CancellationToken::new;
    assert!(fixture.manager.run_task_loop(" ", &[], shutdown()).is_err());
    assert!(fixture.manager.run_task_loop("w", &["a b"], shutdown()).is_err());
    assert!(fixture.manager.run_task_loop_ns("pgmill", "w", &[], shutdown()).is_err());
}

#[tokio::test]
async fn b25_a_task_loop_survives_an_outage() {
    let line = Line::new().await;
    let shutdown = CancellationToken::new();
    let mut tasks = line.manager.run_task_loop("worker", &[QUEUE], shutdown).unwrap();
    line.proxy.refuse(true);
    line.proxy.cut();
    let next = tokio::spawn(async move { tasks.next().await });
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert!(!next.is_finished());
    line.proxy.refuse(false);
    let created = create(&line.manager, 1).await.remove(0);
    assert_eq!(next.await.unwrap().unwrap().id, created.id);
}

#[tokio::test]
async fn what_a_task_loop_was_retaining_when_it_is_dropped_is_given_back() {
    let line = Line::new().await;
    create(&line.manager, 1).await;
    let mut tasks = line.manager.run_task_loop("worker", &[QUEUE], CancellationToken::new()).unwrap();
    line.proxy.hold(Direction::ToClient);
    let line = Arc::new(line);
    let (seen, waiting) = (Arc::clone(&line), line.proxy.waiting(Direction::ToClient));
    tokio::select! {
        _ = tasks.next() => panic!("the answer is held back"),
        () = wait_until("the answer", LIMIT, async || seen.proxy.waiting(Direction::ToClient) > waiting) => {}
    }
    drop(tasks);
    line.proxy.release(Direction::ToClient);
    let mut again = None;
    wait_until("it to be offered again", LIMIT, async || {
        again = line.manager.next_task("w", &[QUEUE]).await.unwrap();
        again.is_some()
    })
    .await;
    let again = again.unwrap();
    assert_eq!((again.attempt, again.retries), (2, 3), "the attempt was spared");
    line.manager.release_task(&again, Outcome::done_empty()).await.unwrap();
}
