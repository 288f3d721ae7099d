//! Retains whose answer is lost, a network that falls silent, and servers that crash.

use std::time::Duration;

use pgmill::{
    BatchOptions, Claim, EnqueueError, Manager, Outcome, QueueMeta, ReleaseError, Retain, RetainError,
    Status, Task, TaskMeta, seconds,
};
use pgmill_testkit::{Direction, StopMode, TestDatabase, TestServer, has_pooler, skipped, wait_until};

use crate::faults::{Line, POINTS, TwoLines};
use crate::scene::{LIMIT, QUEUE, builder, create, number, payload, take, take_many};

#[tokio::test]
async fn a_retain_that_is_cut_anywhere_leaves_no_task_stuck_and_spares_the_attempt() {
    let line = Line::new().await;
    for point in POINTS {
        create(&line.manager, 3).await;
        let fired = line.proxy.arm(point, "pgmill.retain_");
        // The statement may still run when its repetition finds the rows locked.
        let mut taken: Vec<Task> = Vec::new();
        wait_until("all tasks", LIMIT, async || {
            let tasks = line.manager.next_tasks("w", &[QUEUE], Retain::new().count(3)).await.unwrap();
            taken.extend(tasks);
            taken.len() >= 3
        })
        .await;
        fired.await;
        assert_eq!(taken.len(), 3, "{point:?}");
        for task in &taken {
            assert_eq!(task.retries, 3, "{point:?}");
            line.manager.release_task(task, Outcome::done_empty()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_a_late_retain_takes_is_given_out_again_at_once() {
    if skipped(has_pooler(), "whether what arrives late is sent on is for the pooler to say") {
        return;
    }
    let lines = TwoLines::new().await;
    create(&lines.manager, 2).await;
    // Prepared now, so that the next one can arrive without an answer to anything before it.
    let task = take(&lines.manager).await;
    lines.manager.release_task(&task, Outcome::done_empty()).await.unwrap();
    create(&lines.manager, 1).await;
    lines.hold();
    let first = take(&lines.manager).await;
    lines.deliver().await;
    let stuck = "select count(*) from pgmill.task where lease_until is not null";
    assert_eq!(number(&lines.client, stuck).await, 2, "the late retain took the other task");
    let second = take(&lines.manager).await;
    assert_ne!(first.id, second.id);
    assert_eq!((second.attempt, second.retries), (2, 3));
}

#[tokio::test]
async fn in_silence_flights_end_at_their_deadline_and_then_everything_recovers() {
    let second = Duration::from_secs(1);
    let line = Line::with(BatchOptions::default().settle(second), Duration::from_millis(300)).await;
    create(&line.manager, 5).await;
    let held = take_many(&line.manager, 2).await;
    line.proxy.swallow(Direction::Both, true);
    let (created, released, retained) = tokio::time::timeout(LIMIT, async {
        tokio::join!(
            line.manager.create_task(QUEUE, payload("silence")),
            line.manager.release_task(&held[0], Outcome::done_empty()),
            line.manager.next_task("w", &[QUEUE]),
        )
    })
    .await
    .expect("every caller to be answered");
    // Unknown, or known not to have been sent.
    assert!(created.as_ref().is_err_and(EnqueueError::is_transient), "{created:?}");
    assert!(released.as_ref().is_err_and(ReleaseError::is_transient), "{released:?}");
    assert!(retained.as_ref().is_err_and(RetainError::is_transient), "{retained:?}");

    // What is sent during the silence is not lost by it, if it ends in time.
    let manager = line.manager.clone();
    let creating = tokio::spawn(async move { manager.create_task(QUEUE, payload("patience")).await });
    line.proxy.swallow(Direction::Both, false);
    match creating.await.unwrap() {
        Ok(task) => assert_eq!(line.manager.get_task(task.id).await.unwrap().id, task.id),
        Err(error) => assert!(error.is_transient(), "{error}"),
    }
    wait_until("a release", LIMIT, async || {
        line.manager.release_task(&held[1], Outcome::done_empty()).await.is_ok()
    })
    .await;
    assert!(line.manager.next_task("w", &[QUEUE]).await.unwrap().is_some());
}

#[tokio::test]
async fn after_a_crash_that_loses_a_retain_its_holder_cannot_release_and_the_task_runs_again() {
    let server = TestServer::own();
    let database = TestDatabase::create_on(&server).await;
    let client = database.connect().await;
    for setting in ["wal_writer_delay = '10s'", "wal_writer_flush_after = '1GB'", "autovacuum = off"] {
        client.batch_execute(&format!("alter system set {setting}")).await.unwrap();
    }
    client.batch_execute("select pg_reload_conf()").await.unwrap();
    let manager = builder(database.url()).await.unwrap();
    manager.register_queue(QueueMeta::new(QUEUE)).await.unwrap();
    // The retain reaches the disk nevertheless where the WAL writer happens to be about.
    for _ in 0..10 {
        create(&manager, 1).await;
        // Warm, so that the retain writes little.
        manager.next_task("w", &["none"]).await.unwrap();
        let task = take(&manager).await;
        server.halt(StopMode::Immediate).await;
        server.resume().await;
        let now = lookup(&manager, &task).await;
        if now.status == Some(Status::Retained) {
            manager.release_task(&task, Outcome::done_empty()).await.unwrap();
            continue;
        }
        let error = manager.release_task(&task, Outcome::done_empty()).await.unwrap_err();
        assert!(matches!(error, ReleaseError::NotRetained { .. }), "{error}");

        let again = take(&manager).await;
        assert_eq!((again.id, again.attempt), (task.id, task.attempt), "only the holder differs");
        let error = manager.release_task(&task, Outcome::done_empty()).await.unwrap_err();
        assert!(matches!(error, ReleaseError::Superseded { .. }), "{error}");
        manager.release_task(&again, Outcome::done_empty()).await.unwrap();
        return;
    }
    panic!("the server never lost a retain");
}

/// A task, as soon as the server can be reached again.
async fn lookup(manager: &Manager, task: &Task) -> Task {
    let mut found = None;
    wait_until("the server", LIMIT, async || {
        found = manager.get_task(task.id).await.ok();
        found.is_some()
    })
    .await;
    found.unwrap()
}

#[tokio::test]
async fn a_restart_of_the_server_goes_by_unnoticed() {
    let server = TestServer::own();
    let database = TestDatabase::create_on(&server).await;
    let manager = builder(database.url()).await.unwrap();
    manager.register_queue(QueueMeta::new(QUEUE)).await.unwrap();
    create(&manager, 3).await;
    let task = take(&manager).await;
    server.halt(StopMode::Fast).await;
    server.resume().await;
    manager.release_task(&task, Outcome::done_empty()).await.unwrap();
    manager.create_task(QUEUE, TaskMeta::json(&"after").unwrap()).await.unwrap();
    take(&manager).await;
}

/// Who holds a lease could not extend it while the server was away, and may still be at work.
#[tokio::test]
async fn a_lease_that_lapsed_while_the_server_was_away_counts_for_30_seconds_more() {
    let server = TestServer::own();
    let database = TestDatabase::create_on(&server).await;
    let manager = builder(database.url()).await.unwrap();
    manager.register_queue(QueueMeta::new(QUEUE).retries(1)).await.unwrap();
    create(&manager, 2).await;
    let held = manager.next_tasks("w", &[QUEUE], Retain::new().count(2).lease(seconds(1))).await.unwrap();
    server.halt(StopMode::Fast).await;
    server.resume().await;
    let client = database.connect().await;
    let lapsed = "select count(*) from pgmill.task where lease_until < now()";
    wait_until("the leases to lapse", LIMIT, async || number(&client, lapsed).await == 2).await;

    assert!(manager.next_task("other", &[QUEUE]).await.unwrap().is_none());
    manager.maintain().await.unwrap();
    let claims: Vec<Claim> = held[..1].iter().filter_map(Task::claim).collect();
    assert!(manager.extend_leases(&claims, Some(seconds(600))).await.unwrap()[0].is_some());
    manager.release_task(&held[0], Outcome::done_empty()).await.unwrap();

    // A lease that was given since is none of them.
    create(&manager, 1).await;
    let new = manager.next_tasks("w", &[QUEUE], Retain::new().lease(seconds(1))).await.unwrap();
    let ended = async |task: &Task| {
        manager.maintain().await.unwrap();
        lookup(&manager, task).await.status == Some(Status::Failed)
    };
    wait_until("a new lease to lapse", LIMIT, async || ended(&new[0]).await).await;
    let young = "select now() < pg_postmaster_start_time() + interval '30 s'";
    let early: bool = client.query_one(young, &[]).await.unwrap().get(0);
    let status = lookup(&manager, &held[1]).await.status;
    assert!(!early || status == Some(Status::Retained), "{status:?}");
    let over = Duration::from_secs(60);
    wait_until("the 30 seconds to be over", over, async || ended(&held[1]).await).await;
}
