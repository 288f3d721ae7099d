//! How a [`Manager`] creates tasks.

use std::time::Duration;

use jiff::Timestamp;
use pgmill_schema::{Namespace, QueueName, Status, Task, TaskMeta, TaskMetaError, to_micros};
use pgmill_store::{Enqueued, NewTask, Sending, Store, StoreError};
use tokio::time::Instant;
use tokio_postgres::GenericClient;

use crate::batch::{Batch, Batcher, EnqueueCall, EnqueueFlight, Reply, Unsettled, due_in, publish, settle};
use crate::error::EnqueueError;
use crate::events::Change;
use crate::manager::Manager;
use crate::telemetry::{self, BatchMeters};

/// From how many tasks on a bulk travels by COPY. Measured with payloads of 100 B: a COPY is even with the statement at 300
/// to 500 tasks, takes three quarters of its time at 1,000 and half at 10,000. That is without a network; the six round
/// trips of a COPY need some hundred tasks more to pay where each takes half a millisecond.
const COPY_FROM: usize = 1_000;

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
        let queue = QueueName::new(queue)?;
        let operation = telemetry::creating(&self.namespace, &queue);
        let new = operation.span().in_scope(|| self.new_task(&queue, meta))?;
        loop {
            let call = submit(self.batcher(&new), new.clone());
            let (id, enqueued) = operation.within(call).await?;
            if let Some(task) = self.task_of(&NewTask { id, ..new.clone() }, enqueued).await? {
                operation.span().record("messaging.message.id", task.id);
                operation.done();
                return Ok(task);
            }
            // The task that had the key was removed between the two looks: the key is free now.
        }
    }

    /// Creates all of these tasks or none, and returns them in the same order, once they are durable. Large ones travel by
    /// binary COPY. A task with a key that is taken is not created: the task that has the key is returned in its place.
    ///
    /// # Errors
    /// [`EnqueueError`], for the first task that is not one that can be created.
    ///
    /// # Panics
    /// If called outside of a tokio runtime.
    pub async fn create_tasks(
        &self,
        queue: &str,
        metas: impl IntoIterator<Item = TaskMeta>,
    ) -> Result<Vec<Task>, EnqueueError> {
        let queue = QueueName::new(queue)?;
        let metas: Vec<_> = metas.into_iter().collect();
        let operation = telemetry::creating_many(&self.namespace, &queue, metas.len());
        let created = operation.within(self.create_many(&queue, metas)).await?;
        operation.done();
        Ok(created)
    }

    async fn create_many(&self, queue: &QueueName, metas: Vec<TaskMeta>) -> Result<Vec<Task>, EnqueueError> {
        let mut tasks =
            metas.into_iter().map(|meta| self.new_task(queue, meta)).collect::<Result<Vec<_>, _>>()?;
        // Before the look whether the manager is closed, so that closing either is seen or waits.
        let _taken = self.shared.bulks.token();
        if self.shared.bulks.is_closed() {
            return Err(EnqueueError::Closed);
        }
        let ids = self.shared.ids.take(tasks.len()).await.map_err(store)?;
        tasks.iter_mut().zip(ids).for_each(|(task, id)| task.id = id);
        let answers = self.create_at_once(queue, &tasks).await?;
        for (new, enqueued) in tasks.iter().zip(&answers) {
            self.shared.floors.arrived(new, enqueued);
            publish(&self.shared.events, new, enqueued);
        }
        if let Some(soonest) = answers.iter().filter_map(due_in).min() {
            self.shared.wakes.wake(&self.namespace, queue, soonest);
            let created = answers.iter().filter_map(due_in).count();
            self.shared.meters.of(&self.namespace, queue).created.increment(created as u64);
        }
        let mut created = Vec::with_capacity(tasks.len());
        for (new, enqueued) in tasks.iter().zip(answers) {
            // Only the owner of a key may fail to be looked at, and by now the others are created.
            let unseen = |_| EnqueueError::Unknown { id: task_id(new) };
            created.push(match self.task_of(new, enqueued).await.map_err(unseen)? {
                Some(task) => task,
                None => self.created(new, Enqueued::Settled)?,
            });
        }
        Ok(created)
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
                enqueued => return self.created(&new, enqueued).map(|task| (task, true)),
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

    /// One statement for all of them, or a COPY.
    async fn create_at_once(
        &self,
        queue: &QueueName,
        tasks: &[NewTask],
    ) -> Result<Vec<Enqueued>, EnqueueError> {
        let plain = tasks.iter().all(|task| task.key.is_none());
        let store = &self.shared.store;
        let copied = tasks.len() >= COPY_FROM && plain && !store.is_pooler();
        let meters = &self.shared.bulk_meters;
        let bulk = Bulk { store, namespace: &self.namespace, queue, tasks, copied, meters };
        let (answers, _) =
            settle(self.shared.settle, Sending::First, &bulk).await.map_err(|end| match end {
                Unsettled::Failed(error) | Unsettled::Refused(error, _) => EnqueueError::Store(error),
                Unsettled::Unknown => EnqueueError::Unknown { id: tasks.first().map_or(0, task_id) },
            })?;
        // A refusal refuses all, and is told before anything else.
        for (task, enqueued) in tasks.iter().zip(&answers) {
            if matches!(enqueued, Enqueued::NoQueue | Enqueued::DelayedInPast) {
                self.created(task, *enqueued)?;
            }
        }
        Ok(answers)
    }

    /// The task that an enqueue came to; `None` if its key belonged to a task that is gone since.
    async fn task_of(&self, new: &NewTask, enqueued: Enqueued) -> Result<Option<Task>, EnqueueError> {
        let store_of = &self.shared.store;
        match enqueued {
            Enqueued::KeyTaken(id) => store_of.get_task(&self.namespace, id).await.map_err(store),
            // It may have gone on meanwhile, even to its end. That it cannot be looked at just now is no reason to say that
            // it was not created.
            Enqueued::Settled => match store_of.get_task(&self.namespace, new.id).await {
                Ok(Some(task)) => Ok(Some(task)),
                Ok(None) | Err(_) => self.created(new, Enqueued::Settled).map(Some),
            },
            enqueued => self.created(new, enqueued).map(Some),
        }
    }

    /// The task as it was created.
    pub(crate) fn created(&self, new: &NewTask, enqueued: Enqueued) -> Result<Task, EnqueueError> {
        let mut task = Task {
            id: task_id(new),
            payload: Some(new.payload.clone()),
            delayed_at: new.delayed_at,
            worker: None,
            namespace: self.namespace.clone(),
            queue: new.queue.clone(),
            result: None,
            created_at: Timestamp::UNIX_EPOCH,
            started_at: None,
            finished_at: None,
            dies_at: None,
            retries: 0,
            status: Some(Status::New),
            priority: u8::try_from(new.priority).unwrap_or(u8::MAX),
            attempt: 0,
            key: new.key.clone(),
            traceparent: new.traceparent.clone(),
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
                namespace: self.namespace.to_string(),
                queue: new.queue.to_string(),
            }),
            Enqueued::DelayedInPast => Err(EnqueueError::DelayedInPast),
        }
    }

    fn batcher(&self, task: &NewTask) -> &Batcher<EnqueueFlight> {
        if task.key.is_some() { &self.shared.keyed_enqueues } else { &self.shared.enqueues }
    }
}

