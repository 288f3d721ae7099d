//! What the tests of faults, batches and concurrency start from.

use std::time::Duration;

use pgmill::{BatchOptions, Manager, ManagerBuilder, QueueMeta, Retain, Task, TaskMeta};
use pgmill_testkit::TestDatabase;
use tokio_postgres::Client;

/// How long a test waits for what is bound to happen.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
pub(crate) const QUEUE: &str = "q";

/// A migrated database with the queue `q` in the namespace `app`, its manager, and a connection beside it.
pub(crate) struct Scene {
    pub(crate) database: TestDatabase,
    pub(crate) manager: Manager,
    pub(crate) client: Client,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::with(BatchOptions::default()).await
    }

    pub(crate) async fn with(batching: BatchOptions) -> Self {
        let database = TestDatabase::create().await;
        let client = database.connect().await;
        let manager = builder(database.url()).batching(batching).await.unwrap();
        manager.register_queue(QueueMeta::new(QUEUE)).await.unwrap();
        Self { database, manager, client }
    }

    /// Another manager, as of another process.
    pub(crate) async fn another(&self) -> Manager {
        builder(self.database.url()).await.unwrap()
    }

    pub(crate) async fn number(&self, query: &str) -> i64 {
        number(&self.client, query).await
    }

    /// Adds a statement to the beginning of a function in this database.
    pub(crate) async fn instrument(&self, function: &str, statement: &str) {
        let begin = format!("BEGIN\n    {statement}");
        rewrite(&self.client, function, "BEGIN", &begin).await;
    }

    /// Lets every call of a function count, also those that are rolled back.
    pub(crate) async fn count_calls(&self, function: &str) {
        self.client.batch_execute("create sequence public.calls").await.unwrap();
        self.instrument(function, "PERFORM nextval('public.calls');").await;
    }

    pub(crate) async fn calls(&self) -> i64 {
        self.number("select case when is_called then last_value else 0 end from public.calls").await
    }
}

/// Whether tests that go on for as long as they are let take long.
pub(crate) fn is_long() -> bool {
    std::env::var_os("PGMILL_LONG_TESTS").is_some()
}

pub(crate) fn builder(url: &str) -> ManagerBuilder {
    Manager::connect(url).namespace("app").migrate(false)
}

/// The URL with one more parameter.
pub(crate) fn with_parameter(url: &str, parameter: &str) -> String {
    let mark = if url.contains('?') { '&' } else { '?' };
    format!("{url}{mark}{parameter}")
}

/// Replaces a text of a function's definition, where it occurs first.
pub(crate) async fn rewrite(client: &Client, function: &str, from: &str, to: &str) {
    let row = client
        .query_one("select pg_get_functiondef(to_regproc('pgmill.' || $1))", &[&function])
        .await
        .unwrap();
    let definition: String = row.get(0);
    let rewritten = definition.replacen(from, to, 1);
    assert_ne!(rewritten, definition, "{from:?} is no part of {function}");
    client.batch_execute(&rewritten).await.unwrap();
}

pub(crate) async fn number(client: &Client, query: &str) -> i64 {
    client.query_one(query, &[]).await.unwrap().get(0)
}

pub(crate) fn payload(value: impl serde::Serialize) -> TaskMeta {
    TaskMeta::json(&value).unwrap()
}

pub(crate) async fn create(manager: &Manager, count: usize) -> Vec<Task> {
    manager.create_tasks(QUEUE, (0..count).map(payload)).await.unwrap()
}

/// Retains exactly one task.
pub(crate) async fn take(manager: &Manager) -> Task {
    manager.next_task("w", &[QUEUE]).await.unwrap().expect("a task that is due")
}

/// Retains so many tasks.
pub(crate) async fn take_many(manager: &Manager, count: usize) -> Vec<Task> {
    let tasks = manager.next_tasks("w", &[QUEUE], Retain::new().count(count)).await.unwrap();
    assert_eq!(tasks.len(), count);
    tasks
}
