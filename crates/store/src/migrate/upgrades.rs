//! Upgrades while others work: steps that come later than those there are, an older version beside a newer one, and
//! failures on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use pgmill_schema::{Json, Namespace, Outcome, QueueMeta, QueueName, WorkerName};
use pgmill_testkit::{StopMode, TestDatabase, TestServer, has_plain_role, wait_until};
use tokio::task::JoinHandle;

use super::{MIGRATIONS, MigrateError, Migration, Migrator};
use crate::{Caller, ConnectOptions, Demand, Ended, Ending, Enqueued, Fence, NewTask, Sending, Store};

/// Up to which step an older version knows the schema: what came later is not needed by what it does.
const OLDER: usize = 17;
const LIMIT: Duration = Duration::from_secs(60);

fn store(database: &TestDatabase) -> Store {
    Store::open(&ConnectOptions::parse(database.url()).unwrap()).unwrap()
}

/// A migrator of some version: with these steps.
fn migrator<'a>(store: &'a Store, steps: &'a [Migration]) -> Migrator<'a> {
    Migrator { steps, ..Migrator::new(store) }
}

/// All steps there are, and these.
fn with(later: Vec<Migration>) -> Vec<Migration> {
    let known = MIGRATIONS.iter().map(|step| Migration { ..*step });
    known.chain(later).collect()
}

fn later(version: i32, name: &'static str, sql: &'static str) -> Migration {
    Migration { version, name, min_binary: "0.1.0", sql }
}

/// A process of an older version at work: it creates tasks, and retains, extends and releases them, one after the other.
struct Work {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    running: JoinHandle<()>,
}

impl Work {
    async fn start(database: &TestDatabase, name: &'static str) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let store = store(database);
        let namespace = Namespace::new("app").unwrap();
        let queue = QueueName::new(name).unwrap();
        store.register_queue(&namespace, &queue, &QueueMeta::new(name)).await.unwrap();
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&done));
        let running = tokio::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                cycle(&store, &namespace, &queue).await;
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { stop, done, running }
    }

    /// Waits until so many more tasks are done. A statement that fails ends the work, and so the wait.
    fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    async fn goes_on(&self, more: u64) {
        let wanted = self.done() + more;
        wait_until("others to go on working", LIMIT, async || {
            assert!(!self.running.is_finished(), "a statement failed");
            self.done() >= wanted
        })
        .await;
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.running.await.unwrap();
    }
}

async fn cycle(store: &Store, namespace: &Namespace, queue: &QueueName) {
    let id = store.reserve_ids(1).await.unwrap()[0];
    let new = NewTask {
        id,
        namespace: namespace.clone(),
        queue: queue.clone(),
        payload: Json::encode(&id).unwrap(),
        delayed_at: None,
        delay: None,
        priority: 5,
        key: None,
        traceparent: None,
    };
    let created = store.enqueue(&[new], Sending::First).await.unwrap();
    assert!(matches!(created[0], Enqueued::Created { .. }), "{created:?}");
    let demand = Demand { namespace: namespace.clone(), queues: vec![queue.clone()] };
    let worker = WorkerName::new("worker").unwrap();
    let caller = Caller { demand: 0, want: 1, worker, lease: None, fenced: false };
    // Two demands, though one is nobody's: for one alone there is a later statement.
    let demands = [demand.clone(), demand];
    let retained = store.retain(&demands, &[caller], &[], id * 2, &[]).await.unwrap();
    let claim = retained[0].task.claim().unwrap();
    assert!(store.extend(namespace, &[(claim, None)]).await.unwrap()[0].is_some());
    let fence = Fence::Claim(claim);
    let ending = Ending { namespace: namespace.clone(), fence, outcome: Outcome::done_empty(), task: None };
    let ended = store.release(&[ending], Sending::First).await.unwrap().remove(0);
    assert!(matches!(ended, Ended::Released { .. }), "{ended:?}");
}

/// Waits until some session waits for that.
async fn wait_for_session(database: &TestDatabase, condition: &str) {
    let client = database.connect().await;
    let sql = format!(
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND {condition}"
    );
    wait_until(condition, LIMIT, async || !client.query(&sql, &[]).await.unwrap().is_empty()).await;
}

