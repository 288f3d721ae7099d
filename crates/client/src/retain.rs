//! What a worker takes.

use std::fmt;
use std::time::Duration;

use pgmill_schema::Task;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::call::{Call, Success};
use crate::{Client, Error};

/// What a retain gave out for one attempt: whoever has it may extend the lease and end the attempt. It is opaque, and not
/// printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Lease(String);

impl Lease {
    /// The token of an answer that was kept elsewhere.
    #[must_use]
    pub fn new(token: impl Into<String>) -> Lease {
        Lease(token.into())
    }

    /// The token, to be kept elsewhere.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lease(…)")
    }
}

/// A task, and the right to work on it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RetainedTask {
    /// The task.
    pub task: Task,
    /// What its heartbeat and its release show; `None` from a server that gives out none.
    pub lease: Option<Lease>,
}

/// Which tasks to retain. By default one, of any queue, without waiting.
///
/// ```
/// use pgmill_client::Retain;
/// use pgmill_schema::seconds;
///
/// let retain = Retain::new("worker-1").queues(["emails", "reports"]).count(10).wait(seconds(30));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "it says what to retain, and does nothing by itself"]
pub struct Retain {
    worker: String,
    queues: Vec<String>,
    count: usize,
    wait: Option<Duration>,
    lease: Option<Duration>,
}

impl Retain {
    /// For the worker of this name, which is a label only.
    pub fn new(worker: impl Into<String>) -> Retain {
        Retain { worker: worker.into(), queues: Vec::new(), count: 1, wait: None, lease: None }
    }

    /// Adds these queues to those to take from. Without any, all of the namespace are.
    pub fn queues(mut self, queues: impl IntoIterator<Item = impl Into<String>>) -> Retain {
        self.queues.extend(queues.into_iter().map(Into::into));
        self
    }

    /// Sets how many tasks to take at most: 1 to 1000. Default 1.
    pub fn count(self, count: usize) -> Retain {
        Retain { count, ..self }
    }

    /// Sets how long to wait for a task if there is none: at most 60 s. Default not at all.
    pub fn wait(self, wait: Duration) -> Retain {
        Retain { wait: Some(wait), ..self }
    }

    /// Sets how long to hold the tasks without a heartbeat: 1 s to 30 days. Default what the queue says. After this a release
    /// needs the lease, so the task must be released as a [`RetainedTask`].
    pub fn lease(self, lease: Duration) -> Retain {
        Retain { lease: Some(lease), ..self }
    }

    fn call(&self) -> Call {
        // The path is what every server knows; further queues are known to ours.
        let call = match self.queues.as_slice() {
            [queue] => Call::put(&["task", queue]).query("worker", &self.worker),
            queues => Call::put(&["task"]).query("worker", &self.worker).query_all("queue", queues),
        };
        let call = call.query_all("wait", self.wait.map(nanos)).query_all("lease", self.lease.map(nanos));
        call.waits(self.wait.unwrap_or_default())
    }
}

/// A duration in a query: its nanoseconds.
fn nanos(duration: Duration) -> u128 {
    duration.as_nanos()
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    body: Option<Vec<Box<RawValue>>>,
}

#[derive(Deserialize)]
struct Given {
    #[serde(default)]
    lease: Option<Lease>,
}

impl Client {
    /// Takes the next task of these queues, or of any if none is named; `None` if there is none to take.
    ///
    /// Repeated only if the server was not reached, or refused to look at it (429): a retain whose answer is lost would leave a
    /// task waiting for its lease to lapse, and a second one might take another.
    ///
    /// # Errors
    ///
    /// [`Error`], as with every method.
    pub async fn retain_task(&self, worker: &str, queues: &[&str]) -> Result<Option<RetainedTask>, Error> {
        self.retain_one(&Retain::new(worker).queues(queues.iter().copied())).await
    }

    /// The same with options; how many tasks they want counts for nothing.
    ///
    /// # Errors
    ///
    /// [`Error`], as with every method.
    pub async fn retain_one(&self, retain: &Retain) -> Result<Option<RetainedTask>, Error> {
        let call = retain.call();
        let told = |error: Error| error.asked(|| call.asked());
        match self.send(&call).await {
            Ok(success) => {
                let text =
                    std::str::from_utf8(&success.body).map_err(|error| told(success.unreadable(error)))?;
                retained(&success, text).map(Some).map_err(told)
            }
            Err(error) if is_none_available(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes several tasks at once; none if there is none to take. Repeated as [`retain_task`](Client::retain_task) is.
    ///
    /// # Errors
    ///
    /// [`Error`], as with every method.
    pub async fn retain_tasks(&self, retain: &Retain) -> Result<Vec<RetainedTask>, Error> {
        let call = retain.call().query("n", &retain.count);
        let told = |error: Error| error.asked(|| call.asked());
        let success = self.send(&call).await?;
        let page: Page = success.decode().map_err(told)?;
        let tasks = page.body.unwrap_or_default();
        tasks.iter().map(|task| retained(&success, task.get()).map_err(told)).collect()
    }
}

/// Reads a task and its lease, each by itself: JSON that is kept raw cannot be read as part of something flattened.
fn retained(success: &Success, text: &str) -> Result<RetainedTask, Error> {
    let task = serde_json::from_str(text).map_err(|error| success.unreadable(error))?;
    let Given { lease } = serde_json::from_str(text).map_err(|error| success.unreadable(error))?;
    Ok(RetainedTask { task, lease })
}

/// Whether that was the answer of a queue with nothing to do. A server without names for errors has the words of the contract.
fn is_none_available(error: &Error) -> bool {
    let named = || error.reason() == Some("Not Found: no task available");
    error.is_not_found() && error.code().map_or_else(named, |code| code == "no_task_available")
}
