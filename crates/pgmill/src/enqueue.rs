//! How a [`Manager`] creates tasks.

use std::time::Duration;

use jiff::Timestamp;
use pgmill_schema::{Namespace, QueueName, Status, Task, TaskMeta, TaskMetaError, to_micros};
use pgmill_store::{Enqueued, NewTask, Store, StoreError};
use tokio::time::Instant;
use tokio_postgres::GenericClient;

use crate::batch::{Batcher, EnqueueCall, EnqueueFlight, Reply};
use crate::error::EnqueueError;
use crate::events::Change;
use crate::manager::Manager;
use crate::telemetry;

/// A task that was created, or the one that has its key.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Created {
    /// The task.
    pub task: Task,
    /// Whether it was created by this call. If not, it had the key already.
    pub is_new: bool,
}

/// Tells workers, and those who watch [events](Manager::events), of a task that was created in a transaction, once that is
/// committed.
#[must_use = "workers are not told of the task until this is sent, after the commit"]
#[derive(Debug)]
pub struct Wake {
    namespace: Namespace,
    queue: QueueName,
    due: Instant,
    /// The task, if it was created and not found under its key: its id, and when.
    created: Option<(u64, Timestamp)>,
}

impl Wake {
    /// Tells them. To be called after the commit: before it, they would find nothing.
    pub fn send(self, manager: &Manager) {
        manager.shared.floors.forget(&self.namespace, &self.queue);
        manager.shared.wakes.wake(
            &self.namespace,
            &self.queue,
            self.due.saturating_duration_since(Instant::now()),
        );
        if let Some((id, at)) = self.created {
            let change = Change::created(id, &self.namespace, &self.queue, at);
            manager.shared.events.publish_change(&change);
        }
    }
}