async fn count(database: &TestDatabase, sql: &str) -> i64 {
    database.connect().await.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn workers_of_an_older_version_go_on_while_the_database_is_migrated() {
    let database = TestDatabase::empty().await;
    let store = store(&database);
    migrator(&store, &MIGRATIONS[..OLDER]).run().await.unwrap();
    let work = [Work::start(&database, "one").await, Work::start(&database, "two").await];
    work[0].goes_on(5).await;
    // What an upgrade mostly is: functions, and columns that older statements do not name.
    let steps = with(vec![
        later(1001, "1001_column", "ALTER TABLE pgmill.task ADD COLUMN later integer"),
        // So that it is still under way when they have done something beside it.
        later(1002, "1002_pause", "SELECT pg_sleep(1)"),
        later(1003, "1003_default", "ALTER TABLE pgmill.task_finished ADD COLUMN later integer DEFAULT 1"),
        later(1004, "1004_setting", "ALTER TABLE pgmill.queue ADD COLUMN later integer NOT NULL DEFAULT 1"),
    ]);
    let before = work.each_ref().map(Work::done);
    let migrated = migrator(&store, &steps).run().await.unwrap();
    assert_eq!(migrated.applied.len(), steps.len() - OLDER);
    for (work, before) in work.iter().zip(before) {
        assert!(work.done() > before, "it works while the migration runs");
    }
    for work in work {
        work.goes_on(5).await;
        work.stop().await;
    }
    assert_eq!(count(&database, "SELECT count(*) FROM pgmill.task").await, 0, "all they created is done");
}

#[tokio::test]
async fn a_migration_that_waits_for_a_lock_holds_up_nobody_behind_it() {
    let database = TestDatabase::empty().await;
    let store = store(&database);
    Migrator::new(&store).run().await.unwrap();
    let work = Work::start(&database, "one").await;
    let reader = database.connect().await;
    reader.batch_execute("BEGIN; SELECT FROM pgmill.task LIMIT 1").await.unwrap();
    let steps = with(vec![later(1001, "1001_column", "ALTER TABLE pgmill.task ADD COLUMN later integer")]);
    let migrating =
        tokio::spawn(async move { Migrator { patience: 2 * LIMIT, ..migrator(&store, &steps) }.run().await });
    wait_for_session(&database, "wait_event_type = 'Lock' AND query LIKE 'ALTER%'").await;
    // Behind a statement that waits for as long as a session does, an enqueue would give up.
    work.goes_on(40).await;
    wait_for_session(&database, "wait_event_type = 'Lock' AND query LIKE 'ALTER%'").await;
    work.goes_on(40).await;
    assert!(!migrating.is_finished(), "the transaction is still open");
    reader.batch_execute("ROLLBACK").await.unwrap();
    let migrated = migrating.await.unwrap().unwrap();
    assert_eq!(migrated.applied, ["1001_column"]);
    work.goes_on(5).await;
    work.stop().await;
}

#[tokio::test]
async fn a_migration_that_never_gets_its_lock_tells_who_holds_it() {
    let database = TestDatabase::empty().await;
    let store = store(&database);
    Migrator::new(&store).run().await.unwrap();
    let reader = database.connect().await;
    reader
        .batch_execute("SET application_name = 'nightly report'; BEGIN; SELECT FROM pgmill.task")
        .await
        .unwrap();
    let steps = with(vec![
        later(1001, "1001_table", "CREATE TABLE pgmill.later (id integer)"),
        later(1002, "1002_column", "ALTER TABLE pgmill.task ADD COLUMN later integer"),
    ]);
    let hasty = Migrator { patience: Duration::from_millis(300), ..migrator(&store, &steps) };
    let error = hasty.run().await.unwrap_err();
    assert!(matches!(&error, MigrateError::Blocked { migration: "1002_column", .. }), "{error:?}");
    assert!(error.is_transient());
    let pid: i32 = reader.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let text = error.to_string();
    // What the other session is at, only members of pg_read_all_stats are told.
    let at = if has_plain_role() { "(nightly report)" } else { "(nightly report), idle in transaction" };
    for part in ["migration 1002_column", &format!("process {pid} "), at] {
        assert!(text.contains(part), "{text}");
    }
    reader.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(migrator(&store, &steps).run().await.unwrap().applied, ["1002_column"]);
}

/// A store whose sessions end every statement after so long.
fn hasty_store(database: &TestDatabase, limit: &str) -> Store {
    // As the superuser and past any pooler, which would have limits of its own.
    let url = TestServer::shared().url_for(database.name());
    let mut config: tokio_postgres::Config = url.parse().unwrap();
    config.options(format!("-c statement_timeout={limit}"));
    let manager = deadpool_postgres::Manager::new(config, tokio_postgres::NoTls);
    Store::from_pool(deadpool_postgres::Pool::builder(manager).max_size(2).build().unwrap(), false)
}

#[tokio::test]
async fn a_migration_may_take_longer_than_a_session_gives_its_statements() {
    let database = TestDatabase::empty().await;
    Migrator::new(&store(&database)).run().await.unwrap();
    let store = hasty_store(&database, "1s");
    let steps =
        with(vec![later(1001, "1001_slow", "CREATE TABLE pgmill.later (id integer); SELECT pg_sleep(1.5)")]);
    assert_eq!(migrator(&store, &steps).run().await.unwrap().applied, ["1001_slow"]);
}

#[tokio::test]
async fn a_migration_that_is_cancelled_is_not_told_as_one_that_waits_for_a_lock() {
    let database = TestDatabase::empty().await;
    let migrating = caught_within_a_step(&database).await;
    let cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event = 'PgSleep'";
    assert_eq!(count(&database, cancel).await, 1);
    let error = migrating.await.unwrap().unwrap_err();
    assert!(matches!(&error, MigrateError::Cancelled { migration: "1002_slow", .. }), "{error:?}");
    assert!(error.to_string().contains("migration 1002_slow was cancelled"), "{error}");
    assert!(error.is_transient());
    assert_the_next_start_mends_it(&database).await;

    let store = store(&database);
    let steps = with(vec![
        later(1001, "1001_table", "CREATE TABLE pgmill.later (id integer)"),
        later(1002, "1002_quick", "CREATE TABLE pgmill.last (id integer)"),
        later(1003, "1003_limited", "SET LOCAL statement_timeout = '50ms'; SELECT pg_sleep(20)"),
    ]);
    let error = migrator(&store, &steps).run().await.unwrap_err();
    assert!(matches!(&error, MigrateError::Cancelled { migration: "1003_limited", .. }), "{error:?}");
}

#[tokio::test]
async fn a_step_that_fails_is_undone_and_mended_by_the_next_version() {
    let database = TestDatabase::empty().await;
    let store = store(&database);
    Migrator::new(&store).run().await.unwrap();
    let broken = with(vec![
        later(1001, "1001_table", "CREATE TABLE pgmill.later (id integer)"),
        later(1002, "1002_broken", "CREATE TABLE pgmill.last (id integer); SELECT 1 / 0"),
    ]);
    let error = migrator(&store, &broken).run().await.unwrap_err();
    assert!(matches!(&error, MigrateError::Store(error) if error.sqlstate() == Some("22012")), "{error:?}");
    assert_eq!(migrator(&store, &broken).missing().await.unwrap(), ["1002_broken"]);
    assert_eq!(count(&database, "SELECT count(*) FROM pg_class WHERE relname = 'last'").await, 0);
    let mended = with(vec![
        later(1001, "1001_table", "CREATE TABLE pgmill.later (id integer)"),
        later(1002, "1002_mended", "CREATE TABLE pgmill.last (id integer)"),
    ]);
    assert_eq!(migrator(&store, &mended).run().await.unwrap().applied, ["1002_mended"]);
}

/// Starts a migration whose last step takes a while, and returns when it is within that.
async fn caught_within_a_step(database: &TestDatabase) -> JoinHandle<Result<super::Migrated, MigrateError>> {
    let store = store(database);
    Migrator::new(&store).run().await.unwrap();
    let migrating = tokio::spawn(async move {
        let steps = with(vec![
            later(1001, "1001_table", "CREATE TABLE pgmill.later (id integer)"),
            later(1002, "1002_slow", "CREATE TABLE pgmill.last (id integer); SELECT pg_sleep(20)"),
        ]);
        migrator(&store, &steps).run().await
    });
    wait_for_session(database, "wait_event = 'PgSleep'").await;
    migrating
}

async fn assert_the_next_start_mends_it(database: &TestDatabase) {
    let store = store(database);
    let steps = with(vec![
        later(1001, "1001_table", "CREATE TABLE pgmill.later (id integer)"),
        later(1002, "1002_quick", "CREATE TABLE pgmill.last (id integer)"),
    ]);
    assert_eq!(migrator(&store, &steps).missing().await.unwrap(), ["1002_quick"]);
    assert_eq!(migrator(&store, &steps).run().await.unwrap().applied, ["1002_quick"]);
    let work = Work::start(database, "one").await;
    work.goes_on(1).await;
    work.stop().await;
}

#[tokio::test]
async fn a_server_that_crashes_within_a_step_leaves_what_the_next_start_mends() {
    let server = TestServer::own();
    let database = TestDatabase::empty_on(&server).await;
    let migrating = caught_within_a_step(&database).await;
    server.halt(StopMode::Immediate).await;
    let error = migrating.await.unwrap().unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    server.resume().await;
    assert_the_next_start_mends_it(&database).await;
}

#[tokio::test]
async fn a_connection_that_is_cut_within_a_step_leaves_what_the_next_start_mends() {
    let database = TestDatabase::empty().await;
    let migrating = caught_within_a_step(&database).await;
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event = 'PgSleep'";
    assert_eq!(count(&database, cut).await, 1);
    let error = migrating.await.unwrap().unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert_the_next_start_mends_it(&database).await;
}

#[tokio::test]
async fn a_process_that_dies_within_a_step_leaves_what_the_next_start_waits_for_and_mends() {
    let database = TestDatabase::empty().await;
    let migrating = caught_within_a_step(&database).await;
    // The server does not notice before the statement ends, as it may be with one that is killed.
    migrating.abort();
    let end = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event = 'PgSleep'";
    // Behind the next start, which waits for the lock of migrations meanwhile.
    let waits =
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 1886219628 AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    tokio::join!(assert_the_next_start_mends_it(&database), async {
        wait_until("the next start", LIMIT, async || count(&database, waits).await > 0).await;
        assert_eq!(count(&database, end).await, 1);
    });
}

#[tokio::test]
async fn an_older_version_works_beside_a_newer_one() {
    let database = TestDatabase::empty().await;
    let store = store(&database);
    Migrator::new(&store).run().await.unwrap();
    let older = Work::start(&database, "one").await;
    // A newer version has its own way to create tasks, and a column that only it fills.
    let newer = with(vec![later(
        1001,
        "1001_origin",
        "ALTER TABLE pgmill.task ADD COLUMN origin text;
        CREATE FUNCTION pgmill.create_v2(p_id bigint, p_queue text) RETURNS void LANGUAGE sql AS $$
            INSERT INTO pgmill.task (id, run_at, created_at, queue_id, retries, priority, payload, origin)
            SELECT p_id, now(), now(), q.id, q.retries, 5, '1', 'newer' FROM pgmill.queue q WHERE q.queue = p_queue
        $$",
    )]);
    migrator(&store, &newer).run().await.unwrap();
    older.goes_on(5).await;
    // It starts anew, as when its process is restarted before the last of its kind is replaced.
    let again = Migrator::new(&store).run().await.unwrap();
    assert_eq!((again.to, again.applied), (1001, Vec::new()));
    assert_eq!(Migrator::new(&store).missing().await.unwrap(), Vec::<&str>::new());
    let namespace = Namespace::new("app").unwrap();
    let queue = QueueName::new("both").unwrap();
    store.register_queue(&namespace, &queue, &QueueMeta::new("both")).await.unwrap();
    let id = store.reserve_ids(1).await.unwrap()[0];
    let client = database.connect().await;
    client.execute("SELECT pgmill.create_v2($1, 'both')", &[&id]).await.unwrap();
    // It works on the task of the newer one, and that one sees what it made of its own.
    cycle(&store, &namespace, &queue).await;
    older.goes_on(5).await;
    older.stop().await;
    assert_eq!(count(&database, "SELECT count(*) FROM pgmill.task WHERE origin = 'newer'").await, 0);
    assert_eq!(count(&database, "SELECT count(*) FROM pgmill.task WHERE origin IS NULL").await, 1);
}

#[tokio::test]
async fn an_older_version_is_told_so_once_the_schema_has_gone_on_without_it() {
    let database = TestDatabase::empty().await;
    let store = store(&database);
    Migrator::new(&store).run().await.unwrap();
    let contract = Migration { min_binary: "0.2.0", ..later(1001, "1001_contract", "SELECT 1") };
    let newer = with(vec![contract, later(1002, "1002_harmless", "SELECT 1")]);
    // As the newer version does it: this one may not even finish what it began.
    let client = database.connect().await;
    for step in newer.iter().skip(MIGRATIONS.len()) {
        let record = "INSERT INTO pgmill.migration (version, name, min_binary) VALUES ($1, $2, $3)";
        client.execute(record, &[&step.version, &step.name, &step.min_binary]).await.unwrap();
    }
    for error in
        [Migrator::new(&store).run().await.unwrap_err(), Migrator::new(&store).missing().await.unwrap_err()]
    {
        assert!(error.to_string().contains("needs pgmill 0.2.0 or later"), "{error}");
        assert!(!error.is_transient());
    }
}
