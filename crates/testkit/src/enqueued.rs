//! Assertions about the tasks of a queue.

use std::fmt::Write;
use std::panic::Location;

use pgmill::{Manager, Status, Task, TaskFilter};
use pgmill_store::Store;
use tokio_postgres::GenericClient;

use crate::inline::name;
use crate::task_match::{TaskMatch, delay_of};

/// How many tasks are read at a time.
const PAGE: u64 = 100;
/// How many tasks a message shows.
const SHOWN: usize = 20;
/// How many characters of a payload a message shows.
const PAYLOAD: usize = 200;

/// Asserts that a task waits in a queue, and returns all that do and are such as wanted, by id.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use pgmill::{Manager, QueueMeta, TaskMeta, minutes};
/// use pgmill_testkit::{TaskMatch, TestDatabase, assert_enqueued, assert_not_enqueued};
/// use serde_json::json;
///
/// let database = TestDatabase::create().await;
/// let manager = Manager::connect(database.url()).await?;
/// manager.register_queue(QueueMeta::new("emails")).await?;
/// let email = TaskMeta::json(&json!({"to": "ann@example.com", "kind": "welcome"}))?;
/// manager.create_task("emails", email.delay(minutes(5)).key("welcome-ann")).await?;
///
/// assert_enqueued(&manager, "emails", json!({"to": "ann@example.com"})).await;
/// let once = TaskMatch::any().key("welcome-ann").delay(minutes(5)).count(1);
/// let tasks = assert_enqueued(&manager, "emails", once).await;
/// assert_eq!(tasks[0].priority, 5);
/// assert_not_enqueued(&manager, "emails", json!({"to": "bob@example.com"})).await;
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// If there is none, or not as many as [`TaskMatch::count`] says, with what is in the queue, and what of it is not as wanted;
/// or if the queue does not exist.
#[track_caller]
pub fn assert_enqueued(
    manager: &Manager,
    queue: &str,
    wanted: impl Into<TaskMatch>,
) -> impl Future<Output = Vec<Task>> {
    let look = Look::new(manager, queue, wanted.into());
    async move { look.enqueued(look.of_manager().await).await }
}

/// As [`assert_enqueued`], in the transaction of `client`, which sees what it has created itself and not yet committed.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use pgmill::{Manager, QueueMeta, TaskMeta};
/// use pgmill_testkit::{TestDatabase, assert_enqueued_in, assert_not_enqueued};
///
/// let database = TestDatabase::create().await;
/// let manager = Manager::connect(database.url()).await?;
/// manager.register_queue(QueueMeta::new("emails")).await?;
/// let mut client = database.connect().await;
///
/// let transaction = client.transaction().await?;
/// let (task, _wake) = manager.create_task_in(&transaction, "emails", TaskMeta::json("ann")?).await?;
/// assert_enqueued_in(&manager, &transaction, "emails", "ann").await;
/// transaction.rollback().await?;
/// assert_not_enqueued(&manager, "emails", "ann").await;
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// As [`assert_enqueued`].
#[track_caller]
pub fn assert_enqueued_in(
    manager: &Manager,
    client: &impl GenericClient,
    queue: &str,
    wanted: impl Into<TaskMatch>,
) -> impl Future<Output = Vec<Task>> {
    let look = Look::new(manager, queue, wanted.into());
    async move { look.enqueued(look.of_client(client).await).await }
}

/// Asserts that no task that waits in a queue is such as described.
///
/// # Panics
/// If there is one, with what is in the queue; or if the queue does not exist.
#[track_caller]
pub fn assert_not_enqueued(
    manager: &Manager,
    queue: &str,
    unwanted: impl Into<TaskMatch>,
) -> impl Future<Output = ()> {
    let look = Look::new(manager, queue, unwanted.into());
    async move { look.not_enqueued(look.of_manager().await).await }
}

/// As [`assert_not_enqueued`], in the transaction of `client`.
///
/// # Panics
/// As [`assert_not_enqueued`].
#[track_caller]
pub fn assert_not_enqueued_in(
    manager: &Manager,
    client: &impl GenericClient,
    queue: &str,
    unwanted: impl Into<TaskMatch>,
) -> impl Future<Output = ()> {
    let look = Look::new(manager, queue, unwanted.into());
    async move { look.not_enqueued(look.of_client(client).await).await }
}

/// A look at a queue.
struct Look {
    manager: Manager,
    queue: String,
    wanted: TaskMatch,
    caller: &'static Location<'static>,
}

impl Look {
    #[track_caller]
    fn new(manager: &Manager, queue: &str, wanted: TaskMatch) -> Self {
        Self { manager: manager.clone(), queue: queue.to_owned(), wanted, caller: Location::caller() }
    }

    fn filter(&self) -> TaskFilter {
        TaskFilter::new().queue(name(&self.queue)).limit(PAGE)
    }

    async fn of_manager(&self) -> Vec<Task> {
        self.read(None::<&tokio_postgres::Client>).await
    }

