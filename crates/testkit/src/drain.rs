//! Running everything that a queue holds, in the test itself.

use std::fmt;
use std::future::IntoFuture;
use std::ops::Deref;
use std::pin::Pin;
use std::time::Duration;

use pgmill::{Context, InlineHandler, Manager, QueueName, Retain, Status, Task, TaskError, WorkerPool};
use pgmill_store::Demand;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::inline::{Inline, WORKER, perform};
use crate::outcome::Performed;

/// The most attempts by default: more look like a task that comes back for ever.
const MOST: usize = 1_000;
/// How often a task that is due may be held by somebody else's transaction when it is looked for.
const MISSES: usize = 1_000;
const MISSED: Duration = Duration::from_millis(5);

/// Runs the tasks of a queue with a handler, one after the other in the order in which a worker would get them, until none
/// is due any more; with [`ignoring_delays`](Drain::ignoring_delays), until none is left. Awaiting it does so.
///
/// Each task is retained, run and released as a pool does it, so that the queue's settings count: what failed is tried again
/// when it is due, what follow-up tasks a handler creates in the queue is run too. Tasks that others hold are left to them.
///
/// The handler is one of those that [`WorkerPool::register_queue`] takes. One that needs a state is drained by
/// [`Inline::drain`], and a whole pool by [`drain_pool`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use pgmill::{Context, Manager, QueueMeta, Status, TaskError, TaskMeta};
/// use pgmill_testkit::{TestDatabase, drain};
///
/// async fn flaky(context: Context, number: u32) -> Result<u32, TaskError> {
///     if context.attempt() == 1 { Err("not yet")? } else { Ok(number * 2) }
/// }
///
/// let database = TestDatabase::create().await;
/// let manager = Manager::connect(database.url()).await?;
/// manager.register_queue(QueueMeta::new("numbers")).await?;
/// manager.create_task("numbers", TaskMeta::json(&4)?).await?;
///
/// // The second attempt would be due in minutes.
/// let drained = drain(&manager, "numbers", flaky).ignoring_delays().await;
/// assert_eq!(drained.statuses(), [Status::Retry, Status::Released]);
/// assert_eq!(drained[0].outcome.message().as_deref(), Some("not yet"));
/// assert_eq!(drained[1].outcome.done::<u32>(), 8);
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// If the queue has a name it cannot have.
pub fn drain<T, R, F, Fut>(manager: &Manager, queue: &str, handler: F) -> Drain
where
    T: DeserializeOwned + 'static,
    R: Serialize + 'static,
    F: Fn(Context, T) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, TaskError>> + Send + 'static,
{
    Inline::new(manager).drain(queue, handler)
}

/// As [`drain`], for all queues of a pool, with the handlers that are registered there. The pool is not run, and may be
/// drained again. Its workers and weights do not count: tasks run one at a time, and the queues take turns.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use pgmill::{Context, Manager, QueueMeta, Status, TaskError, TaskMeta, WorkerPool};
/// use pgmill_testkit::{TestDatabase, drain_pool};
///
/// // As the program itself makes it.
/// async fn pool(manager: &Manager) -> Result<WorkerPool, Box<dyn std::error::Error>> {
///     let pool = WorkerPool::builder(manager).build()?;
///     pool.register_queue(QueueMeta::new("orders"), |context: Context, order: u64| async move {
///         context.manager().create_task("bills", TaskMeta::json(&order)?).await?;
///         Ok::<_, TaskError>(())
///     })
///     .await?;
///     pool.register_queue(QueueMeta::new("bills"), |_: Context, order: u64| async move {
///         Ok::<_, TaskError>(format!("bill for {order}"))
///     })
///     .await?;
///     Ok(pool)
/// }
///
/// let database = TestDatabase::create().await;
/// let manager = Manager::connect(database.url()).await?;
/// let pool = pool(&manager).await?;
/// manager.create_task("orders", TaskMeta::json(&17)?).await?;
///
/// let drained = drain_pool(&pool).await.await;
/// assert_eq!(drained.statuses(), [Status::Released, Status::Released]);
/// assert_eq!(drained[1].outcome.done::<String>(), "bill for 17");
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// If the pool has been run, for then its handlers belong to the run.
pub async fn drain_pool<S: Send + Sync + 'static>(pool: &WorkerPool<S>) -> Drain<S> {
    let handlers = pool.inline_handlers().await;
    let (manager, handlers) =
        handlers.unwrap_or_else(|| panic!("a pool that has been run cannot be drained"));
    Drain::new(&manager, handlers)
}

