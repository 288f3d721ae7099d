//! The checks of VACUUM and of the queues: what is made bad is told, and mended it is told no more.

use std::time::Duration;

use pgmill::{CheckOptions, QueueMeta, TickerMeta, Verdict, seconds};
use pgmill_testkit::{StopMode, TestDatabase, TestServer, has_plain_role, skipped, wait_until};

use crate::checks::assert_told;
use crate::fixture::{Fixture, SOON, done, json, retry, task};

impl Fixture {
    /// Until a check comes to this: statistics follow a little later.
    async fn until_check(&self, name: &str, verdict: Verdict) {
        wait_until(&format!("{name} to be {verdict}"), SOON, async || {
            // Before PostgreSQL 15 a session that is idle keeps what it has to tell until its next statement.
            self.sql("SELECT").await;
            self.check(name).await.verdict == verdict
        })
        .await;
    }

    /// The check of who holds back VACUUM, to which every transaction is too old.
    async fn xmin(&self) -> pgmill::Check {
        let by = CheckOptions::new().old_transaction(Duration::ZERO);
        self.manager.check(&by).await.check("xmin").unwrap().clone()
    }
}

#[tokio::test]
async fn a_table_whose_vacuum_is_off_is_told() {
    let fixture = Fixture::with_queue().await;
    fixture.assert_check("autovacuum", Verdict::Ok, "").await;
    fixture.sql("ALTER TABLE pgmill.queue SET (autovacuum_enabled = off)").await;
    fixture.assert_check("autovacuum", Verdict::Warn, "pgmill.queue").await;
    fixture.sql("ALTER TABLE pgmill.queue RESET (autovacuum_enabled)").await;
    fixture.assert_check("autovacuum", Verdict::Ok, "").await;
}

#[tokio::test]
async fn a_vacuum_that_is_behind_is_told() {
    let fixture = Fixture::with_queue().await;
    // Whoever holds a snapshot keeps VACUUM from getting on.
    let holder = fixture.database.connect().await;
    let open = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pgmill.queue";
    holder.batch_execute(open).await.unwrap();
    fixture
        .sql(
            "INSERT INTO pgmill.task_count_delta SELECT 1, 0, '-infinity', 1 FROM generate_series(1, 60000);
            DELETE FROM pgmill.task_count_delta",
        )
        .await;
    fixture.until_check("autovacuum", Verdict::Warn).await;
    fixture.assert_check("autovacuum", Verdict::Warn, "pgmill.task_count_delta: 60000 rows are dead").await;
    holder.batch_execute("ROLLBACK").await.unwrap();
    fixture.sql("VACUUM pgmill.task_count_delta").await;
    fixture.until_check("autovacuum", Verdict::Ok).await;
}

#[tokio::test]
async fn who_holds_back_vacuum_is_told_with_pid_and_query() {
    if skipped(has_plain_role(), "what sessions of other roles hold is for members of pg_read_all_stats") {
        return;
    }
    let fixture = Fixture::with_queue().await;
    let holder = fixture.database.connect().await;
    let pid: i32 = holder.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let open = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 'the forgotten one'";
    holder.batch_execute(open).await.unwrap();
    let told = fixture.xmin().await;
    assert_told(&told, Verdict::Warn, "the forgotten one");
    assert!(told.details.iter().any(|detail| detail.starts_with(&format!("session {pid} "))), "{told:?}");
    assert!(!told.seen.contains("forgotten"), "{told:?}");
    fixture.assert_check("xmin", Verdict::Ok, "").await;
    holder.batch_execute("ROLLBACK").await.unwrap();
    wait_until("nobody to hold it back", SOON, async || fixture.xmin().await.verdict == Verdict::Ok).await;
}

#[tokio::test]
async fn a_prepared_transaction_that_somebody_forgot_is_told() {
    let server = TestServer::own();
    let fixture = Fixture::on(TestDatabase::create_on(&server).await).await;
    fixture.sql("ALTER SYSTEM SET max_prepared_transactions = 5").await;
    server.halt(StopMode::Fast).await;
    server.resume().await;
    let client = fixture.database.connect().await;
    let prepare = "BEGIN; CREATE TABLE forgotten (); PREPARE TRANSACTION 'forgotten'";
    client.batch_execute(prepare).await.unwrap();
    assert_told(&fixture.xmin().await, Verdict::Warn, "prepared transaction (forgotten");
    client.batch_execute("ROLLBACK PREPARED 'forgotten'").await.unwrap();
    wait_until("nobody to hold it back", SOON, async || fixture.xmin().await.verdict == Verdict::Ok).await;
}