    async fn of_client(&self, client: &impl GenericClient) -> Vec<Task> {
        self.read(Some(client)).await
    }

    /// All tasks of the queue, live and finished, by creation: as the client sees them, or else as everybody does.
    async fn read(&self, client: Option<&impl GenericClient>) -> Vec<Task> {
        let Self { manager, queue, caller, .. } = self;
        let mut tasks = Vec::new();
        loop {
            let offset = u64::try_from(tasks.len()).unwrap_or(u64::MAX);
            let filter = self.filter().offset(offset);
            let page = match client {
                Some(client) => Store::list_tasks_in(client, manager.namespace(), &filter)
                    .await
                    .map_err(|error| error.to_string()),
                None => {
                    manager.list_tasks(filter).await.map(|page| page.body).map_err(|error| error.to_string())
                }
            };
            let page =
                page.unwrap_or_else(|error| panic!("{caller}: queue {queue} cannot be looked at: {error}"));
            if page.is_empty() {
                return tasks;
            }
            tasks.extend(page);
        }
    }

    fn matching(&self, tasks: &[Task]) -> Vec<Task> {
        let concerned = tasks.iter().filter(|task| self.wanted.concerns(task));
        concerned.filter(|task| self.wanted.unmet(task).is_empty()).cloned().collect()
    }

    async fn enqueued(&self, tasks: Vec<Task>) -> Vec<Task> {
        let matching = self.matching(&tasks);
        let enough = match self.wanted.count {
            Some(count) => matching.len() == count,
            None => !matching.is_empty(),
        };
        if !enough {
            let count = self.wanted.count.map_or_else(|| "at least 1".to_owned(), |count| count.to_string());
            self.fail(&format!("wanted {count}, found {}", matching.len()), &tasks).await;
        }
        matching
    }

    async fn not_enqueued(&self, tasks: Vec<Task>) {
        let matching = self.matching(&tasks);
        if !matching.is_empty() {
            self.fail(&format!("wanted none, found {}", matching.len()), &tasks).await;
        }
        if tasks.is_empty() {
            self.assert_queue().await;
        }
    }

    /// An empty queue may be one whose name was misspelt.
    async fn assert_queue(&self) {
        let Self { manager, queue, caller, .. } = self;
        if let Err(error) = manager.get_queue(queue).await {
            panic!("{caller}: {error}");
        }
    }

    async fn fail(&self, what: &str, tasks: &[Task]) {
        if tasks.is_empty() {
            self.assert_queue().await;
        }
        let Self { manager, queue, wanted, caller } = self;
        panic!(
            "{caller}: tasks that are {} in queue {queue} of namespace {}: {what}\n  looked for: {wanted}\n{}",
            wanted.concerned(),
            manager.namespace(),
            self.report(tasks)
        )
    }

    /// What is there: the tasks that were asked about, each with what is not as wanted, and how many others.
    fn report(&self, tasks: &[Task]) -> String {
        let (concerned, others): (Vec<&Task>, Vec<&Task>) =
            tasks.iter().partition(|task| self.wanted.concerns(task));
        let mut report = match concerned.len() {
            0 => format!("  none is {} there", self.wanted.concerned()),
            count => format!("  there, {} {}:", count, self.wanted.concerned()),
        };
        for task in concerned.iter().take(SHOWN) {
            let unmet = self.wanted.unmet(task);
            let verdict = if unmet.is_empty() { "as described".to_owned() } else { not(&unmet) };
            // Writing to a string does not fail.
            let _ = write!(report, "\n    {}\n      {verdict}", describe(task));
        }
        if concerned.len() > SHOWN {
            let _ = write!(report, "\n    and {} more", concerned.len() - SHOWN);
        }
        for (status, count) in by_status(&others) {
            let _ = write!(report, "\n  also there, {count} {status}");
        }
        report
    }
}

fn not(unmet: &[&str]) -> String {
    format!("not as described: {}", unmet.join(", "))
}

fn by_status(tasks: &[&Task]) -> Vec<(Status, usize)> {
    let count = |status| tasks.iter().filter(|task| task.status == Some(status)).count();
    let counts = Status::ALL.iter().map(|status| (*status, count(*status)));
    counts.filter(|(_, count)| *count > 0).collect()
}

/// A task in one line.
fn describe(task: &Task) -> String {
    let status = task.status.map_or_else(String::new, |status| status.to_string());
    let mut text = format!("task {} ({status}), priority {}", task.id, task.priority);
    if let Some(key) = &task.key {
        let _ = write!(text, ", key {key:?}");
    }
    if task.delayed_at.is_some() {
        let _ = write!(text, ", delay {:?}", delay_of(task));
    }
    let payload = task.payload.as_ref().map_or("none", |payload| payload.as_str());
    let (shown, rest) = match payload.char_indices().nth(PAYLOAD) {
        Some((end, _)) => (&payload[..end], "…"),
        None => (payload, ""),
    };
    let _ = write!(text, ", payload {shown}{rest}");
    text
}