impl Manager {
    /// Creates a task, and returns it once it is durable.
    ///
    /// A task with a key that another task of the queue has, live or still retained in history, is not created: that
    /// other task is returned.
    ///
    /// # Errors
    /// [`EnqueueError`]; after all but [`EnqueueError::Unknown`] nothing is created.
    ///
    /// # Panics
    /// If called outside of a tokio runtime.
    ///
    /// ```no_run
    /// # async fn example(manager: pgmill::Manager) -> Result<(), Box<dyn std::error::Error>> {
    /// use pgmill::{TaskMeta, minutes};
    ///
    /// let payload = TaskMeta::json(&["a@example.com"])?;
    /// let task = manager.create_task("emails", payload.delay(minutes(5))).await?;
    /// println!("task {} starts at {:?}", task.id, task.delayed_at);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn create_task(&self, queue: &str, meta: TaskMeta) -> Result<Task, EnqueueError> {
        Ok(self.create_or_find_task(queue, meta).await?.task)
    }

    /// As [`create_task`](Self::create_task), and tells whether the task was created, or is the one that has the key.
    ///
    /// # Errors
    /// [`EnqueueError`]; after all but [`EnqueueError::Unknown`] nothing is created.
    ///
    /// # Panics
    /// If called outside of a tokio runtime.
    pub async fn create_or_find_task(&self, queue: &str, meta: TaskMeta) -> Result<Created, EnqueueError> {
        let queue = QueueName::new(queue)?;
        let operation = telemetry::creating(&self.namespace, &queue);
        let mut new = operation.span().in_scope(|| self.new_task(&queue, meta))?;
        loop {
            let call = submit(self.batcher(&new), new);
            let (sent, enqueued) = operation.within(call).await?;
            let task = match enqueued {
                Enqueued::KeyTaken(_) | Enqueued::Settled => self.task_of(sent, enqueued).await?,
                enqueued => Ok(self.created(sent, enqueued)?),
            };
            match task {
                Ok(task) => {
                    operation.span().record("messaging.message.id", task.id);
                    operation.done();
                    return Ok(Created { task, is_new: is_new(enqueued) });
                }
                // The task that had the key was removed between the two looks: the key is free now.
                Err(again) => new = again,
            }
        }
    }

    /// Creates a task in the caller's transaction, which commits or loses it. The task carries its id already; workers of
    /// this process are told by the [`Wake`], to be sent after the commit, and those of others find it by themselves.
    ///
    /// A task that is refused ([`EnqueueError::NoQueue`], [`EnqueueError::DelayedInPast`]) leaves the transaction in order.
    /// The queue cannot be deleted until the transaction ends.
    ///
    /// # Errors
    /// [`EnqueueError`]; never [`EnqueueError::Unknown`], which is the business of the commit.
    pub async fn create_task_in(
        &self,
        client: &impl GenericClient,
        queue: &str,
        meta: TaskMeta,
    ) -> Result<(Task, Wake), EnqueueError> {
        let queue = QueueName::new(queue)?;
        let operation = telemetry::creating(&self.namespace, &queue);
        let (task, created) = operation.within(self.create_in(client, &queue, meta)).await?;
        operation.span().record("messaging.message.id", task.id);
        operation.done();
        let wake = self.wake(queue, &task, created);
        Ok((task, wake))
    }

    /// The task, and whether it was created.
    async fn create_in(
        &self,
        client: &impl GenericClient,
        queue: &QueueName,
        meta: TaskMeta,
    ) -> Result<(Task, bool), EnqueueError> {
        let mut new = self.new_task(queue, meta)?;
        loop {
            new.id = Store::reserve_id_in(client).await.map_err(store)?;
            match Store::enqueue_in(client, &new).await.map_err(store)? {
                Enqueued::KeyTaken(id) => {
                    let taken = Store::get_task_in(client, &self.namespace, id).await.map_err(store)?;
                    if let Some(task) = taken {
                        return Ok((task, false));
                    }
                }
                enqueued => return self.created(new, enqueued).map(|task| (task, true)),
            }
        }
    }

    pub(crate) fn wake(&self, queue: QueueName, task: &Task, created: bool) -> Wake {
        let due_in = task.delayed_at.map(|at| at.duration_since(task.created_at));
        let due_in = due_in.and_then(|due_in| due_in.try_into().ok()).unwrap_or(Duration::ZERO);
        let created = created.then_some((task.id, task.created_at));
        Wake { namespace: self.namespace.clone(), queue, due: Instant::now() + due_in, created }
    }

    pub(crate) fn new_task(&self, queue: &QueueName, meta: TaskMeta) -> Result<NewTask, EnqueueError> {
        #[cfg(feature = "otel")]
        let meta = telemetry::carrying_context(meta);
        meta.validate(self.shared.max_payload)?;
        let payload = meta.payload.ok_or(TaskMetaError::MissingPayload)?;
        Ok(NewTask {
            id: 0,
            namespace: self.namespace.clone(),
            queue: queue.clone(),
            payload,
            delayed_at: meta.delayed_at.map(storable),
            delay: meta.delay.map(to_micros),
            priority: i16::from(meta.priority),
            key: meta.key,
            traceparent: meta.traceparent,
        })
    }

    /// The task that an enqueue came to; what was to be created if its key belonged to a task that is gone since.
    pub(crate) async fn task_of(
        &self,
        new: NewTask,
        enqueued: Enqueued,
    ) -> Result<Result<Task, NewTask>, EnqueueError> {
        // In a box, for it is seldom needed, and the future of every call is as large as what it may ever wait for.
        let look_at = |id| Box::pin(self.shared.store.get_task(&self.namespace, id));
        match enqueued {
            Enqueued::KeyTaken(id) => Ok(look_at(id).await.map_err(store)?.ok_or(new)),
            // It may have gone on meanwhile, even to its end. That it cannot be looked at just now is no reason to say that
            // it was not created.
            Enqueued::Settled => match look_at(new.id).await {
                Ok(Some(task)) => Ok(Ok(task)),
                Ok(None) | Err(_) => self.created(new, Enqueued::Settled).map(Ok),
            },
            enqueued => self.created(new, enqueued).map(Ok),
        }
    }

    /// The task as it was created.
    pub(crate) fn created(&self, new: NewTask, enqueued: Enqueued) -> Result<Task, EnqueueError> {
        let mut task = Task {
            id: task_id(&new),
            payload: Some(new.payload),
            delayed_at: new.delayed_at,
            worker: None,
            namespace: new.namespace,
            queue: new.queue,
            result: None,
            created_at: Timestamp::UNIX_EPOCH,
            started_at: None,
            finished_at: None,
            dies_at: None,
            retries: 0,
            status: Some(Status::New),
            priority: u8::try_from(new.priority).unwrap_or(u8::MAX),
            attempt: 0,
            key: new.key,
            traceparent: new.traceparent,
            lease_until: None,
            holder: None,
            attempts: Vec::new(),
        };
        match enqueued {
            Enqueued::Created { created_at, run_at, dies_at, retries, .. } => {
                task.created_at = created_at;
                task.delayed_at = (run_at != created_at).then_some(run_at);
                task.dies_at = dies_at;
                task.retries = retries;
                Ok(task)
            }
            // Created, and gone without history or out of reach: all that is known is what was asked for.
            Enqueued::Settled | Enqueued::KeyTaken(_) => Ok(Task { status: None, ..task }),
            Enqueued::NoQueue => Err(EnqueueError::NoQueue {
                namespace: task.namespace.to_string(),
                queue: task.queue.to_string(),
            }),
            Enqueued::DelayedInPast => Err(EnqueueError::DelayedInPast),
        }
    }

    fn batcher(&self, task: &NewTask) -> &Batcher<EnqueueFlight> {
        if task.key.is_some() { &self.shared.keyed_enqueues } else { &self.shared.enqueues }
    }
}

/// Whether what an enqueue came to is a task of its own.
pub(crate) fn is_new(enqueued: Enqueued) -> bool {
    !matches!(enqueued, Enqueued::KeyTaken(_))
}

async fn submit(
    batcher: &Batcher<EnqueueFlight>,
    task: NewTask,
) -> Result<(NewTask, Enqueued), EnqueueError> {
    let (answer, waiting) = Reply::new(EnqueueError::Closed);
    batcher.submit(EnqueueCall { task, answer }).await.map_err(|_| EnqueueError::Closed)?;
    waiting.await.map_err(|_| EnqueueError::Closed)?
}

/// The time to the microsecond, as it will be read back. PostgreSQL knows fewer years than a timestamp does, but a start
/// before 1970 is in the past all the same.
fn storable(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond().max(0)).unwrap_or(time)
}

pub(crate) fn task_id(task: &NewTask) -> u64 {
    u64::try_from(task.id).unwrap_or_default()
}

pub(crate) fn store(error: StoreError) -> EnqueueError {
    EnqueueError::Store(error.into())
}