#[tokio::test]
async fn a_task_that_nobody_asks_for_is_told() {
    let fixture = Fixture::with_queue().await;
    fixture.create(task(1)).await;
    fixture.assert_check("stuck", Verdict::Ok, "").await;
    fixture.sql("UPDATE pgmill.task SET run_at = now() - interval '2 hours'").await;
    fixture.assert_check("stuck", Verdict::Warn, "app/q: nobody asks for its tasks").await;
    let waiter = "INSERT INTO pgmill.waiter VALUES ('app', '', 1, now() + interval '1 hour')";
    fixture.sql(waiter).await;
    fixture.assert_check("stuck", Verdict::Warn, "app/q: workers are behind").await;
    fixture.manager.pause_queue("q").await.unwrap();
    fixture.assert_check("stuck", Verdict::Warn, "app/q: paused for").await;
    fixture.manager.resume_queue("q").await.unwrap();
    fixture.finish(done()).await;
    fixture.assert_check("stuck", Verdict::Ok, "").await;
}

#[tokio::test]
async fn a_lease_that_lapsed_long_ago_is_told() {
    let fixture = Fixture::with_queue().await;
    fixture.create(task(1)).await;
    fixture.retain().await;
    fixture.lapse_leases().await;
    fixture.assert_check("stuck", Verdict::Ok, "").await;
    fixture.sql("UPDATE pgmill.task SET lease_until = now() - interval '3 hours'").await;
    fixture.assert_check("stuck", Verdict::Warn, "app/q: 1 leases lapsed, the first 3h0m0s ago").await;
    let by = CheckOptions::new().stuck_after(seconds(4 * 3_600));
    assert_eq!(fixture.manager.check(&by).await.check("stuck").unwrap().verdict, Verdict::Ok);
    fixture.retain().await;
    fixture.assert_check("stuck", Verdict::Ok, "").await;
}

#[tokio::test]
async fn a_queue_whose_tasks_fail_over_and_over_is_told() {
    let fixture = Fixture::with(QueueMeta::new("q").retries(1)).await;
    for _ in 0..10 {
        fixture.create(task(1)).await;
        fixture.assert_check("failing", Verdict::Ok, "").await;
        fixture.finish(pgmill::Outcome::Failed(json("\"no\""))).await;
    }
    fixture.assert_check("failing", Verdict::Warn, "app/q: 10 failed for good and 0 were done").await;
    for _ in 0..10 {
        fixture.create(task(1)).await;
        fixture.finish(done()).await;
    }
    fixture.assert_check("failing", Verdict::Ok, "").await;
}

#[tokio::test]
async fn counters_that_are_not_what_the_tables_hold_are_told_where_they_are_asked_for() {
    let fixture = Fixture::with_queue().await;
    for number in 0..5 {
        fixture.create(task(number)).await;
    }
    fixture.finish(done()).await;
    fixture.finish(retry()).await;
    fixture.retain().await;
    fixture.manager.fold_counts().await.unwrap();
    let counts = async || {
        let found = fixture.manager.check(&CheckOptions::new().recount(true)).await;
        found.check("counts").unwrap().clone()
    };
    assert_told(&counts().await, Verdict::Ok, "");
    fixture.sql("UPDATE pgmill.task_count SET n = n + 7 WHERE status = 3").await;
    assert_told(&counts().await, Verdict::Warn, "app/q: 8 released by the counters, 1 in the tables");
    fixture.sql("UPDATE pgmill.task_count SET n = n - 7 WHERE status = 3").await;
    assert_told(&counts().await, Verdict::Ok, "");
    assert!(fixture.manager.check(&CheckOptions::new()).await.check("counts").is_none());
}

#[tokio::test]
async fn a_queue_that_nobody_uses_is_told_and_is_no_fault() {
    let fixture = Fixture::with_queue().await;
    for name in ["tasks", "worker", "ticker"] {
        fixture.manager.register_queue(QueueMeta::new(name)).await.unwrap();
    }
    let unused = async || fixture.check("unused").await.details;
    assert_eq!(unused().await, ["app/q", "app/tasks", "app/ticker", "app/worker"]);
    fixture.manager.create_task("tasks", task(1)).await.unwrap();
    fixture.sql("INSERT INTO pgmill.waiter VALUES ('app', 'worker', 1, now() + interval '1 hour')").await;
    fixture.manager.register_ticker(TickerMeta::new("t").queue("ticker")).await.unwrap();
    assert_eq!(unused().await, ["app/q"]);
    fixture.manager.delete_queue("q").await.unwrap();
    fixture.assert_check("unused", Verdict::Ok, "none of 3 queues").await;
}
