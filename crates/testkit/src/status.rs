//! Waiting for what becomes of tasks that somebody else runs.

use std::panic::Location;
use std::time::Duration;

use pgmill::{LookupError, Manager, Status, Task};

use crate::wait::Pauses;

/// Waits until a task has this status, and returns it as it is then, with its attempts.
///
/// Asks at once, whatever the limit, and then at growing intervals of at most 25 ms. A status that does not last, such as `retained`, may be
/// missed. One that a task ends with lasts: it is enough to wait for that.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use pgmill::{Context, Manager, QueueMeta, Status, TaskError, TaskMeta, WorkerPool, seconds};
/// use pgmill_testkit::{TestDatabase, wait_for_status};
/// use tokio_util::sync::CancellationToken;
///
/// let database = TestDatabase::create().await;
/// let manager = Manager::connect(database.url()).await?;
/// let pool = WorkerPool::builder(&manager).build()?;
/// let length = |_: Context, word: String| async move { Ok::<_, TaskError>(word.len()) };
/// pool.register_queue(QueueMeta::new("words"), length).await?;
/// let stop = CancellationToken::new();
/// let running = tokio::spawn({
///     let stop = stop.clone();
///     async move { pool.run(stop).await }
/// });
///
/// let task = manager.create_task("words", TaskMeta::json("word")?).await?;
/// let done = wait_for_status(&manager, task.id, Status::Released, seconds(10)).await;
/// assert_eq!(done.result.map(|result| result.decode()), Some(Ok(4)));
/// stop.cancel();
/// running.await??;
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// If the task does not have the status within the limit, with what was found instead; at once if it has ended with
/// another status, for it stays with that.
#[track_caller]
pub fn wait_for_status(
    manager: &Manager,
    id: u64,
    status: Status,
    limit: Duration,
) -> impl Future<Output = Task> {
    let caller = Location::caller();
    async move {
        let mut all = wait(manager, &[id], status, limit, caller).await;
        all.pop().unwrap_or_else(|| panic!("{caller}: there is no task {id}"))
    }
}

/// Waits until each of these tasks has this status, and returns them in the order of the ids, as
/// [`wait_for_status`] does. The limit is for all of them together.
///
/// ```no_run
/// # async fn example(manager: pgmill::Manager) -> Result<(), Box<dyn std::error::Error>> {
/// use pgmill::{Status, TaskMeta, seconds};
/// use pgmill_testkit::wait_for_all;
///
/// let words = ["a", "b"].map(|word| TaskMeta::json(word));
/// let tasks = manager.create_tasks("words", words.into_iter().collect::<Result<Vec<_>, _>>()?).await?;
/// let ids = tasks.iter().map(|task| task.id);
/// let done = wait_for_all(&manager, ids, Status::Released, seconds(10)).await;
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// As [`wait_for_status`].
#[track_caller]
pub fn wait_for_all(
    manager: &Manager,
    ids: impl IntoIterator<Item = u64>,
    status: Status,
    limit: Duration,
) -> impl Future<Output = Vec<Task>> {
    let caller = Location::caller();
    let ids: Vec<u64> = ids.into_iter().collect();
    async move { wait(manager, &ids, status, limit, caller).await }
}

async fn wait(
    manager: &Manager,
    ids: &[u64],
    status: Status,
    limit: Duration,
    caller: &Location<'_>,
) -> Vec<Task> {
    let mut found: Vec<Task> = Vec::new();
    let mut pauses = Pauses::new();
    while let Some(id) = ids.get(found.len()) {
        let instead = match manager.get_task(*id).await {
            Ok(task) if task.status == Some(status) => {
                found.push(task);
                continue;
            }
            Ok(task) => {
                let is_over = task.status.is_some_and(Status::is_finished);
                let instead = describe(&task);
                assert!(!is_over, "{caller}: task {id} will never be {status}: it is {instead}");
                instead
            }
            Err(error) => missing(&error),
        };
        if pauses.waited() >= limit {
            let others = match (found.len(), ids.len()) {
                (_, 1) => String::new(),
                (found, all) => format!(" ({found} of {all} tasks were {status} by then)"),
            };
            panic!("{caller}: waited {pauses} for task {id} to be {status}, and it is {instead}{others}");
        }
        pauses.pause().await;
    }
    found
}

/// A task in a few words: where it stands, and what went wrong.
fn describe(task: &Task) -> String {
    let status = task.status.map_or_else(|| "of unknown status".to_owned(), |status| status.to_string());
    let mut text = format!("{status} in queue {}", task.queue);
    if let Some(worker) = task.worker.as_ref().filter(|_| task.status == Some(Status::Retained)) {
        text = format!("{text}, by {worker}");
    }
    if let Some(at) = task.delayed_at.filter(|_| matches!(task.status, Some(Status::New | Status::Retry))) {
        text = format!("{text}, due at {at}");
    }
    if let Some(result) = &task.result {
        text = format!("{text}, with the result {}", result.as_str());
    }
    for attempt in &task.attempts {
        let error = attempt.error.as_ref().map_or("no message", |error| error.as_str());
        text = format!("{text}; attempt {} was {}: {error}", attempt.attempt, attempt.outcome);
    }
    text
}

fn missing(error: &LookupError) -> String {
    match error {
        LookupError::NotFound { .. } => {
            "not there: its transaction is not committed, or it has ended in a queue \
            that keeps no history, or it is in another namespace"
                .to_owned()
        }
        error => format!("out of reach: {error}"),
    }
}
