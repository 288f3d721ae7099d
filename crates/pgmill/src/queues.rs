//! What a [`Manager`] does with queues.

use std::time::Duration;

use pgmill_schema::{List, ListRequest, Queue, QueueCounts, QueueMeta, QueueName, QueueStatus, Task};
use pgmill_store::StoreError;

use crate::error::QueueError;
use crate::manager::Manager;

/// The most tasks that one call of `clean_queue` removes.
const CLEAN_LIMIT: i32 = 1_000;

impl Manager {
    /// Creates the queue that `meta` names, or changes the settings that are given of the one there is.
    ///
    /// Tasks that exist keep the ttl and the retries they were created with.
    ///
    /// # Errors
    /// [`QueueError::Name`] and [`QueueError::Meta`] say what is allowed; nothing is written then.
    ///
    /// ```no_run
    /// # async fn example(manager: pgmill::Manager) -> Result<(), pgmill::QueueError> {
    /// use pgmill::{QueueMeta, hours, minutes};
    ///
    /// let emails = QueueMeta::new("emails").ttl(hours(24)).retries(3).retry_delay(minutes(1));
    /// let queue = manager.register_queue(emails).await?;
    /// assert_eq!(queue.retries, 3);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn register_queue(&self, meta: QueueMeta) -> Result<Queue, QueueError> {
        let queue = QueueName::new(&meta.queue)?;
        meta.validate()?;
        Ok(self.shared.store.register_queue(&self.namespace, &queue, &meta).await?)
    }

    /// Creates the queue that `meta` names.
    ///
    /// # Errors
    /// [`QueueError::Exists`] if there is one; of several that create it at once, one succeeds.
    pub async fn create_queue(&self, meta: QueueMeta) -> Result<Queue, QueueError> {
        let queue = QueueName::new(&meta.queue)?;
        meta.validate()?;
        let created = self.shared.store.create_queue(&self.namespace, &queue, &meta).await?;
        created.ok_or_else(|| self.exists(&queue))
    }

    /// The queues of the namespace, by name.
    ///
    /// # Errors
    /// If the page lies beyond 2^63, or the database fails.
    pub async fn list_queues(&self, page: ListRequest) -> Result<List<Queue>, QueueError> {
        page.validate()?;
        Ok(self.shared.store.list_queues(&self.namespace, &page).await?)
    }

    /// A queue.
    ///
    /// # Errors
    /// [`QueueError::NotFound`].
    pub async fn get_queue(&self, queue: &str) -> Result<Queue, QueueError> {
        let queue = QueueName::new(queue)?;
        self.found(self.shared.store.get_queue(&self.namespace, &queue).await?, &queue)
    }

    /// Changes the settings that are given of a queue, and its name where `meta` has one: tasks stay with it.
    ///
    /// # Errors
    /// [`QueueError::NothingToChange`] before anything else; [`QueueError::NotFound`]; [`QueueError::Exists`] if the new
    /// name is taken.
    pub async fn update_queue(&self, queue: &str, meta: QueueMeta) -> Result<Queue, QueueError> {
        let queue = QueueName::new(queue)?;
        if meta.is_empty_patch() {
            return Err(QueueError::NothingToChange);
        }
        let rename = if meta.queue.is_empty() { None } else { Some(QueueName::new(&meta.queue)?) };
        meta.validate()?;
        match self.shared.store.update_queue(&self.namespace, &queue, rename.as_ref(), &meta).await {
            Ok(updated) => self.found(updated, &queue),
            Err(error @ StoreError::Refused(_)) if error.constraint() == Some("queue_name") => {
                Err(self.exists(rename.as_ref().unwrap_or(&queue)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes a queue with all its tasks, those that are running too: their release finds no task. Returns what it was.
    ///
    /// # Errors
    /// [`QueueError::NotFound`]; a transient store error while a transaction that enqueued into it is open.
    pub async fn delete_queue(&self, queue: &str) -> Result<Queue, QueueError> {
        let queue = QueueName::new(queue)?;
        self.found(self.shared.store.delete_queue(&self.namespace, &queue).await?, &queue)
    }

    /// Pauses a queue: it takes tasks, and gives none until it is resumed. Those that run go on.
    ///
    /// # Errors
    /// [`QueueError::NotFound`].
    pub async fn pause_queue(&self, queue: &str) -> Result<Queue, QueueError> {
        let queue = QueueName::new(queue)?;
        self.found(self.shared.store.pause_queue(&self.namespace, &queue, true).await?, &queue)
    }

    /// Resumes a queue that was paused.
    ///
    /// # Errors
    /// [`QueueError::NotFound`].
    pub async fn resume_queue(&self, queue: &str) -> Result<Queue, QueueError> {
        let queue = QueueName::new(queue)?;
        let resumed =
            self.found(self.shared.store.pause_queue(&self.namespace, &queue, false).await?, &queue)?;
        self.shared.wakes.wake(&self.namespace, &queue, Duration::ZERO);
        Ok(resumed)
    }

    /// Removes finished tasks of a queue now, oldest first, at most 1,000, and returns them. Tasks that wait or run stay.
    /// A queue that does not exist has none.
    ///
    /// # Errors
    /// If the name is one no queue can have, or the database fails.
    pub async fn clean_queue(&self, queue: &str) -> Result<Vec<Task>, QueueError> {
        let queue = QueueName::new(queue)?;
        Ok(self.shared.store.clean_queue(&self.namespace, &queue, CLEAN_LIMIT).await?)
    }

    /// How many tasks each queue has in each status: seven rows a queue, zeros included, by queue and status.
    ///
    /// The numbers come from counters, at a cost that does not depend on how many tasks there are. A task past its
    /// `dies_at` counts as what it was before until [maintenance](Manager::maintain) has ended it.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_queue_statuses(&self) -> Result<Vec<QueueStatus>, QueueError> {
        Ok(self.shared.store.list_queue_statuses(&self.namespace).await?)
    }

    /// How many tasks a queue has in each status, by the counters, as [`list_queue_statuses`](Self::list_queue_statuses).
    ///
    /// # Errors
    /// [`QueueError::NotFound`].
    ///
    /// ```no_run
    /// # async fn example(manager: pgmill::Manager) -> Result<(), pgmill::QueueError> {
    /// let emails = manager.queue_status("emails").await?;
    /// println!("{} wait, {} failed", emails.tasks.new + emails.tasks.retry, emails.tasks.failed);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn queue_status(&self, queue: &str) -> Result<QueueCounts, QueueError> {
        let queue = QueueName::new(queue)?;
        let mut counts = self
            .shared
            .store
            .list_queue_counts(&self.namespace, Some(&queue), &ListRequest::new().limit(1))
            .await?;
        counts.body.pop().ok_or_else(|| self.missing(&queue))
    }

    /// How many tasks the queues of the namespace have in each status: one page of the queues, by name.
    ///
    /// # Errors
    /// If the page lies beyond 2^63, or the database fails.
    pub async fn list_queue_counts(&self, page: ListRequest) -> Result<List<QueueCounts>, QueueError> {
        page.validate()?;
        Ok(self.shared.store.list_queue_counts(&self.namespace, None, &page).await?)
    }

    /// The namespaces of the database that hold a queue or a ticker, and the system's, `pgmill`, in byte order.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_namespaces(&self) -> Result<Vec<String>, QueueError> {
        Ok(self.shared.store.list_namespaces().await?)
    }

    fn found(&self, found: Option<Queue>, queue: &QueueName) -> Result<Queue, QueueError> {
        found.ok_or_else(|| self.missing(queue))
    }

    fn missing(&self, queue: &QueueName) -> QueueError {
        QueueError::NotFound { namespace: self.namespace.to_string(), queue: queue.to_string() }
    }

    fn exists(&self, queue: &QueueName) -> QueueError {
        QueueError::Exists { namespace: self.namespace.to_string(), queue: queue.to_string() }
    }
}
