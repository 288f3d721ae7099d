//! A database with a manager on it, and the few steps that every test takes.

use std::collections::HashSet;
use std::time::Duration;

use pgmill::{
    Arrivals, Arrived, Json, Manager, Outcome, QueueMeta, QueueName, Released, Status, Task, TaskMeta,
};
use pgmill_testkit::{TestDatabase, wait_until};
use tokio_postgres::Client;

/// How long what must happen may take.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Every table of which each row matters.
const TABLES: [&str; 12] = [
    "queue",
    "task",
    "task_finished",
    "task_attempt",
    "task_gone",
    "task_key",
    "task_count",
    "task_count_delta",
    "enqueue_resent",
    "ticker",
    "token",
    "audit",
];

pub(crate) struct Fixture {
    pub(crate) database: TestDatabase,
    pub(crate) manager: Manager,
    /// A connection beside the manager, to look at rows and to change them behind its back.
    pub(crate) client: Client,
}

impl Fixture {
    /// A manager for the namespace `app`, without queues.
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        let manager = Manager::connect(database.url()).namespace("app").await.unwrap();
        let client = database.connect().await;
        Self { database, manager, client }
    }

    /// With the queue `q`, in this database.
    pub(crate) async fn on(database: TestDatabase) -> Self {
        let manager = Manager::connect(database.url()).namespace("app").await.unwrap();
        manager.register_queue(QueueMeta::new("q")).await.unwrap();
        let client = database.connect().await;
        Self { database, manager, client }
    }

    /// With the queue `q`, of defaults.
    pub(crate) async fn with_queue() -> Self {
        Self::with(QueueMeta::new("q")).await
    }

    /// With the queue `q`, and a manager that is told of tasks only by itself.
    pub(crate) async fn deaf() -> Self {
        let database = TestDatabase::create().await;
        let manager = Manager::connect(database.url()).namespace("app").listen(false).await.unwrap();
        manager.register_queue(QueueMeta::new("q")).await.unwrap();
        let client = database.connect().await;
        Self { database, manager, client }
    }

    /// With this queue.
    pub(crate) async fn with(meta: QueueMeta) -> Self {
        let fixture = Self::new().await;
        fixture.manager.register_queue(meta).await.unwrap();
        fixture
    }

    /// The same queues from another process.
    pub(crate) async fn other_process(&self) -> Manager {
        Manager::connect(self.database.url()).namespace("app").await.unwrap()
    }

    /// Creates a task in `q`.
    pub(crate) async fn create(&self, meta: TaskMeta) -> Task {
        self.manager.create_task("q", meta).await.unwrap()
    }

    /// Retains the next task of `q`, which there must be, though it may be found only at another look.
    pub(crate) async fn retain(&self) -> Task {
        let mut found = None;
        wait_until("a task to retain", SOON, async || {
            found = self.manager.next_task("worker", &["q"]).await.unwrap();
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    /// Retains the next task of `q`, and ends the attempt.
    pub(crate) async fn finish(&self, outcome: Outcome) -> Released {
        let task = self.retain().await;
        self.manager.release_task(&task, outcome).await.unwrap()
    }

    /// The status of a task.
    pub(crate) async fn status(&self, task: &Task) -> Status {
        self.manager.get_task(task.id).await.unwrap().status.unwrap()
    }

    /// How many tasks of `q` have this status, by the counters.
    pub(crate) async fn count(&self, status: Status) -> u64 {
        let statuses = self.manager.list_queue_statuses().await.unwrap();
        statuses.iter().find(|row| row.queue.as_str() == "q" && row.status == status).unwrap().count
    }

    pub(crate) async fn sql(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// As if everything that waits had been due for a while.
    pub(crate) async fn skip_pauses(&self) {
        self.sql("UPDATE pgmill.task SET run_at = now() WHERE run_at > now()").await;
    }

    /// As if all that is retained had been so for longer than its lease.
    pub(crate) async fn lapse_leases(&self) {
        self.sql(
            "UPDATE pgmill.task SET lease_until = now() - interval '1 second' WHERE lease_until IS NOT NULL",
        )
        .await;
    }

    /// As if the time to live of all tasks were over.
    pub(crate) async fn expire(&self) {
        self.sql("UPDATE pgmill.task SET dies_at = now() - interval '1 second'").await;
    }

    /// Everything that is stored, to see that nothing was written.
    pub(crate) async fn stored(&self) -> Vec<String> {
        let mut stored = Vec::new();
        for table in TABLES {
            let sql = format!("SELECT '{table} ' || t::text FROM pgmill.{table} t ORDER BY 1");
            let rows = self.client.query(&sql, &[]).await.unwrap();
            stored.extend(rows.iter().map(|row| row.get::<_, String>(0)));
        }
        stored
    }
}

/// A task with this payload.
/// Waits until somebody tells of a task in the queue `q`; looks that come of themselves do not count.
pub(crate) async fn told(arrivals: &mut Arrivals) {
    let expected = Arrived::In(HashSet::from([QueueName::new("q").unwrap()]));
    let telling = async { while arrivals.wait().await != expected {} };
    tokio::time::timeout(SOON, telling).await.unwrap();
}

pub(crate) fn task(payload: impl serde::Serialize) -> TaskMeta {
    TaskMeta::json(&payload).unwrap()
}

pub(crate) fn done() -> Outcome {
    Outcome::done(&"done").unwrap()
}

pub(crate) fn retry() -> Outcome {
    Outcome::retry(&"went wrong").unwrap()
}

pub(crate) fn json(text: &str) -> Json {
    Json::from_text(text).unwrap()
}

/// Seconds from one time to another.
pub(crate) fn seconds_between(from: jiff::Timestamp, to: jiff::Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}
