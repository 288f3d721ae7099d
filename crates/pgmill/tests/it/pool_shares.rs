//! How several queues share the slots of a pool.

use std::sync::Arc;

use pgmill::{Context, Prefetch, QueueMeta, QueueOptions, TaskMeta, WorkerPool, WorkerPoolBuilder};
use tokio::sync::Semaphore;

use crate::fixture::{Fixture, task};
use crate::pool_scene::{Counter, Running, SHORT};

fn pool(fixture: &Fixture, workers: usize) -> WorkerPoolBuilder {
    WorkerPool::builder(&fixture.manager).workers(workers).maintenance(false).cancel_grace(SHORT)
}

async fn flood(fixture: &Fixture, queue: &str, tasks: usize) {
    fixture.manager.register_queue(QueueMeta::new(queue)).await.unwrap();
    fixture.manager.create_tasks(queue, (0..tasks).map(|_| task(()))).await.unwrap();
}

/// Registers a handler that counts the tasks it started, and ends when it is let go on.
async fn register(pool: &WorkerPool, queue: &str, options: QueueOptions, gate: &Arc<Semaphore>) -> Counter {
    let (started, gate) = (Counter::new(), Arc::clone(gate));
    let count = started.clone();
    pool.register_queue_with(QueueMeta::new(queue), options, move |_: Context, (): ()| {
        let (count, gate) = (count.clone(), Arc::clone(&gate));
        async move {
            count.add();
            gate.acquire().await?.forget();
            Ok(())
        }
    })
    .await
    .unwrap();
    started
}

#[tokio::test]
async fn a_flooded_queue_does_not_starve_a_trickle() {
    let fixture = Fixture::new().await;
    flood(&fixture, "flood", 2_000).await;
    let pool = pool(&fixture, 2).shutdown_grace(SHORT).build().unwrap();
    let flooded = Counter::new();
    let count = flooded.clone();
    pool.register_queue(QueueMeta::new("flood"), move |_: Context, (): ()| {
        count.add();
        async {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            Ok(())
        }
    })
    .await
    .unwrap();
    let open = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
    let trickled = register(&pool, "trickle", QueueOptions::new(), &open).await;
    let running = Running::start(pool);
    flooded.reach(10).await;
    for number in 1..=10 {
        fixture.manager.create_task("trickle", TaskMeta::json(&()).unwrap()).await.unwrap();
        trickled.reach(number).await;
    }
    assert!(flooded.get() < 2_000, "the trickle had to wait for the end of the flood");
    running.stop().await;
}

#[tokio::test]
async fn queues_share_the_slots_by_weight() {
    let fixture = Fixture::new().await;
    for queue in ["light", "heavy"] {
        flood(&fixture, queue, 100).await;
    }
    let pool = pool(&fixture, 8).shutdown_grace(SHORT).prefetch(Prefetch::None).build().unwrap();
    let gate = Arc::new(Semaphore::new(0));
    let light = register(&pool, "light", QueueOptions::new(), &gate).await;
    let heavy = register(&pool, "heavy", QueueOptions::new().weight(3), &gate).await;
    let running = Running::start(pool);
    light.reach(2).await;
    heavy.reach(6).await;
    assert_eq!((light.get(), heavy.get()), (2, 6));
    running.stop().await;
}

#[tokio::test]
async fn a_queue_runs_no_more_tasks_at_once_than_its_concurrency_and_others_have_the_rest() {
    let fixture = Fixture::new().await;
    for queue in ["narrow", "wide"] {
        flood(&fixture, queue, 100).await;
    }
    let pool = pool(&fixture, 8).shutdown_grace(SHORT).build().unwrap();
    let gate = Arc::new(Semaphore::new(0));
    let narrow = register(&pool, "narrow", QueueOptions::new().concurrency(1).weight(100), &gate).await;
    let wide = register(&pool, "wide", QueueOptions::new(), &gate).await;
    let running = Running::start(pool);
    wide.reach(7).await;
    narrow.reach(1).await;
    assert_eq!((narrow.get(), wide.get()), (1, 7));
    running.stop().await;
}

#[tokio::test]
async fn a_slot_is_filled_again_as_soon_as_it_is_free() {
    let fixture = Fixture::new().await;
    flood(&fixture, "q", 50).await;
    let pool = pool(&fixture, 1).prefetch(Prefetch::None).shutdown_grace(SHORT).build().unwrap();
    let gate = Arc::new(Semaphore::new(0));
    let started = register(&pool, "q", QueueOptions::new(), &gate).await;
    let running = Running::start(pool);
    for number in 1..=50 {
        started.reach(number).await;
        gate.add_permits(1);
    }
    assert_eq!(running.stop().await.done, 50);
}
