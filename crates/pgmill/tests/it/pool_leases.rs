//! What a pool does about leases and deadlines.

use std::future::pending;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pgmill::{Context, Manager, QueueMeta, Status, TaskError, WorkerPool, WorkerPoolBuilder, seconds};
use pgmill_testkit::{Direction, wait_until};
use tokio_util::sync::CancellationToken;

use crate::faults::Line;
use crate::fixture::{Fixture, task};
use crate::log::Log;
use crate::pool_scene::{Counter, Ends, Running, SHORT, report};
use crate::scene::{LIMIT, QUEUE, create};

const LEASE: Duration = seconds(1);

fn short_lease(manager: &Manager) -> WorkerPoolBuilder {
    WorkerPool::builder(manager).workers(1).lease(LEASE).maintenance(false).cancel_grace(SHORT)
}

/// Registers a handler that counts how often it was started, and whose token was cancelled, and waits for that.
async fn obedient(pool: &WorkerPool, result: Result<(), &'static str>) -> (Counter, Counter) {
    let (started, cancelled) = (Counter::new(), Counter::new());
    let counters = (started.clone(), cancelled.clone());
    pool.register_raw(&[QUEUE], pgmill::QueueOptions::new(), move |context: Context| {
        let (started, cancelled) = counters.clone();
        async move {
            started.add();
            context.cancellation().cancelled().await;
            cancelled.add();
            match result {
                Ok(()) => pgmill::Outcome::done_empty(),
                Err(message) => pgmill::Outcome::retry(&message).unwrap(),
            }
        }
    })
    .await
    .unwrap();
    (started, cancelled)
}

#[tokio::test]
async fn a_task_that_takes_three_leases_is_not_run_twice() {
    let fixture = Fixture::with_queue().await;
    let other = fixture.other_process().await;
    fixture.create(task(())).await;
    let started = Counter::new();
    let mut pools = Vec::new();
    for manager in [&fixture.manager, &other] {
        let pool = short_lease(manager).build().unwrap();
        let count = started.clone();
        pool.register_queue(QueueMeta::new(QUEUE), move |_: Context, (): ()| {
            count.add();
            async {
                tokio::time::sleep(LEASE * 3).await;
                Ok(())
            }
        })
        .await
        .unwrap();
        pools.push(Running::start(pool));
    }
    wait_until("the task to be done", LIMIT, async || fixture.count(Status::Released).await == 1).await;
    let mut done = 0;
    for pool in pools {
        done += pool.stop().await.done;
    }
    assert_eq!((started.get(), done), (1, 1));
}

#[tokio::test]
async fn a_lost_lease_cancels_the_handler_and_its_result_is_dropped() {
    let fixture = Fixture::with_queue().await;
    let created = fixture.create(task(())).await;
    let (builder, ends) = Ends::of(short_lease(&fixture.manager));
    let pool = builder.build().unwrap();
    let (started, cancelled) = obedient(&pool, Ok(())).await;
    let running = Running::start(pool);
    started.reach(1).await;
    fixture.sql("UPDATE pgmill.task SET holder = holder + 1").await;
    cancelled.reach(1).await;
    assert_eq!(running.stop().await, report(|report| report.lost = 1));
    assert_eq!(ends.all(), ["Lost"]);
    assert_eq!(fixture.status(&created).await, Status::Retained, "it is another's");
}

#[tokio::test]
async fn a_task_that_is_cancelled_from_outside_has_its_handler_cancelled() {
    let fixture = Fixture::with_queue().await;
    let created = fixture.create(task(())).await;
    let pool = short_lease(&fixture.manager).build().unwrap();
    let (started, cancelled) = obedient(&pool, Ok(())).await;
    let running = Running::start(pool);
    started.reach(1).await;
    fixture.manager.cancel_task(created.id).await.unwrap();
    cancelled.reach(1).await;
    assert_eq!(running.stop().await, report(|report| report.lost = 1));
    assert_eq!(fixture.status(&created).await, Status::Cancelled);
}

#[tokio::test]
async fn a_task_that_expires_has_its_handler_cancelled() {
    let fixture = Fixture::with(QueueMeta::new(QUEUE).ttl(LEASE)).await;
    fixture.create(task(())).await;
    let pool = short_lease(&fixture.manager).cancel_grace(LIMIT).build().unwrap();
    let (_, cancelled) = obedient(&pool, Err("too late")).await;
    let running = Running::start(pool);
    cancelled.reach(1).await;
    wait_until("it to expire", LIMIT, async || fixture.count(Status::Expired).await == 1).await;
    assert_eq!(running.stop().await.expired, 1);
}

