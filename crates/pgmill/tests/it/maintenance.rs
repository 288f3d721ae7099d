//! `Manager::run`: what it does by itself, that each job has one runner, and how it ends.

use std::time::{Duration, Instant};

use pgmill::{Manager, Status};
use pgmill_testkit::{TestDatabase, TestServer, wait_until};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, SOON, task};
use crate::scene::{LIMIT, number, rewrite, with_parameter};

/// Maintenance as a program runs it, and the token that ends it.
pub(crate) fn run(manager: &Manager) -> (JoinHandle<()>, CancellationToken) {
    let (manager, shutdown) = (manager.clone(), CancellationToken::new());
    let token = shutdown.clone();
    (tokio::spawn(async move { manager.run(token).await }), shutdown)
}

pub(crate) async fn cancel(running: JoinHandle<()>, shutdown: &CancellationToken) {
    let cancelled = Instant::now();
    shutdown.cancel();
    running.await.unwrap();
    assert!(cancelled.elapsed() < Duration::from_secs(1), "{:?}", cancelled.elapsed());
}

impl Fixture {
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        number(&self.client, sql).await
    }

    /// As if jobs came due so often.
    pub(crate) async fn hurry(&self, millis: u32) {
        let sql = format!(
            "UPDATE pgmill.ticker SET \"interval\" = {millis} * 1000, next_at = now() WHERE ns = 'pgmill'"
        );
        self.sql(&sql).await;
    }

    /// Who holds the lease of a job.
    pub(crate) async fn holder_of(&self, job: &str) -> Option<i64> {
        let sql = "SELECT holder FROM pgmill.ticker WHERE ns = 'pgmill' AND ticker = $1";
        self.client.query_one(sql, &[&job]).await.unwrap().get(0)
    }
}

#[tokio::test]
async fn test_manager_run_returns_within_a_second_of_cancel() {
    let fixture = Fixture::with_queue().await;
    // While it rests. That it is past its first round shows in the counters, which it folds.
    fixture.create(task(1)).await;
    let (running, shutdown) = run(&fixture.manager);
    wait_until("the first round", SOON, async || {
        fixture.number("SELECT count(*) FROM pgmill.task_count_delta").await == 0
    })
    .await;
    assert!(!running.is_finished());
    cancel(running, &shutdown).await;

    // In the middle of a round: its statements wait for a lock that somebody holds.
    fixture.hurry(1000).await;
    fixture.sql("BEGIN; LOCK TABLE pgmill.task").await;
    let (running, shutdown) = run(&fixture.manager);
    let beside = fixture.database.connect().await;
    wait_until("a statement that waits", SOON, async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        number(&beside, sql).await > 0
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
        fixture.number("SELECT count(*) FROM pgmill.task_finished WHERE status = 5").await == 1
    })
    .await;
    assert_eq!(fixture.status(&expired).await, Status::Expired);
    cancel(running, &shutdown).await;
}

#[tokio::test]
async fn every_job_is_run_when_it_is_due_and_rests_then() {
    let fixture = Fixture::with_queue().await;
    let (running, shutdown) = run(&fixture.manager);
    wait_until("every job to have been run", SOON, async || {
        let sql =
            "SELECT count(*) FROM pgmill.ticker WHERE ns = 'pgmill' AND ticks > 0 AND lease_until IS NULL";
        fixture.number(sql).await == 5
    })
    .await;
    assert_eq!(fixture.number("SELECT count(*) FROM pgmill.ticker WHERE next_at > now()").await, 5);
    // What is due together stays so, and is claimed by one statement.
    let due = "SELECT count(DISTINCT next_at) FROM pgmill.ticker WHERE ticker IN ('sweep', 'fold')";
    assert_eq!(fixture.number(due).await, 1);
    cancel(running, &shutdown).await;
}

/// Lets each sweep take a while, and tell when it ran.
const RECORD: &str = "BEGIN
    PERFORM pg_sleep(0.03);
    INSERT INTO public.run SELECT now(), clock_timestamp();";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_has_one_runner_at_a_time_however_many_processes_there_are() {
    let fixture = Fixture::with_queue().await;
    fixture.sql("CREATE TABLE public.run (began timestamptz, ended timestamptz)").await;
    rewrite(&fixture.client, "sweep_v1", "BEGIN", RECORD).await;
    fixture.hurry(20).await;
    let mut runs = Vec::new();
    for _ in 0..3 {
        runs.push(run(&fixture.other_process().await));
    }
    wait_until("some runs", LIMIT, async || fixture.number("SELECT count(*) FROM public.run").await >= 6)
        .await;
    for (running, shutdown) in runs {
        cancel(running, &shutdown).await;
    }
    let overlaps = "SELECT count(*) FROM public.run a JOIN public.run b
        ON a.ctid < b.ctid AND (a.began, a.ended) OVERLAPS (b.began, b.ended)";
    assert_eq!(fixture.number(overlaps).await, 0);
}

