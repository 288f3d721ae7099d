//! Tasks: created, looked up, listed, called off and tried again. What workers do with them is in `retain` and `release`.

use futures_util::Stream;
use pgmill_schema::{List, Task, TaskFilter, TaskMeta};
use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::{Client, Error};

/// A task to create, with the queue it goes to.
#[derive(Serialize)]
struct NewTask<'a> {
    queue: &'a str,
    #[serde(flatten)]
    meta: &'a TaskMeta,
}

/// Tasks in the order they were asked for.
#[derive(Deserialize)]
struct Created {
    #[serde(default = "Vec::new")]
    body: Vec<Task>,
}

impl Client {
    /// One page of the tasks, by creation. Repeated after transient failures.
    ///
    /// # Errors
    ///
    /// [`Error`], as with every method.
    pub async fn list_tasks(&self, filter: &TaskFilter) -> Result<List<Task>, Error> {
        self.fetch(tasks(filter).page(filter.page)).await
    }

    /// All tasks of a filter, page by page; the page that the filter names counts for nothing.
    ///
    /// What is there from the first page to the last comes exactly once. What comes or goes meanwhile may be left out; the
    /// stream ends even if tasks are created faster than they are read. After an error it ends.
    pub fn list_tasks_stream(
        &self,
        filter: &TaskFilter,
    ) -> impl Stream<Item = Result<Task, Error>> + Send + use<> {
        self.pages(tasks(filter), |task: &Task| task.id)
    }

    /// A task with its status and the attempts that did not succeed. Repeated after transient failures.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if there is none with this id, or none any more.
    pub async fn get_task(&self, id: u64) -> Result<Task, Error> {
        self.fetch(Call::get(&["task", &id.to_string()])).await
    }

    /// Creates a task. If its idempotency key is in use, none is created, and the task that has the key is returned.
    ///
    /// With a key it is repeated after transient failures, without one only if nothing was done for certain.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if there is no such queue; [`Error::is_outcome_unknown`] tells whether the task may have
    /// been created all the same.
    pub async fn create_task(&self, queue: &str, meta: &TaskMeta) -> Result<Task, Error> {
        let call = Call::post(&["task"]).repeatable_if(meta.key.is_some());
        self.fetch(call.json(&NewTask { queue, meta })?).await
    }

    /// Creates several tasks, 1 to 1000, all or none, and returns them in the given order. If all have an idempotency key, it
    /// is repeated after transient failures, otherwise only if nothing was done for certain.
    ///
    /// # Errors
    ///
    /// As with [`create_task`](Client::create_task); the `detail` in [`Error::body`] has the `index` of the task that is at fault.
    pub async fn create_tasks<'a>(
        &self,
        tasks: impl IntoIterator<Item = (&'a str, &'a TaskMeta)>,
    ) -> Result<Vec<Task>, Error> {
        let tasks: Vec<_> = tasks.into_iter().map(|(queue, meta)| NewTask { queue, meta }).collect();
        let keyed = tasks.iter().all(|task| task.meta.key.is_some());
        let created: Created = self.fetch(Call::post(&["task"]).repeatable_if(keyed).json(&tasks)?).await?;
        Ok(created.body)
    }

    /// Calls off a task that has not ended. Whoever works on it learns it at its next heartbeat or release. Repeated only if
    /// nothing was done for certain.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if there is none with this id, [`Error::is_conflict`] if it has ended.
    pub async fn cancel_task(&self, id: u64) -> Result<Task, Error> {
        self.fetch(Call::delete(&["task", &id.to_string()])).await
    }

    /// Gives a task that has ended all its attempts anew, under the same id and due now. Repeated only if nothing was done for
    /// certain.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] if there is none with this id, [`Error::is_conflict`] if it has not ended.
    pub async fn retry_task(&self, id: u64) -> Result<Task, Error> {
        self.fetch(Call::post(&["task", &id.to_string(), "retry"])).await
    }
}

fn tasks(filter: &TaskFilter) -> Call {
    let call = Call::get(&["task"]).query_all("queue", &filter.queue);
    call.query_all("status", filter.status)
}