#[tokio::test]
async fn a_handler_that_ignores_its_token_loses_its_slot() {
    let fixture = Fixture::with(QueueMeta::new(QUEUE).ttl(LEASE)).await;
    let stuck = fixture.create(task("stuck")).await;
    let pool = short_lease(&fixture.manager).build().unwrap();
    let ran = Counter::new();
    let count = ran.clone();
    pool.register_queue(QueueMeta::new(QUEUE), move |_: Context, name: String| {
        let count = count.clone();
        async move {
            count.add();
            if name == "stuck" {
                pending::<()>().await;
            }
            Ok(())
        }
    })
    .await
    .unwrap();
    let running = Running::start(pool);
    ran.reach(1).await;
    fixture.manager.update_queue(QUEUE, QueueMeta::patch().no_ttl()).await.unwrap();
    fixture.create(task("next")).await;
    ran.reach(2).await;
    let report = running.stop().await;
    assert_eq!((report.done, report.expired), (1, 1));
    assert_eq!(fixture.status(&stuck).await, Status::Expired);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_handler_that_blocks_its_thread_loses_its_slot_and_its_late_result_is_dropped() {
    let fixture = Fixture::with(QueueMeta::new(QUEUE).ttl(LEASE)).await;
    let stuck = fixture.create(task("stuck")).await;
    let (builder, ends) = Ends::of(short_lease(&fixture.manager));
    let pool = builder.build().unwrap();
    let ran = Counter::new();
    let count = ran.clone();
    let (unblock, blocked) = mpsc::channel::<()>();
    let blocked = Arc::new(Mutex::new(blocked));
    pool.register_queue(QueueMeta::new(QUEUE), move |_: Context, name: String| {
        let (count, blocked) = (count.clone(), Arc::clone(&blocked));
        async move {
            count.add();
            if name == "stuck" {
                blocked.lock().unwrap().recv().unwrap();
            }
            Ok(())
        }
    })
    .await
    .unwrap();
    let running = Running::start(pool);
    ran.reach(1).await;
    fixture.manager.update_queue(QUEUE, QueueMeta::patch().no_ttl()).await.unwrap();
    fixture.create(task("next")).await;
    ran.reach(2).await;
    unblock.send(()).unwrap();
    running.stop().await;
    assert_eq!(ends.all(), ["expired", "released"]);
    assert_eq!(fixture.status(&stuck).await, Status::Expired);
}

/// On one thread no lease is extended meanwhile, so that the task is offered to others.
#[tokio::test]
async fn a_handler_that_blocks_the_only_thread_for_longer_than_its_lease_is_refused_by_the_fence() {
    let fixture = Fixture::with_queue().await;
    fixture.create(task(())).await;
    let (unblock, blocked) = mpsc::channel::<()>();
    let blocked = Arc::new(Mutex::new(blocked));
    let (url, stop) = (fixture.database.url().to_owned(), CancellationToken::new());
    let stopped = stop.clone();
    let (start, started) = tokio::sync::oneshot::channel();
    let start = Arc::new(Mutex::new(Some(start)));
    let thread = std::thread::spawn(move || {
        let log = Log::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let report = tracing::subscriber::with_default(log.clone(), || {
            runtime.block_on(async {
                let manager = Manager::connect(url).namespace("app").await.unwrap();
                let pool = short_lease(&manager).build().unwrap();
                pool.register_queue(QueueMeta::new(QUEUE), move |_: Context, (): ()| {
                    let blocked = Arc::clone(&blocked);
                    let start = start.lock().unwrap().take();
                    async move {
                        start.unwrap().send(()).unwrap();
                        blocked.lock().unwrap().recv().unwrap();
                        Ok(())
                    }
                })
                .await
                .unwrap();
                pool.run(stopped).await.unwrap()
            })
        });
        (report, log)
    });
    started.await.unwrap();
    let mut again = None;
    wait_until("the task to be offered again", LIMIT, async || {
        let found = fixture.manager.next_task("w", &[QUEUE]).await.unwrap();
        again = found.filter(|found| found.attempt == 2);
        again.is_some()
    })
    .await;
    stop.cancel();
    unblock.send(()).unwrap();
    let (ended, log) = thread.join().unwrap();
    assert_eq!(ended, report(|report| report.lost = 1));
    assert_eq!(log.count("is dropped"), 1, "{log:?}");
    let released = fixture.manager.release_task(&again.unwrap(), pgmill::Outcome::done_empty()).await;
    assert_eq!(released.unwrap().status, Status::Released);
}

#[tokio::test]
async fn a_lease_that_cannot_be_extended_cancels_the_handler_before_it_lapses() {
    let line = Line::new().await;
    let task = create(&line.manager, 1).await.remove(0);
    let pool = short_lease(&line.manager).cancel_grace(LIMIT).build().unwrap();
    let (started, cancelled) = obedient(&pool, Ok(())).await;
    let running = Running::start(pool);
    started.reach(1).await;
    line.proxy.swallow(Direction::Both, true);
    cancelled.reach(1).await;
    line.proxy.swallow(Direction::Both, false);
    line.proxy.cut();
    // Recorded by this attempt while its fence holds, or else by the next one, or given back by that.
    let ended = running.stop().await;
    assert_eq!((ended.unrecorded, ended.done + ended.given_back), (0, 1), "{ended:?}");
    assert_ne!(line.manager.get_task(task.id).await.unwrap().status, Some(Status::Retained));
}

#[tokio::test]
async fn an_outage_that_interrupts_a_handler_costs_its_task_no_attempt() {
    let line = Line::new().await;
    let task = create(&line.manager, 1).await.remove(0);
    let pool = short_lease(&line.manager).cancel_grace(LIMIT).build().unwrap();
    let (started, cancelled) = (Counter::new(), Counter::new());
    let counters = (started.clone(), cancelled.clone());
    pool.register_queue(pgmill::QueueMeta::new(QUEUE), move |context: Context, _: pgmill::Json| {
        let (started, cancelled) = counters.clone();
        async move {
            started.add();
            context.cancellation().cancelled().await;
            cancelled.add();
            Err::<(), _>(pgmill::TaskError::retry("interrupted"))
        }
    })
    .await
    .unwrap();
    let running = Running::start(pool);
    started.reach(1).await;
    line.proxy.swallow(Direction::Both, true);
    cancelled.reach(1).await;
    line.proxy.swallow(Direction::Both, false);
    line.proxy.cut();
    // It may have been taken again, and given back again by the end.
    let ended = running.stop().await;
    assert_eq!((ended.retried, ended.failed, ended.unrecorded), (0, 0, 0), "{ended:?}");
    let now = line.manager.get_task(task.id).await.unwrap();
    assert_eq!((now.status, now.retries), (Some(Status::New), 3), "{now:?}");
}

#[tokio::test]
async fn leases_are_extended_also_when_handlers_use_all_connections() {
    let database = pgmill_testkit::TestDatabase::create().await;
    let options = database.options().with_pool_size(2.try_into().unwrap());
    let manager = Manager::connect_with(options).namespace("app").await.unwrap();
    let other = Manager::connect(database.url()).namespace("app").await.unwrap();
    let pool = short_lease(&manager).state(other.clone()).build().unwrap();
    pool.register_queue(QueueMeta::new(QUEUE), |context: Context<Manager>, (): ()| async move {
        let all = (context.manager().pool().get().await?, context.manager().pool().get().await?);
        tokio::time::sleep(LEASE * 2).await;
        let offered = context.state().next_task("w", &[QUEUE]).await?.is_some();
        drop(all);
        Ok(offered)
    })
    .await
    .unwrap();
    let created = manager.create_task(QUEUE, task(())).await.unwrap();
    let running = Running::start(pool);
    wait_until("the task to be done", LIMIT, async || {
        other.get_task(created.id).await.unwrap().status == Some(Status::Released)
    })
    .await;
    let done = other.get_task(created.id).await.unwrap();
    assert_eq!(done.result.unwrap().as_str(), "false", "it was offered to somebody else meanwhile");
    running.stop().await;
}

#[tokio::test]
async fn a_heartbeat_tells_whether_the_task_is_still_held() {
    let fixture = Fixture::with(QueueMeta::new(QUEUE).lease(seconds(60))).await;
    fixture.create(task(())).await;
    let retained = fixture.retain().await;
    fixture.lapse_leases().await;
    assert!(fixture.manager.heartbeat(&retained).await.unwrap());
    assert!(fixture.manager.next_task("w", &[QUEUE]).await.unwrap().is_none());
    fixture.lapse_leases().await;
    fixture.retain().await;
    assert!(!fixture.manager.heartbeat(&retained).await.unwrap());
    let unheld = pgmill::Task { holder: None, ..retained };
    assert!(!fixture.manager.heartbeat(&unheld).await.unwrap());
}

/// Somebody has to be able to name it.
#[test]
fn a_handler_may_be_a_function() {
    async fn handler(_: Context, _: u32) -> Result<(), TaskError> {
        Ok(())
    }
    fn takes<F: Fn(Context, u32) -> Fut, Fut>(_: F) {}
    takes(handler);
}
