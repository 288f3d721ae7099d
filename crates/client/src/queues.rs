//! Namespaces and queues.

use std::collections::BTreeMap;

use futures_util::Stream;
use jiff::Timestamp;
use pgmill_schema::{List, ListRequest, Namespace, Queue, QueueMeta, QueueName, Status};
use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::{Client, Error};

/// How many tasks a queue has, by status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct QueueTasks {
    /// The name of the queue.
    pub queue: QueueName,
    /// The namespace of the queue.
    pub namespace: Namespace,
    /// Since when the queue hands out no tasks; `None` if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<Timestamp>,
    /// The number of tasks with each status.
    pub tasks: Counts,
}

/// The number of tasks with each status; [`Counts::of`] reads one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counts(BTreeMap<String, u64>);

impl Counts {
    /// The number of tasks with this status.
    #[must_use]
    pub fn of(&self, status: Status) -> u64 {
        self.0.get(status.as_str()).copied().unwrap_or(0)
    }
}

impl Client {
    /// The namespaces that have a queue or a ticker. Repeated after transient failures.
    ///
    /// # Errors
    ///
    /// [`Error`], as with every method.
    pub async fn list_namespaces(&self) -> Result<List<String>, Error> {
        self.fetch(Call::get(&["namespace"])).await
    }

    /// One page of the queues, by name. Repeated after transient failures.
    ///
    /// # Errors
    ///
    /// [`Error`], as with every method.
    pub async fn list_queues(&self, page: ListRequest) -> Result<List<Queue>, Error> {
        self.fetch(Call::get(&["queue"]).page(page)).await
    }

    /// All queues, page by page: see [`list_tasks_stream`](Client::list_tasks_stream).
    pub fn list_queues_stream(&self) -> impl Stream<Item = Result<Queue, Error>> + Send + use<> {
        self.pages(Call::get(&["queue"]), |queue: &Queue| queue.queue.clone())
    }

    /// A queue. Repeated after transient failures.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if there is none of this name.
    pub async fn get_queue(&self, queue: &str) -> Result<Queue, Error> {
        self.fetch(Call::get(&["queue", queue])).await
    }

    /// Creates a queue. Repeated only if nothing was done for certain.
    ///
    /// # Errors
    ///
    /// [`Error::is_conflict`] if the name is taken.
    pub async fn create_queue(&self, meta: &QueueMeta) -> Result<Queue, Error> {
        self.fetch(Call::post(&["queue"]).json(meta)?).await
    }

    /// Changes the settings of a queue that are set in `meta`. Repeated after transient failures, but if the change gives
    /// the queue another name, then only if nothing was done for certain.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if there is none of this name, [`Error::is_conflict`] if its new name is taken.
    pub async fn update_queue(&self, queue: &str, meta: &QueueMeta) -> Result<Queue, Error> {
        let call = Call::patch(&["queue", queue]).repeatable_if(meta.queue.is_empty());
        self.fetch(call.json(meta)?).await
    }

    /// Deletes a queue with its tasks, and returns what it was. Repeated only if nothing was done for certain.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if there is none of this name.
    pub async fn delete_queue(&self, queue: &str) -> Result<Queue, Error> {
        self.fetch(Call::delete(&["queue", queue])).await
    }

    /// Lets a queue hand out no more tasks. Repeated after transient failures.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if there is none of this name.
    pub async fn pause_queue(&self, queue: &str) -> Result<Queue, Error> {
        self.fetch(Call::post(&["queue", queue, "pause"]).repeatable_if(true)).await
    }

    /// Lets a queue hand out tasks again. Repeated after transient failures.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if there is none of this name.
    pub async fn resume_queue(&self, queue: &str) -> Result<Queue, Error> {
        self.fetch(Call::post(&["queue", queue, "resume"]).repeatable_if(true)).await
    }

    /// How many tasks a queue has, by status. Repeated after transient failures.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if there is none of this name.
    pub async fn queue_status(&self, queue: &str) -> Result<QueueTasks, Error> {
        self.fetch(Call::get(&["queue", queue, "status"])).await
    }

    /// How many tasks the queues have, by status: one page of the queues. Repeated after transient failures.
    ///
    /// # Errors
    ///
    /// [`Error`], as with every method.
    pub async fn list_statuses(&self, page: ListRequest) -> Result<List<QueueTasks>, Error> {
        self.fetch(Call::get(&["status"]).page(page)).await
    }

    /// The same of all queues, page by page: see [`list_tasks_stream`](Client::list_tasks_stream).
    pub fn list_statuses_stream(&self) -> impl Stream<Item = Result<QueueTasks, Error>> + Send + use<> {
        self.pages(Call::get(&["status"]), |queue: &QueueTasks| queue.queue.clone())
    }
}
