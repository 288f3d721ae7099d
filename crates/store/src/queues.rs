//! Queues: their settings, their names, their counts.

use pgmill_schema::{
    List, ListRequest, Namespace, Queue, QueueCounts, QueueMeta, QueueName, QueueStatus, TaskCounts, Ttl,
    to_micros,
};
use tokio_postgres::types::ToSql;

use crate::error::StoreError;
use crate::row::Reader;
use crate::statement::{
    CREATE_QUEUE, DELETE_QUEUE, GET_QUEUE, LIST_NAMESPACES, LIST_QUEUE_COUNTS, LIST_QUEUE_STATUSES,
    LIST_QUEUES, PAUSE_QUEUE, REGISTER_QUEUE, Statement, UPDATE_QUEUE,
};
use crate::store::Store;

/// The settings of a queue as parameters; null where none is given.
struct Settings {
    ttl_given: bool,
    ttl: Option<i64>,
    retries: Option<i32>,
    retry_delay: Option<i64>,
    backoff: Option<i16>,
    max_retry_delay: Option<i64>,
    retention: Option<i64>,
    retention_failed: Option<i64>,
    lease: Option<i64>,
}

impl Settings {
    fn of(meta: &QueueMeta) -> Self {
        Self {
            ttl_given: meta.ttl.is_some(),
            ttl: meta.ttl.and_then(Ttl::duration).map(to_micros),
            retries: meta.retries.map(|retries| i32::try_from(retries).unwrap_or(i32::MAX)),
            retry_delay: meta.retry_delay.map(to_micros),
            backoff: meta.backoff.map(pgmill_schema::Backoff::code),
            max_retry_delay: meta.max_retry_delay.map(to_micros),
            retention: meta.retention.map(to_micros),
            retention_failed: meta.retention_failed.map(to_micros),
            lease: meta.lease.map(to_micros),
        }
    }

    fn params<'a>(&'a self, namespace: &'a &str, queue: &'a &str) -> Vec<&'a (dyn ToSql + Sync)> {
        vec![
            namespace,
            queue,
            &self.ttl_given,
            &self.ttl,
            &self.retries,
            &self.retry_delay,
            &self.backoff,
            &self.max_retry_delay,
            &self.retention,
            &self.retention_failed,
            &self.lease,
        ]
    }
}

