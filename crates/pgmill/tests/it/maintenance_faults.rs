//! Runners that die, and a server that goes away.

use std::process::{Command, Stdio};
use std::time::Duration;

use pgmill::{Manager, QueueMeta};
use pgmill_testkit::{StopMode, TestDatabase, TestServer, wait_until};
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, SOON, task};
use crate::maintenance::{cancel, run};
use crate::scene::{LIMIT, number};

/// Lets sweeps wait, until this transaction ends.
async fn hold_back(fixture: &Fixture) -> tokio_postgres::Client {
    let client = fixture.database.connect().await;
    client.batch_execute("BEGIN; LOCK TABLE pgmill.task").await.unwrap();
    client
}

/// Waits until some runner holds the sweep, and tells which.
async fn sweeping(fixture: &Fixture) -> i64 {
    let mut holder = None;
    wait_until("the sweep to be run", LIMIT, async || {
        holder = fixture.holder_of("sweep").await;
        holder.is_some()
    })
    .await;
    holder.unwrap()
}

/// Ends the statements that the server still runs for a runner that is gone: they would end the task after all.
async fn end_of_connections(fixture: &Fixture) {
    let waiting = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    wait_until("nothing to wait", SOON, async || fixture.number(waiting).await == 0).await;
}

#[tokio::test]
async fn a_job_whose_runner_is_gone_runs_elsewhere_once_its_lease_has_lapsed() {
    let fixture = Fixture::with_queue().await;
    fixture.create(task(1)).await;
    let lock = hold_back(&fixture).await;
    let (running, _shutdown) = run(&fixture.manager);
    let first = sweeping(&fixture).await;
    let folded = "SELECT count(*) FROM pgmill.ticker WHERE ticker = 'fold' AND ticks > 0 AND holder IS NULL";
    wait_until("the other jobs to be done", SOON, async || fixture.number(folded).await == 1).await;
    // Dropped in the middle of it, without a goodbye.
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    fixture.manager.pool().close();
    end_of_connections(&fixture).await;
    lock.batch_execute("ROLLBACK").await.unwrap();
    fixture.expire().await;
    // However long it takes until somebody else looks.
    fixture
        .sql("UPDATE pgmill.ticker SET lease_until = now() + interval '1 hour' WHERE ticker = 'sweep'")
        .await;

    let (running, shutdown) = run(&fixture.other_process().await);
    wait_until("another job", SOON, async || {
        fixture.number("SELECT ticks FROM pgmill.ticker WHERE ticker = 'fold'").await > 1
    })
    .await;
    assert_eq!(fixture.holder_of("sweep").await, Some(first), "until its lease has lapsed, nobody takes it");
    // As if that time had passed.
    fixture.sql("UPDATE pgmill.ticker SET lease_until = now() WHERE ticker = 'sweep'").await;
    wait_until("the task to be ended", SOON, async || {
        fixture.number("SELECT count(*) FROM pgmill.task_finished WHERE status = 5").await == 1
    })
    .await;
    assert!(fixture.holder_of("sweep").await != Some(first));
    cancel(running, &shutdown).await;
}

/// This test is its own victim: started again with a database to maintain, it does so until it is killed.
const VICTIM: &str = "PGMILL_TEST_MAINTAIN";

#[tokio::test]
async fn a_job_whose_process_is_killed_runs_elsewhere_within_its_interval_and_15_s() {
    if let Ok(url) = std::env::var(VICTIM) {
        let manager = Manager::connect(url).namespace("app").await.unwrap();
        return manager.run(CancellationToken::new()).await;
    }
    let fixture = Fixture::with_queue().await;
    fixture.create(task(1)).await;
    fixture.expire().await;
    let lock = hold_back(&fixture).await;
    let name =
        "maintenance_faults::a_job_whose_process_is_killed_runs_elsewhere_within_its_interval_and_15_s";
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact"])
        .env(VICTIM, fixture.database.url())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let first = sweeping(&fixture).await;
    // SIGKILL.
    victim.kill().unwrap();
    victim.wait().unwrap();
    end_of_connections(&fixture).await;
    lock.batch_execute("ROLLBACK").await.unwrap();
    let killed = tokio::time::Instant::now();

    let (running, shutdown) = run(&fixture.other_process().await);
    // Its interval, its lease, and a moment.
    let late = Duration::from_secs(10 + 15 + 5);
    wait_until("the task to be ended", late, async || {
        fixture.number("SELECT count(*) FROM pgmill.task_finished WHERE status = 5").await == 1
    })
    .await;
    let due =
        "SELECT count(*) FROM pgmill.ticker WHERE ticker = 'sweep' AND lease_until > now() + interval '15 s'";
    assert_eq!(fixture.number(due).await, 0, "{:?}", killed.elapsed());
    assert!(fixture.holder_of("sweep").await != Some(first));
    cancel(running, &shutdown).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maintenance_survives_that_the_server_is_stopped_for_a_while() {
    let server = TestServer::own();
    let database = TestDatabase::create_on(&server).await;
    let manager = Manager::connect(database.url()).namespace("app").await.unwrap();
    manager.register_queue(QueueMeta::new("q")).await.unwrap();
    let (running, shutdown) = run(&manager);
    let swept = "SELECT ticks FROM pgmill.ticker WHERE ticker = 'sweep'";
    let client = database.connect().await;
    wait_until("a sweep", SOON, async || number(&client, swept).await > 0).await;
    // Due once a second, so that the outage is met by claims.
    let hurry = "UPDATE pgmill.ticker SET \"interval\" = 1000000, next_at = now() WHERE ns = 'pgmill'";
    client.batch_execute(hurry).await.unwrap();
    let before = number(&client, swept).await;
    wait_until("the next sweep", SOON, async || number(&client, swept).await > before).await;
    let before = number(&client, swept).await;
    server.halt(StopMode::Immediate).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    server.resume().await;
    let client = database.connect().await;
    wait_until("another sweep", LIMIT, async || number(&client, swept).await > before).await;
    manager.create_task("q", task(1)).await.unwrap();
    client.batch_execute("UPDATE pgmill.task SET dies_at = now()").await.unwrap();
    let ended = "SELECT count(*) FROM pgmill.task_finished";
    wait_until("the task to be ended", LIMIT, async || number(&client, ended).await == 1).await;
    cancel(running, &shutdown).await;
}
