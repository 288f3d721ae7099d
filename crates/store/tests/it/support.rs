//! A database with a namespace, and the few steps that every test takes.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use pgmill_schema::{Json, Namespace, Outcome, QueueMeta, QueueName, Status, Task, WorkerName};
use pgmill_store::{Caller, Demand, Ended, Ending, Enqueued, Fence, NewTask, Retained, Sending, Store};
use pgmill_testkit::{TestDatabase, TestServer};
use tokio_postgres::Client;

pub(crate) struct Fixture {
    pub(crate) database: TestDatabase,
    pub(crate) store: Store,
    /// A connection beside the store, to look at rows and to change them behind its back.
    pub(crate) client: Client,
    pub(crate) namespace: Namespace,
    holder: AtomicI64,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::on(TestServer::shared()).await
    }

    /// On a server of the test's own: where sessions of others would have a say in what it looks at.
    pub(crate) async fn on(server: &TestServer) -> Self {
        let database = TestDatabase::create_on(server).await;
        let store = database.store();
        Self::with(database, store).await
    }

    pub(crate) async fn with(database: TestDatabase, store: Store) -> Self {
        let client = database.connect().await;
        Self { client, store, namespace: namespace("app"), holder: AtomicI64::new(2), database }
    }

    /// Registers a queue under the name of `meta`.
    pub(crate) async fn queue(&self, meta: QueueMeta) -> QueueName {
        let queue = queue(&meta.queue);
        self.store.register_queue(&self.namespace, &queue, &meta).await.unwrap();
        queue
    }

    /// A queue of defaults.
    pub(crate) async fn plain_queue(&self) -> QueueName {
        self.queue(QueueMeta::new("plain")).await
    }

    /// A task with a reserved id.
    pub(crate) async fn new_task(&self, queue: &QueueName) -> NewTask {
        self.new_tasks(queue, 1).await.remove(0)
    }

    pub(crate) async fn new_tasks(&self, queue: &QueueName, count: i32) -> Vec<NewTask> {
        let ids = self.store.reserve_ids(count).await.unwrap();
        ids.into_iter().map(|id| new_task(id, &self.namespace, queue)).collect()
    }

    /// Creates tasks, and returns their ids.
    pub(crate) async fn create(&self, queue: &QueueName, count: i32) -> Vec<i64> {
        self.create_all(&self.new_tasks(queue, count).await).await
    }

    pub(crate) async fn create_all(&self, tasks: &[NewTask]) -> Vec<i64> {
        let answers = self.store.enqueue(tasks, Sending::First).await.unwrap();
        assert!(answers.iter().all(|answer| matches!(answer, Enqueued::Created { .. })), "{answers:?}");
        tasks.iter().map(|task| task.id).collect()
    }

    pub(crate) async fn retain(&self, queue: &QueueName, want: i32) -> Vec<Retained> {
        self.retain_as(self.next_holder(), queue, want).await
    }

    pub(crate) async fn retain_as(&self, holder: i64, queue: &QueueName, want: i32) -> Vec<Retained> {
        let demand = Demand { namespace: self.namespace.clone(), queues: vec![queue.clone()] };
        self.store.retain(&[demand], &[caller(0, want)], &[], holder, &[]).await.unwrap()
    }

    pub(crate) async fn retain_one(&self, queue: &QueueName) -> Task {
        let mut retained = self.retain(queue, 1).await;
        assert_eq!(retained.len(), 1, "a task to retain");
        retained.remove(0).task
    }

    pub(crate) fn next_holder(&self) -> i64 {
        self.holder.fetch_add(2, Ordering::Relaxed)
    }

    /// An ending of the attempt that was retained.
    pub(crate) fn ending(&self, task: &Task, outcome: Outcome) -> Ending {
        Ending {
            namespace: self.namespace.clone(),
            fence: Fence::Claim(task.claim().expect("a retained task")),
            outcome,
            task: None,
        }
    }

    pub(crate) async fn release(&self, task: &Task, outcome: Outcome) -> Ended {
        self.end(self.ending(task, outcome)).await
    }

    pub(crate) async fn end(&self, ending: Ending) -> Ended {
        self.store.release(&[ending], Sending::First).await.unwrap().remove(0)
    }

    /// Retains and releases one task.
    pub(crate) async fn finish_one(&self, queue: &QueueName, outcome: Outcome) -> Task {
        let task = self.retain_one(queue).await;
        released(self.release(&task, outcome).await)
    }

    pub(crate) async fn task(&self, id: i64) -> Option<Task> {
        self.store.get_task_with_attempts(&self.namespace, id).await.unwrap()
    }

    pub(crate) async fn status(&self, id: i64) -> Option<Status> {
        self.task(id).await.and_then(|task| task.status)
    }

    pub(crate) async fn sql(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// What a query of one bigint answers.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        self.client.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
    }

    /// As if all that is retained had been so for longer than its lease.
    pub(crate) async fn lapse_leases(&self) {
        self.sql(
            "UPDATE pgmill.task SET lease_until = now() - interval '1 second' WHERE lease_until IS NOT NULL",
        )
        .await;
    }

    /// As if every pause were over.
    pub(crate) async fn skip_pauses(&self) {
        self.sql("UPDATE pgmill.task SET run_at = now() WHERE run_at > now()").await;
    }

    /// A transaction of somebody else that holds the row of the task until it is dropped.
    pub(crate) async fn lock_row(&self, id: i64) -> Client {
        let client = self.database.connect().await;
        client
            .batch_execute(&format!("BEGIN; SELECT FROM pgmill.task WHERE id = {id} FOR UPDATE"))
            .await
            .unwrap();
        client
    }
}

pub(crate) fn namespace(name: &str) -> Namespace {
    Namespace::new(name).unwrap()
}

pub(crate) fn queue(name: &str) -> QueueName {
    QueueName::new(name).unwrap()
}

pub(crate) fn new_task(id: i64, namespace: &Namespace, queue: &QueueName) -> NewTask {
    NewTask {
        id,
        namespace: namespace.clone(),
        queue: queue.clone(),
        payload: Json::encode(&id).unwrap(),
        delayed_at: None,
        delay: None,
        priority: 5,
        key: None,
        traceparent: None,
    }
}

pub(crate) fn caller(demand: usize, want: i32) -> Caller {
    Caller { demand, want, worker: WorkerName::new("worker").unwrap(), lease: None, fenced: false }
}

pub(crate) fn done() -> Outcome {
    Outcome::done_empty()
}

pub(crate) fn retry() -> Outcome {
    Outcome::retry(&"try again").unwrap()
}

pub(crate) fn released(ended: Ended) -> Task {
    match ended {
        Ended::Released { task, .. } => *task,
        other => panic!("not released: {other:?}"),
    }
}

pub(crate) fn ids(retained: &[Retained]) -> Vec<i64> {
    retained.iter().map(|retained| retained.task.id.cast_signed()).collect()
}

pub(crate) fn sorted(mut ids: Vec<i64>) -> Vec<i64> {
    ids.sort_unstable();
    ids
}

/// Seconds from one time to another.
pub(crate) fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

pub(crate) fn ago(seconds: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_secs(seconds)
}
