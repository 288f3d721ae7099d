//! Tasks as they are looked at and cleaned up; how they live is in `enqueue`, `retain` and `release`.

use jiff::Timestamp;
use pgmill_schema::{List, Namespace, QueueName, Status, Task, TaskFilter};
use tokio_postgres::GenericClient;
use tokio_postgres::types::ToSql;

use crate::error::StoreError;
use crate::queues::{limit, offset};
use crate::retain::Demand;
use crate::row::Reader;
use crate::session::run;
use crate::statement::{CLEAN_QUEUE, COUNT_TASKS, FIRST_DUE, GET_TASK, LIST_ATTEMPTS, LIST_TASKS};
use crate::store::Store;

/// A filter of tasks as parameters.
struct Page<'a> {
    queue: Option<&'a str>,
    status: Option<i16>,
    after_at: Option<Timestamp>,
    after: Option<i64>,
    offset: i64,
    limit: i64,
}

impl<'a> Page<'a> {
    fn of(filter: &'a TaskFilter) -> Self {
        Self {
            queue: filter.queue.as_ref().map(QueueName::as_str),
            status: filter.status.map(Status::code),
            after_at: filter.after.map(|place| place.created_at),
            after: filter.after.map(|place| i64::try_from(place.id).unwrap_or(i64::MAX)),
            offset: offset(&filter.page),
            limit: limit(&filter.page),
        }
    }

    fn params<'p>(&'p self, namespace: &'p &str) -> [&'p (dyn ToSql + Sync); 7] {
        [namespace, &self.queue, &self.status, &self.after_at, &self.after, &self.offset, &self.limit]
    }
}

impl Store {
    /// One task, live or finished, without its history of attempts; `None` where the namespace has no such task.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn get_task(&self, namespace: &Namespace, id: i64) -> Result<Option<Task>, StoreError> {
        let rows = self.look_up(&GET_TASK, &[&namespace.as_str(), &id]).await?;
        rows.first().map(|row| Reader::of(row).task()).transpose()
    }

    /// As [`get_task`](Self::get_task), in the transaction of `client`.
    ///
    /// # Errors
    /// Those of any statement; the transaction is then aborted by PostgreSQL.
    pub async fn get_task_in(
        client: &impl GenericClient,
        namespace: &Namespace,
        id: i64,
    ) -> Result<Option<Task>, StoreError> {
        let rows = run(client, &GET_TASK, &[&namespace.as_str(), &id]).await?;
        rows.first().map(|row| Reader::of(row).task()).transpose()
    }

    /// As [`get_task`](Self::get_task), with the attempts that did not succeed, first to last.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn get_task_with_attempts(
        &self,
        namespace: &Namespace,
        id: i64,
    ) -> Result<Option<Task>, StoreError> {
        let Some(mut task) = self.get_task(namespace, id).await? else { return Ok(None) };
        let rows = self.look_up(&LIST_ATTEMPTS, &[&namespace.as_str(), &id]).await?;
        task.attempts = rows.iter().map(|row| Reader::of(row).attempt()).collect::<Result<_, _>>()?;
        Ok(Some(task))
    }

    /// Tasks of a namespace by creation, live and finished. `count` comes from the counters.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn list_tasks(
        &self,
        namespace: &Namespace,
        filter: &TaskFilter,
    ) -> Result<List<Task>, StoreError> {
        let namespace = namespace.as_str();
        let page = Page::of(filter);
        let counted = self.look_up(&COUNT_TASKS, &[&namespace, &page.queue, &page.status]).await?;
        let count = counted.first().map(|row| Reader::of(row).count("count")).transpose()?.unwrap_or(0);
        let rows = self.look_up(&LIST_TASKS, &page.params(&namespace)).await?;
        let body = rows.iter().map(|row| Reader::of(row).task()).collect::<Result<_, _>>()?;
        Ok(List { offset: 0, limit: None, count, body })
    }

    /// As [`list_tasks`](Self::list_tasks), in the transaction of `client`, which sees its own.
    ///
    /// # Errors
    /// Those of any statement; the transaction is then aborted by PostgreSQL.
    pub async fn list_tasks_in(
        client: &impl GenericClient,
        namespace: &Namespace,
        filter: &TaskFilter,
    ) -> Result<Vec<Task>, StoreError> {
        let page = Page::of(filter);
        let rows = run(client, &LIST_TASKS, &page.params(&namespace.as_str())).await?;
        rows.iter().map(|row| Reader::of(row).task()).collect()
    }

    /// Whether the task that waits in these queues and comes first by time is due; `None` if no task waits there. With
    /// `hasten` it is made due if it is not. No queue stands for every queue of the namespace; paused ones do not count.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn first_due(&self, demand: &Demand, hasten: bool) -> Result<Option<bool>, StoreError> {
        let queues: Vec<&str> = demand.queues.iter().map(QueueName::as_str).collect();
        let rows = self.query(&FIRST_DUE, &[&demand.namespace.as_str(), &queues, &hasten]).await?;
        rows.first().map(|row| Reader::of(row).get("due")).transpose()
    }

    /// Removes up to `limit` finished tasks of a queue, oldest first, and returns them.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn clean_queue(
        &self,
        namespace: &Namespace,
        queue: &QueueName,
        limit: i32,
    ) -> Result<Vec<Task>, StoreError> {
        let rows = self.query(&CLEAN_QUEUE, &[&namespace.as_str(), &queue.as_str(), &limit]).await?;
        rows.iter().map(|row| Reader::of(row).task()).collect()
    }
}