/// Runs what queues hold, once it is awaited. Made by [`drain`], [`drain_pool`] and [`Inline::drain`].
#[must_use = "nothing is run until it is awaited"]
pub struct Drain<S = ()> {
    manager: Manager,
    handlers: Vec<InlineHandler<S>>,
    ignoring_delays: bool,
    most: usize,
    token: CancellationToken,
}

impl<S: Send + Sync + 'static> Drain<S> {
    pub(crate) fn new(manager: &Manager, handlers: Vec<InlineHandler<S>>) -> Self {
        let (manager, token) = (manager.clone(), CancellationToken::new());
        Self { manager, handlers, ignoring_delays: false, most: MOST, token }
    }

    pub(crate) fn cancellation(self, token: CancellationToken) -> Self {
        Self { token, ..self }
    }

    /// Does not wait for delays, retry delays and snoozes: whenever no task is due, the next that would be is made due, so
    /// that tasks run in the order in which they would if the pauses had passed. Their [`delayed_at`](Task::delayed_at) is
    /// the time at which they were made due.
    pub fn ignoring_delays(self) -> Self {
        Self { ignoring_delays: true, ..self }
    }

    /// The most attempts. Default 1,000.
    pub fn at_most(self, attempts: usize) -> Self {
        Self { most: attempts, ..self }
    }

    async fn run(self) -> Drained {
        let mut performed = Vec::new();
        let mut misses = 0;
        loop {
            let before = performed.len();
            for handler in &self.handlers {
                if let Some(task) = self.next(handler.queues()).await {
                    assert!(
                        performed.len() < self.most,
                        "{} attempts, and there are more: does a task come back for ever? The last were {:?}",
                        self.most,
                        last(&performed)
                    );
                    performed.push(perform(&self.manager, handler, task, &self.token).await);
                }
            }
            if performed.len() > before {
                misses = 0;
            } else if self.is_empty().await {
                return Drained { performed };
            } else {
                misses += 1;
                assert!(misses < MISSES, "a task is due, and cannot be retained: who holds it?");
                if misses > 1 {
                    tokio::time::sleep(MISSED).await;
                }
            }
        }
    }

    async fn next(&self, queues: &[QueueName]) -> Option<Task> {
        let queues: Vec<&str> = queues.iter().map(QueueName::as_str).collect();
        let next = self.manager.next_tasks(WORKER, &queues, Retain::new()).await;
        next.unwrap_or_else(|error| panic!("the next task cannot be retained: {error}")).pop()
    }

    /// Whether nothing is to be had any more. Makes something due if that is wanted.
    async fn is_empty(&self) -> bool {
        let any = self.handlers.iter().any(|handler| handler.queues().is_empty());
        let queues = self.handlers.iter().filter(|_| !any).flat_map(InlineHandler::queues).cloned();
        let demand = Demand { namespace: self.manager.namespace().clone(), queues: queues.collect() };
        if self.handlers.is_empty() {
            return true;
        }
        let due = self.manager.store().first_due(&demand, self.ignoring_delays).await;
        due.unwrap_or_else(|error| panic!("the queue cannot be looked at: {error}")) != Some(true)
    }
}

fn last(performed: &[Performed]) -> Vec<(u64, Status)> {
    performed.iter().rev().take(5).map(|performed| (performed.task.id, performed.status)).collect()
}

impl<S: Send + Sync + 'static> IntoFuture for Drain<S> {
    type Output = Drained;
    type IntoFuture = Pin<Box<dyn Future<Output = Drained> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<S> fmt::Debug for Drain<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain")
            .field("handlers", &self.handlers)
            .field("ignoring_delays", &self.ignoring_delays)
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

/// The attempts that a [`Drain`] ran, in their order: a slice of [`Performed`].
#[derive(Debug, Clone)]
pub struct Drained {
    performed: Vec<Performed>,
}

impl Drained {
    /// What became of the tasks, attempt by attempt.
    pub fn statuses(&self) -> Vec<Status> {
        self.performed.iter().map(|performed| performed.status).collect()
    }

    /// The attempts of one task.
    pub fn of(&self, id: u64) -> impl Iterator<Item = &Performed> {
        self.performed.iter().filter(move |performed| performed.task.id == id)
    }
}

impl Deref for Drained {
    type Target = [Performed];

    fn deref(&self) -> &[Performed] {
        &self.performed
    }
}

impl IntoIterator for Drained {
    type Item = Performed;
    type IntoIter = std::vec::IntoIter<Performed>;

    fn into_iter(self) -> Self::IntoIter {
        self.performed.into_iter()
    }
}