/// Tasks that are created together or not at all.
struct Bulk<'a> {
    store: &'a Store,
    namespace: &'a Namespace,
    queue: &'a QueueName,
    tasks: &'a [NewTask],
    copied: bool,
    meters: &'a BatchMeters,
}

impl Batch for Bulk<'_> {
    type Answer = Enqueued;

    fn meters(&self) -> &BatchMeters {
        self.meters
    }

    fn rows(&self) -> usize {
        self.tasks.len()
    }

    async fn send(&self, sending: Sending) -> Result<Vec<Enqueued>, StoreError> {
        match sending {
            Sending::First if self.copied => {
                self.store.copy_tasks(self.namespace, self.queue, self.tasks).await
            }
            sending => self.store.enqueue_all(self.tasks, sending).await,
        }
    }
}

async fn submit(batcher: &Batcher<EnqueueFlight>, task: NewTask) -> Result<(i64, Enqueued), EnqueueError> {
    let (answer, waiting) = Reply::new(EnqueueError::Closed);
    batcher.submit(EnqueueCall { task, answer }).await.map_err(|_| EnqueueError::Closed)?;
    waiting.await.map_err(|_| EnqueueError::Closed)?
}

/// The time to the microsecond, as it will be read back. PostgreSQL knows fewer years than a timestamp does, but a start
/// before 1970 is in the past all the same.
fn storable(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond().max(0)).unwrap_or(time)
}

fn task_id(task: &NewTask) -> u64 {
    u64::try_from(task.id).unwrap_or_default()
}

fn store(error: StoreError) -> EnqueueError {
    EnqueueError::Store(error.into())
}
