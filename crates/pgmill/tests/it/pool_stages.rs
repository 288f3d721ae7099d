//! How a pool ends.

use std::future::pending;
use std::time::Duration;

use pgmill::{Context, Prefetch, QueueMeta, RunReport, Status, WorkerPool, WorkerPoolBuilder, hours};
use pgmill_testkit::{Direction, wait_until};
use tokio_util::sync::CancellationToken;

use crate::faults::Line;
use crate::fixture::{Fixture, task};
use crate::pool_scene::{Counter, Running, SHORT, report};
use crate::scene::{LIMIT, QUEUE, Scene, create};

/// What a handler does when the pool stops.
#[derive(Debug, Clone, Copy)]
enum Habit {
    /// It comes to its end by itself.
    Finishes,
    /// Its token has to be cancelled; then it succeeds,
    ObeysAndSucceeds,
    /// or returns an error,
    ObeysAndFails,
    /// or says what is to become of the task.
    ObeysAndDiscards,
    /// It never ends.
    Ignores,
}

struct Case {
    habit: Habit,
    grace: Duration,
    cancel_grace: Duration,
    /// The second signal comes with the first.
    now: bool,
    expected: RunReport,
    status: Status,
}

/// Runs one task until its handler is under way, stops the pool, and tells what became of it.
async fn stop(case: &Case) -> (RunReport, Status, u32) {
    let fixture = Fixture::with_queue().await;
    let created = fixture.create(task(())).await;
    let now = CancellationToken::new();
    let builder = WorkerPool::builder(&fixture.manager).workers(2).now(now.clone());
    let pool = builder.shutdown_grace(case.grace).cancel_grace(case.cancel_grace).build().unwrap();
    let (started, goes_on) = (Counter::new(), CancellationToken::new());
    let (count, go, habit) = (started.clone(), goes_on.clone(), case.habit);
    pool.register_queue(QueueMeta::new(QUEUE), move |context: Context, (): ()| {
        let (count, go) = (count.clone(), go.clone());
        async move {
            count.add();
            match habit {
                Habit::Finishes => go.cancelled().await,
                Habit::Ignores => pending().await,
                _ => context.cancellation().cancelled().await,
            }
            match habit {
                Habit::ObeysAndFails => Err("interrupted".into()),
                Habit::ObeysAndDiscards => Err(pgmill::TaskError::discard("half done")),
                _ => Ok(context.is_cancelled()),
            }
        }
    })
    .await
    .unwrap();
    let running = Running::start(pool);
    started.reach(1).await;
    running.stop.cancel();
    goes_on.cancel();
    if case.now {
        now.cancel();
    }
    let report = running.end().await;
    let task = fixture.manager.get_task(created.id).await.unwrap();
    (report, task.status.unwrap(), task.retries)
}

#[tokio::test]
async fn each_stage_of_the_end_waits_for_what_it_is_for_and_no_longer() {
    let long = hours(1);
    let given_back = || report(|report| report.given_back = 1);
    let done = || report(|report| report.done = 1);
    let cases = [
        Case {
            habit: Habit::Finishes,
            grace: long,
            cancel_grace: long,
            now: false,
            expected: done(),
            status: Status::Released,
        },
        Case {
            habit: Habit::ObeysAndSucceeds,
            grace: SHORT,
            cancel_grace: long,
            now: false,
            expected: done(),
            status: Status::Released,
        },
        Case {
            habit: Habit::ObeysAndFails,
            grace: SHORT,
            cancel_grace: long,
            now: false,
            expected: given_back(),
            status: Status::New,
        },
        Case {
            habit: Habit::ObeysAndDiscards,
            grace: SHORT,
            cancel_grace: long,
            now: false,
            expected: report(|report| report.failed = 1),
            status: Status::Failed,
        },
        Case {
            habit: Habit::Ignores,
            grace: SHORT,
            cancel_grace: SHORT,
            now: false,
            expected: given_back(),
            status: Status::New,
        },
        Case {
            habit: Habit::Ignores,
            grace: long,
            cancel_grace: long,
            now: true,
            expected: given_back(),
            status: Status::New,
        },
    ];
    for case in cases {
        let (ended, status, retries) = stop(&case).await;
        assert_eq!((ended, status), (case.expected, case.status), "{:?}", case.habit);
        if status == Status::New {
            assert_eq!(retries, 3, "{:?}: the attempt is spared", case.habit);
        }
    }
}

/// A pool with one worker that is busy, and what it holds beside it.
async fn busy(builder: WorkerPoolBuilder) -> (Running, CancellationToken) {
    let goes_on = CancellationToken::new();
    let started = Counter::new();
    let (count, go) = (started.clone(), goes_on.clone());
    let pool = builder.workers(1).maintenance(false).build().unwrap();
    pool.register_raw(&[QUEUE], pgmill::QueueOptions::new(), move |_: Context| {
        let (count, go) = (count.clone(), go.clone());
        async move {
            count.add();
            go.cancelled().await;
            pgmill::Outcome::done_empty()
        }
    })
    .await
    .unwrap();
    let running = Running::start(pool);
    started.reach(1).await;
    (running, goes_on)
}

