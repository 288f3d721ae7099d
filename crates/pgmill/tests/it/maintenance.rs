//! `Manager::run`: what it does by itself, and how it ends. What a round does is tested with what it does it to.

use std::time::{Duration, Instant};

use pgmill::{Manager, Status};
use pgmill_testkit::wait_until;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, SOON, task};

/// Maintenance as a program runs it, and the token that ends it.
fn run(manager: &Manager) -> (JoinHandle<()>, CancellationToken) {
    let (manager, shutdown) = (manager.clone(), CancellationToken::new());
    let token = shutdown.clone();
    (tokio::spawn(async move { manager.run(token).await }), shutdown)
}

async fn cancel(running: JoinHandle<()>, shutdown: &CancellationToken) {
    let cancelled = Instant::now();
    shutdown.cancel();
    running.await.unwrap();
    assert!(cancelled.elapsed() < Duration::from_secs(1), "{:?}", cancelled.elapsed());
}

#[tokio::test]
async fn test_manager_run_returns_within_a_second_of_cancel() {
    let fixture = Fixture::with_queue().await;
    // While it rests. That it is past its first round shows in the counters, which it folds last.
    fixture.create(task(1)).await;
    let (running, shutdown) = run(&fixture.manager);
    wait_until("the first round", SOON, async || {
        let sql = "SELECT count(*) FROM pgmill.task_count_delta";
        fixture.client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 0
    })
    .await;
    assert!(!running.is_finished());
    cancel(running, &shutdown).await;

    // In the middle of a round: its statements wait for a lock that somebody holds.
    fixture.sql("BEGIN; LOCK TABLE pgmill.task").await;
    let (running, shutdown) = run(&fixture.manager);
    let beside = fixture.database.connect().await;
    wait_until("a statement that waits", SOON, async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        beside.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) > 0
    })
    .await;
    cancel(running, &shutdown).await;

    // Before it has begun.
    let (running, shutdown) = run(&fixture.manager);
    cancel(running, &shutdown).await;
    fixture.sql("ROLLBACK").await;
}

#[tokio::test]
async fn run_ends_expired_tasks() {
    let fixture = Fixture::with_queue().await;
    let (running, shutdown) = run(&fixture.manager);
    // Whether before its first round or after.
    let expired = fixture.create(task(1)).await;
    fixture.expire().await;
    wait_until("the task to be in history", SOON, async || {
        let sql = "SELECT count(*) FROM pgmill.task_finished WHERE status = 5";
        fixture.client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 1
    })
    .await;
    assert_eq!(fixture.status(&expired).await, Status::Expired);
    cancel(running, &shutdown).await;
}
