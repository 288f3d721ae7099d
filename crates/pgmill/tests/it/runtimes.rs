//! Runtimes that end: a caller's, and the one the manager was made in.

use std::pin::pin;
use std::time::Duration;

use pgmill::{EnqueueError, Outcome, ReleaseError, Status};
use pgmill_testkit::wait_until;
use tokio::runtime::{Builder, Runtime};

use crate::batchers::{create_at_once, one_flight};
use crate::scene::{LIMIT, QUEUE, Scene, create, payload, take, take_many};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callers_runtime_that_ends_takes_nobody_elses_calls_with_it() {
    let scene = Scene::with(one_flight()).await;
    scene.instrument("enqueue_v1", "PERFORM pg_sleep(0.02);").await;
    create(&scene.manager, 1).await;
    for round in 0..10 {
        let manager = scene.manager.clone();
        // Its call departs first; those of the others wait behind it when it goes.
        let (departed, seen) = tokio::sync::oneshot::channel();
        let short = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let creating = manager.create_task(QUEUE, payload("short"));
                let mut creating = pin!(creating);
                let limit = tokio::time::timeout(Duration::from_millis(1), &mut creating).await;
                departed.send(()).unwrap();
                drop(tokio::time::timeout(Duration::from_millis(10), creating).await);
                drop(limit);
            });
        });
        seen.await.unwrap();
        for result in create_at_once(&scene.manager, (0..20).map(payload)).await {
            assert!(result.is_ok(), "round {round}: {}", result.unwrap_err());
        }
        short.join().unwrap();
    }
}

#[test]
fn a_manager_outlives_the_runtime_it_was_made_in() {
    let runtime = || Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let scene = first.block_on(Scene::new());
    drop(first);
    runtime().block_on(async {
        create(&scene.manager, 1).await;
        let task = take(&scene.manager).await;
        scene.manager.create_task(QUEUE, payload("later")).await.unwrap();
        scene.manager.release_task(&task, Outcome::done_empty()).await.unwrap();
    });
}

/// Waits until so many statements that were slowed down are under way.
async fn asleep(scene: &Scene, count: i64) {
    let asleep = "select count(*) from pg_stat_activity
        where datname = current_database() and wait_event = 'PgSleep'";
    wait_until("the statements", LIMIT, async || scene.number(asleep).await == count).await;
}

fn working() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn what_was_sent_when_the_runtime_ended_is_unknown_and_what_was_not_is_refused() {
    let (home, abroad) = (working(), working());
    let scene = home.block_on(Scene::with(one_flight()));
    let held = home.block_on(async {
        create(&scene.manager, 2).await;
        let held = take_many(&scene.manager, 2).await;
        scene.instrument("enqueue_v1", "PERFORM pg_sleep(0.5);").await;
        scene.instrument("release_done_v1", "PERFORM pg_sleep(0.5);").await;
        held
    });
    let creating = |n: usize| {
        let manager = scene.manager.clone();
        abroad.spawn(async move { manager.create_task(QUEUE, payload(n)).await })
    };
    let releasing = |n: usize| {
        let (manager, task) = (scene.manager.clone(), held[n].clone());
        abroad.spawn(async move { manager.release_task(&task, Outcome::done_empty()).await })
    };
    let sent = (creating(0), releasing(0));
    home.block_on(asleep(&scene, 2));
    let waiting = (creating(1), releasing(1));
    // A call is handed over when its task is first polled, and these were spawned before.
    abroad.block_on(abroad.spawn(tokio::task::yield_now())).unwrap();
    home.shutdown_background();
    abroad.block_on(async {
        let refused = waiting.0.await.unwrap();
        assert!(matches!(refused, Err(EnqueueError::Closed)), "{refused:?}");
        let refused = waiting.1.await.unwrap();
        assert!(matches!(refused, Err(ReleaseError::Closed)), "{refused:?}");
        let Err(EnqueueError::Unknown { id: created }) = sent.0.await.unwrap() else { panic!("not unknown") };
        let Err(ReleaseError::Unknown { id: released }) = sent.1.await.unwrap() else {
            panic!("not unknown")
        };
        assert_eq!(released, held[0].id);
        let manager = scene.another().await;
        wait_until("what was sent", LIMIT, async || {
            let released = manager.get_task(released).await.unwrap().status == Some(Status::Released);
            released && manager.get_task(created).await.is_ok()
        })
        .await;
        assert_eq!(manager.get_task(held[1].id).await.unwrap().status, Some(Status::Retained));
    });
}

#[test]
fn calls_that_wait_when_their_runtime_ends_by_a_panic_do_no_harm() {
    let program = std::thread::spawn(|| {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let scene = Scene::with(one_flight()).await;
            scene.instrument("enqueue_v1", "PERFORM pg_sleep(0.5);").await;
            let creating = |n: usize| {
                let manager = scene.manager.clone();
                tokio::spawn(async move { manager.create_task(QUEUE, payload(n)).await })
            };
            let _sent = creating(0);
            asleep(&scene, 1).await;
            let _waiting = creating(1);
            tokio::task::yield_now().await;
            std::panic::resume_unwind(Box::new("on purpose"));
        });
    });
    let panic = program.join().unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"on purpose"));
}
