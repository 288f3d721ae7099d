//! Retained tasks as a stream.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::{Stream, StreamExt, stream};
use pgmill_schema::{NameError, Task, WorkerName};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::error::RetainError;
use crate::manager::Manager;
use crate::outage::Outage;
use crate::wakes::Arrivals;

/// A stream of retained tasks, made by [`Manager::run_task_loop`].
///
/// It retains a task when it is asked for one, so that nothing is held that nobody has. What it was retaining when it is
/// dropped is given back at once.
#[must_use = "nothing is retained until it is polled"]
pub struct TaskLoop {
    tasks: Pin<Box<dyn Stream<Item = Task> + Send>>,
}

struct State {
    manager: Manager,
    worker: String,
    queues: Vec<String>,
    arrivals: Arrivals,
    outage: Outage,
    shutdown: CancellationToken,
}

impl Manager {
    /// Retains the tasks of one, several or (`&[]`) any queue of the namespace, one after the other, under the name of a
    /// worker: a stream that waits for tasks, and ends when the token is cancelled or the manager is closed. A database
    /// that is away is waited for.
    ///
    /// Each task is leased for its queue's lease, to be [released](Self::release_task) by who takes it, and
    /// [extended](Self::heartbeat) where it takes longer. For several tasks at a time make several loops, or a
    /// [`WorkerPool`](crate::WorkerPool), which does all of that by itself.
    ///
    /// # Errors
    /// If a name is one no worker or queue can have.
    ///
    /// ```no_run
    /// # async fn example(manager: pgmill::Manager) -> Result<(), Box<dyn std::error::Error>> {
    /// use pgmill::Outcome;
    /// use tokio_util::sync::CancellationToken;
    ///
    /// let shutdown = CancellationToken::new();
    /// let mut tasks = manager.run_task_loop("worker-1", &["emails"], shutdown)?;
    /// while let Some(task) = tasks.next().await {
    ///     manager.release_task(&task, Outcome::done(&"sent")?).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn run_task_loop(
        &self,
        worker: &str,
        queues: &[&str],
        shutdown: CancellationToken,
    ) -> Result<TaskLoop, NameError> {
        let state = State {
            manager: self.clone(),
            worker: WorkerName::new(worker)?.as_str().to_owned(),
            // Before the first look, so that nothing is missed.
            arrivals: self.arrivals(queues)?,
            queues: queues.iter().map(ToString::to_string).collect(),
            outage: Outage::new("tasks cannot be retained"),
            shutdown,
        };
        let tasks = stream::unfold(state, |mut state| async move {
            let shutdown = state.shutdown.clone();
            let task = shutdown.run_until_cancelled(state.next()).await??;
            Some((task, state))
        });
        Ok(TaskLoop { tasks: Box::pin(tasks.fuse()) })
    }

    /// As [`run_task_loop`](Self::run_task_loop), for the queues of another namespace.
    ///
    /// # Errors
    /// If a name is one no namespace, worker or queue can have.
    pub fn run_task_loop_ns(
        &self,
        namespace: &str,
        worker: &str,
        queues: &[&str],
        shutdown: CancellationToken,
    ) -> Result<TaskLoop, NameError> {
        self.with_namespace(namespace)?.run_task_loop(worker, queues, shutdown)
    }
}

impl State {
    /// The next task; `None` if the manager is closed.
    async fn next(&mut self) -> Option<Task> {
        let queues: Vec<&str> = self.queues.iter().map(String::as_str).collect();
        loop {
            match self.manager.next_task(&self.worker, &queues).await {
                Ok(Some(task)) => {
                    self.outage.over();
                    if self.arrivals.is_unprompted() {
                        self.manager.shared.meters.missed(std::iter::once(&task));
                    }
                    self.arrivals.found();
                    return Some(task);
                }
                Ok(None) => {
                    self.outage.over();
                    self.arrivals.wait().await;
                }
                Err(RetainError::Closed) => return None,
                Err(error) => sleep(self.outage.failed(&error)).await,
            }
        }
    }
}

impl TaskLoop {
    /// Waits for the next task; `None` once the token is cancelled or the manager is closed. Nothing is lost if this is
    /// dropped before it returns.
    pub async fn next(&mut self) -> Option<Task> {
        self.tasks.next().await
    }
}

impl Stream for TaskLoop {
    type Item = Task;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Task>> {
        self.tasks.as_mut().poll_next(context)
    }
}

impl fmt::Debug for TaskLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskLoop").finish_non_exhaustive()
    }
}
