//! The checks of the connection, the server and the schema: what is made bad is told, and mended it is told no more.

use std::time::Duration;

use pgmill::{Check, CheckOptions, Checkup, ConnectOptions, Manager, Outcome, Verdict, seconds};
use pgmill_testkit::{
    ChaosProxy, Direction, StopMode, TestDatabase, TestServer, has_pooler, has_setting, skipped, wait_until,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::fixture::{Fixture, SOON, done, retry, task};

/// All checks by a manager that has just come to this database.
async fn checkup(url: &str) -> Checkup {
    checked_as(ConnectOptions::parse(url).unwrap(), &CheckOptions::new()).await
}

async fn checked_as(options: ConnectOptions, by: &CheckOptions) -> Checkup {
    Manager::connect_with(options).migrate(false).await.unwrap().check(by).await
}

impl Fixture {
    /// One of the checks, by a manager whose sessions begin now.
    pub(crate) async fn check(&self, name: &str) -> Check {
        checkup(self.database.url()).await.check(name).unwrap().clone()
    }

    pub(crate) async fn assert_check(&self, name: &str, verdict: Verdict, words: &str) {
        assert_told(&self.check(name).await, verdict, words);
    }
}

const POOLER: &str = "a pooler keeps roles, settings and outages of the server to itself";
const ISOLATION: &str = "default_transaction_isolation";

pub(crate) fn assert_told(check: &Check, verdict: Verdict, words: &str) {
    let told = format!("{} {}", check.seen, check.details.join(" "));
    assert_eq!(check.verdict, verdict, "{check:?}");
    assert!(told.contains(words), "{words:?} in {check:?}");
    assert_eq!(check.advice.is_some(), verdict >= Verdict::Warn, "{check:?}");
}

#[tokio::test]
async fn a_database_in_order_passes_every_check() {
    if skipped(has_setting(ISOLATION), "the server has a setting that is warned of") {
        return;
    }
    let server = TestServer::own();
    let database = TestDatabase::create_on(&server).await;
    let found = checkup(database.url()).await;
    assert!(found.checks.iter().all(|check| check.verdict == Verdict::Ok), "{found:#?}");
    assert_eq!((found.verdict, found.checks.len()), (Verdict::Ok, 21));
    let ready = Manager::connect(database.url()).await.unwrap().check_ready(&CheckOptions::new()).await;
    assert_eq!((ready.verdict, ready.checks.len()), (Verdict::Ok, 15), "{ready:#?}");
}

#[tokio::test]
async fn a_server_that_is_away_or_hangs_is_told_within_the_limit_and_all_else_is_skipped() {
    if skipped(has_pooler(), POOLER) {
        return;
    }
    if skipped(has_setting(ISOLATION), "the server has a setting that is warned of") {
        return;
    }
    let server = TestServer::own();
    let database = TestDatabase::create_on(&server).await;
    let proxy = ChaosProxy::start(database.url()).await;
    let hanging = ConnectOptions::parse(&proxy.url_for(database.url())).unwrap();
    let by = CheckOptions::new().limit(Duration::from_millis(300));
    proxy.swallow(Direction::ToClient, true);
    let hangs = tokio::time::timeout(SOON, checked_as(hanging, &by)).await.expect("it does not hang, too");
    assert_told(hangs.check("connection").unwrap(), Verdict::Fail, "no answer within 300ms");
    server.halt(StopMode::Immediate).await;
    let away = checkup(database.url()).await;
    assert_told(away.check("connection").unwrap(), Verdict::Fail, "no connection to PostgreSQL");
    for found in [hangs, away] {
        let others = &found.checks[1..];
        assert!(others.iter().all(|check| check.verdict == Verdict::Skipped), "{found:#?}");
        assert_eq!((found.verdict, others.len()), (Verdict::Fail, 20));
    }
    server.resume().await;
    assert_eq!(checkup(database.url()).await.verdict, Verdict::Ok);
}

#[tokio::test]
async fn a_look_that_is_kept_waiting_is_given_up_and_the_others_are_made() {
    let fixture = Fixture::with_queue().await;
    fixture.sql("BEGIN; LOCK TABLE pgmill.ticker").await;
    let options = ConnectOptions::parse(fixture.database.url()).unwrap();
    let by = CheckOptions::new().limit(seconds(1));
    let found = checked_as(options, &by).await;
    assert_told(found.check("maintenance").unwrap(), Verdict::Warn, "no answer within 1s");
    assert_told(found.check("partitions").unwrap(), Verdict::Ok, "8 days");
    fixture.sql("ROLLBACK").await;
    fixture.assert_check("maintenance", Verdict::Ok, "5 jobs").await;
}

#[tokio::test]
async fn settings_of_the_database_that_hurt_are_told() {
    if skipped(has_pooler(), POOLER) {
        return;
    }
    if skipped(has_setting(ISOLATION), "the server has a setting that is warned of") {
        return;
    }
    let fixture = Fixture::with_queue().await;
    for (name, setting, words) in [
        ("isolation", "default_transaction_isolation = 'repeatable read'", "repeatable read"),
        ("isolation", "default_transaction_isolation = 'serializable'", "serializable"),
        ("writable", "default_transaction_read_only = on", "default_transaction_read_only"),
        ("timeouts", "idle_in_transaction_session_timeout = '500ms'", "is 500ms"),
    ] {
        let database = fixture.database.name();
        fixture.sql(&format!("ALTER DATABASE {database} SET {setting}")).await;
        fixture.assert_check(name, Verdict::Warn, words).await;
        fixture.sql(&format!("ALTER DATABASE {database} RESET ALL")).await;
        fixture.assert_check(name, Verdict::Ok, "").await;
    }
}

#[tokio::test]
async fn what_may_lose_tasks_in_a_crash_is_told() {
    let server = TestServer::own();
    let fixture = Fixture::on(TestDatabase::create_on(&server).await).await;
    for (setting, verdict) in
        [("fsync", Verdict::Fail), ("full_page_writes", Verdict::Fail), ("synchronous_commit", Verdict::Warn)]
    {
        let set = async |what: &str| {
            fixture.sql(&format!("ALTER SYSTEM {what}")).await;
            fixture.sql("SELECT pg_reload_conf()").await;
        };
        set(&format!("SET {setting} = off")).await;
        wait_until("it to be told", SOON, async || fixture.check("durability").await.verdict == verdict)
            .await;
        fixture.assert_check("durability", verdict, setting).await;
        set("RESET ALL").await;
        wait_until("it to be mended", SOON, async || {
            fixture.check("durability").await.verdict == Verdict::Ok
        })
        .await;
    }
}

#[tokio::test]
async fn connections_that_run_out_are_told() {
    let server = TestServer::own();
    let fixture = Fixture::on(TestDatabase::create_on(&server).await).await;
    fixture.sql("ALTER SYSTEM SET max_connections = 15").await;
    server.halt(StopMode::Fast).await;
    server.resume().await;
    fixture.assert_check("connections", Verdict::Ok, "of 12").await;
    let mut held = Vec::new();
    for _ in 0..9 {
        held.push(fixture.database.connect().await);
    }
    fixture.assert_check("connections", Verdict::Warn, "of 12").await;
    drop(held);
    wait_until("they are free again", SOON, async || {
        fixture.check("connections").await.verdict == Verdict::Ok
    })
    .await;
}

/// A role that may do nothing but connect, and the URL of the database for it.
async fn new_role(fixture: &Fixture) -> (String, String) {
    let role = format!("{}_role", fixture.database.name());
    fixture.sql(&format!("CREATE ROLE {role} LOGIN PASSWORD 'secret'")).await;
    let (_, place) = fixture.database.url().split_once('@').unwrap();
    let url = format!("postgres://{role}:secret@{place}");
    (role, url)
}

#[tokio::test]
async fn with_the_essential_privileges_and_no_others_tasks_are_created_and_worked_on() {
    if skipped(has_pooler(), POOLER) {
        return;
    }
    let fixture = Fixture::with_queue().await;
    let (role, url) = new_role(&fixture).await;
    let manager = Manager::connect(&url).namespace("app").migrate(false).await.unwrap();
    let lacks = manager.store().check_privileges().await.unwrap();
    for lack in lacks.iter().filter(|lack| lack.essential) {
        fixture.sql(&format!("GRANT {} TO {role}", lack.privilege.replace("the ", ""))).await;
    }
    for (key, outcome) in [("a", done()), ("b", retry()), ("c", Outcome::GiveBack)] {
        manager.create_task("q", task(key).key(key)).await.unwrap();
        let mut found = None;
        wait_until("a task", SOON, async || {
            found = manager.next_task("worker", &["q"]).await.unwrap();
            found.is_some()
        })
        .await;
        manager.release_task(&found.unwrap(), outcome).await.unwrap();
    }
    let mut arrivals = manager.arrivals(&["q"]).unwrap();
    wait_until("it to say that it waits", SOON, async || {
        let _ = tokio::time::timeout(seconds(1), arrivals.wait()).await;
        let waiting = fixture.client.query_one("SELECT count(*) FROM pgmill.waiter", &[]).await.unwrap();
        waiting.get::<_, i64>(0) > 0
    })
    .await;
    assert_told(&checkup(&url).await.check("privileges").unwrap().clone(), Verdict::Warn, "ownership");
    drop(arrivals);
    manager.close().await;
    manager.pool().close();
    fixture.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn privileges_that_tasks_need_are_a_failure_and_those_of_maintenance_a_warning() {
    if skipped(has_pooler(), POOLER) {
        return;
    }
    let fixture = Fixture::with_queue().await;
    let (role, url) = new_role(&fixture).await;
    let told = async |name: &str| checkup(&url).await.check(name).unwrap().clone();
    assert_told(&told("privileges").await, Verdict::Fail, "USAGE on the schema pgmill");
    assert_told(&told("maintenance").await, Verdict::Skipped, "see privileges");
    fixture
        .sql(&format!(
            "GRANT USAGE ON SCHEMA pgmill TO {role};
            GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA pgmill TO {role};
            GRANT USAGE ON ALL SEQUENCES IN SCHEMA pgmill TO {role};
            REVOKE DELETE ON pgmill.task FROM {role}"
        ))
        .await;
    assert_told(&told("privileges").await, Verdict::Fail, "DELETE on pgmill.task");
    fixture
        .sql(&format!("GRANT DELETE ON pgmill.task TO {role}; REVOKE DELETE ON pgmill.queue FROM {role}"))
        .await;
    assert_told(&told("privileges").await, Verdict::Warn, "DELETE on pgmill.queue");
    assert_told(&told("privileges").await, Verdict::Warn, "ownership of pgmill.task_finished");
    assert!(told("xmin").await.seen.contains("pg_read_all_stats"));
    fixture.sql(&format!("ALTER ROLE {role} SUPERUSER")).await;
    assert_told(&told("privileges").await, Verdict::Ok, "");
    fixture.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn migrations_that_are_missing_newer_or_other_than_recorded_are_told() {
    let fixture = Fixture::with_queue().await;
    let record = "pgmill.migration";
    fixture.sql(&format!("CREATE TABLE kept AS SELECT * FROM {record}")).await;
    for (change, verdict, words) in [
        ("DELETE FROM pgmill.migration WHERE version = 4", Verdict::Fail, "0004_retain"),
        ("INSERT INTO pgmill.migration VALUES (99, '0099_later', '0.1.0')", Verdict::Warn, "0099_later"),
        (
            "INSERT INTO pgmill.migration VALUES (99, '0099_later', '9.0.0')",
            Verdict::Fail,
            "needs pgmill 9.0.0",
        ),
        ("UPDATE pgmill.migration SET checksum = 'x' WHERE version = 5", Verdict::Warn, "0005_release"),
    ] {
        fixture.sql(change).await;
        fixture.assert_check("migrations", verdict, words).await;
        fixture.sql(&format!("DELETE FROM {record}; INSERT INTO {record} SELECT * FROM kept")).await;
        fixture.assert_check("migrations", Verdict::Ok, "").await;
    }
    // A record that was begun before there were checksums.
    fixture.sql("UPDATE pgmill.migration SET checksum = NULL").await;
    fixture.assert_check("migrations", Verdict::Ok, "").await;
    let empty = TestDatabase::empty().await;
    let found = checkup(empty.url()).await;
    assert_told(found.check("migrations").unwrap(), Verdict::Fail, "0001_tables");
    assert_told(found.check("schema").unwrap(), Verdict::Skipped, "see migrations");
    assert_told(found.check("stuck").unwrap(), Verdict::Skipped, "see migrations");
}

#[tokio::test]
async fn a_schema_is_as_it_should_be_wherever_the_search_path_leads() {
    let fixture = Fixture::with_queue().await;
    let database = fixture.database.name();
    for path in ["''", "pgmill", "public"] {
        fixture.sql(&format!("ALTER DATABASE {database} SET search_path = {path}")).await;
        fixture.assert_check("schema", Verdict::Ok, "").await;
    }
}

#[tokio::test]
async fn what_somebody_changed_in_the_schema_is_told() {
    let fixture = Fixture::with_queue().await;
    fixture.assert_check("schema", Verdict::Ok, "").await;
    for (change, verdict, words) in [
        ("DROP INDEX pgmill.task_held", Verdict::Fail, "missing: index task_held"),
        ("DROP FUNCTION pgmill.fold_counts_v1", Verdict::Fail, "missing: function fold_counts_v1"),
        ("ALTER FUNCTION pgmill.retain_v1 RESET ALL", Verdict::Fail, "changed: function retain_v1"),
        (
            "ALTER TABLE pgmill.task DROP COLUMN traceparent CASCADE",
            Verdict::Fail,
            "missing: column task.traceparent",
        ),
        (
            "ALTER TABLE pgmill.task DROP CONSTRAINT task_lease",
            Verdict::Fail,
            "missing: constraint task.task_lease",
        ),
        ("ALTER TABLE pgmill.queue ALTER ttl TYPE numeric", Verdict::Fail, "changed: column queue.ttl"),
        ("CREATE INDEX mine ON pgmill.task (worker)", Verdict::Warn, "unknown: index mine"),
        ("ALTER TABLE pgmill.task SET (fillfactor = 100)", Verdict::Warn, "changed: table task"),
    ] {
        let fixture = Fixture::with_queue().await;
        fixture.sql(change).await;
        fixture.assert_check("schema", verdict, words).await;
        // A database that an older build migrated looks the same.
        let advice = fixture.check("schema").await.advice.unwrap();
        for cause in ["by hand", "a build of pgmill before this one"] {
            assert!(advice.contains(cause), "{advice}");
        }
    }
    fixture.sql("CREATE INDEX mine ON pgmill.task (worker)").await;
    fixture.assert_check("schema", Verdict::Warn, "1 unknown").await;
    fixture.sql("DROP INDEX pgmill.mine").await;
    fixture.assert_check("schema", Verdict::Ok, "").await;
}

#[tokio::test]
async fn days_of_history_that_are_missing_are_told() {
    let fixture = Fixture::with_queue().await;
    let drop_day = async |table: &str, ahead: i32| {
        let day = format!("to_char((now() AT TIME ZONE 'UTC')::date + {ahead}, 'YYYYMMDD')");
        let sql = format!("DO $$ BEGIN EXECUTE 'DROP TABLE pgmill.{table}_' || {day}; END $$");
        fixture.sql(&sql).await;
    };
    drop_day("task_attempt", 2).await;
    fixture.assert_check("partitions", Verdict::Warn, "task_attempt: 2 days").await;
    drop_day("task_finished", 0).await;
    fixture.assert_check("partitions", Verdict::Fail, "task_finished: 0 days").await;
    fixture.manager.ensure_partitions().await.unwrap();
    fixture.assert_check("partitions", Verdict::Ok, "8 days").await;
}

#[tokio::test]
async fn jobs_that_nobody_runs_are_told() {
    let fixture = Fixture::with_queue().await;
    let due = "UPDATE pgmill.ticker SET next_at = now() - interval '1 hour' WHERE ticker = 'sweep'";
    fixture.sql(due).await;
    fixture.assert_check("maintenance", Verdict::Warn, "sweep: due for 1h0m0s").await;
    fixture.sql("UPDATE pgmill.ticker SET next_at = now() WHERE ticker = 'sweep'").await;
    fixture.assert_check("maintenance", Verdict::Ok, "5 jobs").await;
    fixture.sql("CREATE TABLE kept AS SELECT * FROM pgmill.ticker; DELETE FROM pgmill.ticker").await;
    fixture.assert_check("maintenance", Verdict::Warn, "no jobs").await;
}

/// Passes on all but that somebody wants to listen, as a pooler does whose next transaction is on another connection.
async fn deaf_proxy(url: &str) -> String {
    let (head, rest) = url.split_once('@').unwrap();
    let (place, database) = rest.split_once('/').unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap();
    let place = place.to_owned();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&place).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
            tokio::spawn(async move {
                let mut bytes = vec![0; 1 << 16];
                while let Ok(count @ 1..) = from_client.read(&mut bytes).await {
                    let wanted = b"LISTEN pgmill;";
                    let found = bytes[..count].windows(wanted.len()).position(|window| window == wanted);
                    if let Some(at) = found {
                        bytes[at..at + wanted.len()].copy_from_slice(b"LISTEN nobody;");
                    }
                    to_server.write_all(&bytes[..count]).await.unwrap();
                }
            });
        }
    });
    format!("{head}@{own}/{database}")
}

#[tokio::test]
async fn notices_that_do_not_arrive_are_told() {
    if skipped(has_pooler(), POOLER) {
        return;
    }
    let fixture = Fixture::with_queue().await;
    fixture.assert_check("notify", Verdict::Ok, "a notice was heard").await;
    let deaf = ConnectOptions::parse(&deaf_proxy(fixture.database.url()).await).unwrap();
    let by = CheckOptions::new().limit(seconds(2));
    let found = checked_as(deaf.clone(), &by).await;
    assert_told(found.check("connection").unwrap(), Verdict::Ok, "");
    assert_told(found.check("notify").unwrap(), Verdict::Warn, "pooler in transaction mode");
    let pooled = checked_as(deaf.with_pooler(true), &by).await;
    assert_told(pooled.check("notify").unwrap(), Verdict::Skipped, "pooler in transaction mode");
}