#[tokio::test]
async fn what_waits_for_a_slot_is_given_back_at_once() {
    let fixture = Fixture::with_queue().await;
    for _ in 0..4 {
        fixture.create(task(())).await;
    }
    let builder = WorkerPool::builder(&fixture.manager).prefetch(Prefetch::UpTo(3));
    let (running, goes_on) = busy(builder).await;
    wait_until("all to be retained", LIMIT, async || fixture.count(Status::Retained).await == 4).await;
    running.stop.cancel();
    wait_until("three to be given back", LIMIT, async || fixture.count(Status::New).await == 3).await;
    goes_on.cancel();
    let report = running.end().await;
    assert_eq!((report.done, report.given_back), (1, 3));
}

#[tokio::test]
async fn what_waits_for_a_slot_too_long_is_given_back() {
    let fixture = Fixture::with_queue().await;
    let builder = WorkerPool::builder(&fixture.manager).prefetch(Prefetch::UpTo(1));
    fixture.create(task(())).await;
    fixture.create(task(())).await;
    let (running, goes_on) = busy(builder).await;
    let other = fixture.other_process().await;
    wait_until("another to have it", LIMIT, async || other.next_task("w", &[QUEUE]).await.unwrap().is_some())
        .await;
    goes_on.cancel();
    assert_eq!(running.stop().await.done, 1);
}

#[tokio::test]
async fn what_was_given_back_for_waiting_is_not_fetched_again_while_tasks_take_long() {
    let fixture = Fixture::with_queue().await;
    let builder = WorkerPool::builder(&fixture.manager).prefetch(Prefetch::UpTo(2));
    for _ in 0..3 {
        fixture.create(task(())).await;
    }
    let (running, goes_on) = busy(builder).await;
    let given_back = async || -> i64 {
        let count = "SELECT count(*) FROM pgmill.task_attempt WHERE outcome = 3";
        fixture.client.query_one(count, &[]).await.unwrap().get(0)
    };
    wait_until("the reserve to be given back", LIMIT, async || given_back().await == 2).await;
    // Long enough for it to be fetched and given back again.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(given_back().await, 2);
    goes_on.cancel();
    assert!(running.stop().await.done > 0);
}

#[tokio::test]
async fn tasks_that_arrive_during_the_end_are_given_back() {
    let scene = Scene::new().await;
    let created = create(&scene.manager, 1).await.remove(0);
    scene.instrument("retain_one_v1", "PERFORM pg_sleep(0.5);").await;
    let pool = WorkerPool::builder(&scene.manager).maintenance(false).build().unwrap();
    pool.register_raw(&[QUEUE], pgmill::QueueOptions::new(), |_: Context| async {
        panic!("it is not to be started any more")
    })
    .await
    .unwrap();
    let running = Running::start(pool);
    wait_until("the retain to be under way", LIMIT, async || {
        scene.number("select count(*) from pg_stat_activity where query like '%retain_one_v1%' and state = 'active' and pid <> pg_backend_pid()").await > 0
    })
    .await;
    assert_eq!(running.stop().await, report(|report| report.given_back = 1));
    let task = scene.manager.get_task(created.id).await.unwrap();
    assert_eq!((task.status, task.retries), (Some(Status::New), 3));
}

#[tokio::test]
async fn what_cannot_be_recorded_in_time_is_told() {
    let line = Line::new().await;
    create(&line.manager, 1).await;
    let builder = WorkerPool::builder(&line.manager).flush_timeout(SHORT);
    let (running, goes_on) = busy(builder).await;
    line.proxy.swallow(Direction::Both, true);
    goes_on.cancel();
    assert_eq!(running.stop().await, report(|report| report.unrecorded = 1));
    line.proxy.swallow(Direction::Both, false);
}

#[tokio::test]
async fn a_run_that_is_dropped_gives_its_tasks_back() {
    let fixture = Fixture::with_queue().await;
    fixture.create(task(())).await;
    let (running, _) = busy(WorkerPool::builder(&fixture.manager)).await;
    running.drop().await;
    wait_until("it to be given back", LIMIT, async || fixture.count(Status::New).await == 1).await;
}

/// The reference releases with the context that was cancelled, and so never.
#[tokio::test]
async fn b27_a_task_that_ends_while_the_pool_stops_is_released() {
    let fixture = Fixture::with_queue().await;
    let created = fixture.create(task(())).await;
    let (running, goes_on) = busy(WorkerPool::builder(&fixture.manager)).await;
    running.stop.cancel();
    tokio::task::yield_now().await;
    goes_on.cancel();
    assert_eq!(running.end().await.done, 1);
    assert_eq!(fixture.status(&created).await, Status::Released);
}