#[tokio::test]
async fn jobs_of_a_runner_that_is_told_to_stop_are_taken_over_at_once() {
    let fixture = Fixture::with_queue().await;
    let other = fixture.database.connect().await;
    other.batch_execute("BEGIN; LOCK TABLE pgmill.task").await.unwrap();
    let (running, shutdown) = run(&fixture.manager);
    wait_until("the sweep to wait", SOON, async || fixture.holder_of("sweep").await.is_some()).await;
    // However seldom it is due.
    fixture.sql("UPDATE pgmill.ticker SET next_at = ts + interval '1 hour' WHERE ticker = 'sweep'").await;
    cancel(running, &shutdown).await;
    assert_eq!(fixture.holder_of("sweep").await, None);
    let due = "SELECT count(*) FROM pgmill.ticker WHERE ticker = 'sweep' AND next_at <= now()";
    wait_until("the sweep to be due", SOON, async || fixture.number(due).await == 1).await;
    other.batch_execute("ROLLBACK").await.unwrap();
    let (running, shutdown) = run(&fixture.other_process().await);
    wait_until("the sweep to be run", SOON, async || fixture.number(due).await == 0).await;
    cancel(running, &shutdown).await;
}

#[tokio::test]
async fn a_runner_whose_lease_was_lost_drops_the_job() {
    let fixture = Fixture::with_queue().await;
    fixture.sql("CREATE SEQUENCE public.calls").await;
    rewrite(&fixture.client, "sweep_v1", "BEGIN", "BEGIN PERFORM nextval('public.calls'), pg_sleep(0.1);")
        .await;
    // A walk of many stretches would take long; each answers that there is more.
    rewrite(&fixture.client, "sweep_v1", "OFFSET p_scan - 1", "OFFSET 0").await;
    fixture.create(task(1)).await;
    let calls = "SELECT last_value FROM public.calls";
    let (running, shutdown) = run(&fixture.manager);
    wait_until("the sweep to be run", SOON, async || fixture.holder_of("sweep").await.is_some()).await;
    fixture
        .sql("UPDATE pgmill.ticker SET holder = 1, lease_until = now() + interval '1 hour' WHERE ticker = 'sweep'")
        .await;
    wait_until("the sweep to be dropped", SOON, async || {
        let before = fixture.number(calls).await;
        fixture.sql("SELECT pg_sleep(0.5)").await;
        fixture.number(calls).await == before
    })
    .await;
    assert!(!running.is_finished());
    assert_eq!(fixture.holder_of("sweep").await, Some(1), "the lease of the other is left alone");
    cancel(running, &shutdown).await;
    assert_eq!(fixture.holder_of("sweep").await, Some(1));
}

/// All jobs, claims and finishing included, and the scheduler of tickers.
#[tokio::test]
async fn an_idle_database_is_asked_at_most_30_times_in_20_s() {
    // A server of its own, on which nothing else counts as a transaction.
    let server = TestServer::own();
    let database = TestDatabase::create_on(&server).await;
    let client = database.connect().await;
    client.batch_execute("ALTER SYSTEM SET autovacuum = off").await.unwrap();
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    // To prepare a statement is a transaction too: on few connections it is soon over.
    let url = with_parameter(database.url(), "pool_max_conns=2");
    let manager = Manager::connect(url).namespace("app").await.unwrap();
    let (running, shutdown) = run(&manager);
    wait_until("all to have been prepared", LIMIT, async || {
        number(&client, "SELECT min(ticks) FROM pgmill.ticker WHERE ticker IN ('sweep', 'fold')").await > 3
    })
    .await;
    let asked = async || {
        // Sessions tell of their transactions a second late.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let sql =
            "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()";
        number(&client, sql).await
    };
    let before = asked().await;
    tokio::time::sleep(Duration::from_secs(18)).await;
    let asked = asked().await - before;
    assert!((4..=30).contains(&asked), "{asked} transactions in 20 s");
    cancel(running, &shutdown).await;
}