impl Store {
    /// Creates a queue; `None` where the name is taken. The settings of `meta` must be valid, its name is not used.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn create_queue(
        &self,
        namespace: &Namespace,
        queue: &QueueName,
        meta: &QueueMeta,
    ) -> Result<Option<Queue>, StoreError> {
        let settings = Settings::of(meta);
        self.one_queue(&CREATE_QUEUE, &settings.params(&namespace.as_str(), &queue.as_str())).await
    }

    /// Creates a queue, or changes the given settings of the one there is. The settings of `meta` must be valid.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn register_queue(
        &self,
        namespace: &Namespace,
        queue: &QueueName,
        meta: &QueueMeta,
    ) -> Result<Queue, StoreError> {
        let settings = Settings::of(meta);
        self.one_queue(&REGISTER_QUEUE, &settings.params(&namespace.as_str(), &queue.as_str()))
            .await?
            .ok_or_else(|| StoreError::unexpected("register_queue answered nothing"))
    }

    /// Changes the given settings of a queue, and its name where `rename` is given; `None` where there is no such queue.
    ///
    /// # Errors
    /// Those of any statement; [`StoreError::Refused`] with the constraint `queue_name` if the new name is taken.
    pub async fn update_queue(
        &self,
        namespace: &Namespace,
        queue: &QueueName,
        rename: Option<&QueueName>,
        meta: &QueueMeta,
    ) -> Result<Option<Queue>, StoreError> {
        let settings = Settings::of(meta);
        let rename = rename.map(QueueName::as_str);
        let namespace = namespace.as_str();
        let queue = queue.as_str();
        let mut params = settings.params(&namespace, &queue);
        params.push(&rename);
        self.one_queue(&UPDATE_QUEUE, &params).await
    }

    /// Deletes a queue with its tasks, and returns what it was; `None` where there is no such queue.
    ///
    /// # Errors
    /// Those of any statement; [`StoreError::Contended`] while a transaction that enqueued into it is open.
    pub async fn delete_queue(
        &self,
        namespace: &Namespace,
        queue: &QueueName,
    ) -> Result<Option<Queue>, StoreError> {
        self.one_queue(&DELETE_QUEUE, &[&namespace.as_str(), &queue.as_str()]).await
    }

    /// Pauses or resumes a queue; `None` where there is no such queue.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn pause_queue(
        &self,
        namespace: &Namespace,
        queue: &QueueName,
        pause: bool,
    ) -> Result<Option<Queue>, StoreError> {
        self.one_queue(&PAUSE_QUEUE, &[&namespace.as_str(), &queue.as_str(), &pause]).await
    }

    /// One queue; `None` where there is no such queue.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn get_queue(
        &self,
        namespace: &Namespace,
        queue: &QueueName,
    ) -> Result<Option<Queue>, StoreError> {
        let rows = self.look_up(&GET_QUEUE, &[&namespace.as_str(), &queue.as_str()]).await?;
        rows.first().map(|row| Reader::of(row).queue()).transpose()
    }

    /// The queues of a namespace, by name.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn list_queues(
        &self,
        namespace: &Namespace,
        page: &ListRequest,
    ) -> Result<List<Queue>, StoreError> {
        let rows = self.look_up(&LIST_QUEUES, &[&namespace.as_str(), &offset(page), &limit(page)]).await?;
        let count = rows.first().map(|row| Reader::of(row).count("count")).transpose()?.unwrap_or(0);
        let body = rows
            .iter()
            .map(Reader::of)
            .filter(|row| !matches!(row.get::<Option<i32>>("id"), Ok(None)))
            .map(|row| row.queue())
            .collect::<Result<_, _>>()?;
        Ok(List { offset: 0, limit: None, count, body })
    }

    /// The namespaces that hold a queue or a ticker, and the system's, in byte order.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn list_namespaces(&self) -> Result<Vec<String>, StoreError> {
        let rows = self.look_up(&LIST_NAMESPACES, &[]).await?;
        rows.iter().map(|row| Reader::of(row).get("ns")).collect()
    }

    /// How many tasks each queue of a namespace has in each status: seven rows a queue, by queue and status.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn list_queue_statuses(&self, namespace: &Namespace) -> Result<Vec<QueueStatus>, StoreError> {
        let rows = self.look_up(&LIST_QUEUE_STATUSES, &[&namespace.as_str()]).await?;
        rows.iter()
            .map(|row| {
                let row = Reader::of(row);
                Ok(QueueStatus {
                    namespace: namespace.clone(),
                    queue: row.queue_name()?,
                    status: row.status()?,
                    count: row.count("count")?,
                })
            })
            .collect()
    }

    /// How many tasks the queues of a namespace have in each status, by name, or one of them: then the list has it alone.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn list_queue_counts(
        &self,
        namespace: &Namespace,
        queue: Option<&QueueName>,
        page: &ListRequest,
    ) -> Result<List<QueueCounts>, StoreError> {
        let queue = queue.map(QueueName::as_str);
        let params: [&(dyn ToSql + Sync); 4] = [&namespace.as_str(), &queue, &offset(page), &limit(page)];
        let rows = self.look_up(&LIST_QUEUE_COUNTS, &params).await?;
        let count = rows.first().map(|row| Reader::of(row).count("count")).transpose()?.unwrap_or(0);
        let body = rows
            .iter()
            .map(Reader::of)
            .filter(|row| !matches!(row.get::<Option<&str>>("queue"), Ok(None)))
            .map(|row| queue_counts(&row, namespace))
            .collect::<Result<_, _>>()?;
        Ok(List { offset: 0, limit: None, count, body })
    }

    async fn one_queue(
        &self,
        statement: &Statement,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Queue>, StoreError> {
        let rows = self.query(statement, params).await?;
        rows.first().map(|row| Reader::of(row).queue()).transpose()
    }
}

fn queue_counts(row: &Reader<'_>, namespace: &Namespace) -> Result<QueueCounts, StoreError> {
    let tasks = TaskCounts {
        new: row.count("new")?,
        retry: row.count("retry")?,
        retained: row.count("retained")?,
        released: row.count("released")?,
        failed: row.count("failed")?,
        expired: row.count("expired")?,
        cancelled: row.count("cancelled")?,
    };
    let (queue, paused_at) = (row.queue_name()?, row.get("paused_at")?);
    Ok(QueueCounts { queue, namespace: namespace.clone(), paused_at, tasks })
}

pub(crate) fn offset(page: &ListRequest) -> i64 {
    i64::try_from(page.offset).unwrap_or(i64::MAX)
}

pub(crate) fn limit(page: &ListRequest) -> i64 {
    i64::try_from(page.effective_limit()).unwrap_or(i64::MAX)
}
