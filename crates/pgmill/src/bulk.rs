//! How a [`Manager`] creates many tasks at once.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use pgmill_schema::{QueueName, Task, TaskMeta};
use pgmill_store::{Enqueued, NewTask, Sending, Store, StoreError};

use crate::batch::{Batch, Unsettled, due_in, publish, settle};
use crate::enqueue::{Created, is_new, store, task_id};
use crate::error::EnqueueError;
use crate::manager::Manager;
use crate::telemetry::{self, BatchMeters};

/// From how many tasks on a bulk travels by COPY. Measured with payloads of 100 B: a COPY is even with the statement at 300
/// to 500 tasks, takes three quarters of its time at 1,000 and half at 10,000. That is without a network; the six round
/// trips of a COPY need some hundred tasks more to pay where each takes half a millisecond.
const COPY_FROM: usize = 1_000;

/// Why none of several tasks was created.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}{error}", index.map_or_else(String::new, |index| format!("task at index {index}: ")))]
#[non_exhaustive]
pub struct BulkError {
    /// Which of the tasks is at fault, from 0; `None` where it is not one in particular.
    pub index: Option<usize>,
    /// What went wrong.
    #[source]
    pub error: EnqueueError,
}

impl BulkError {
    fn at(index: usize, error: EnqueueError) -> Self {
        Self { index: Some(index), error }
    }

    /// Whether trying again later may help, as [`EnqueueError::is_transient`] says.
    pub fn is_transient(&self) -> bool {
        self.error.is_transient()
    }
}

impl From<EnqueueError> for BulkError {
    fn from(error: EnqueueError) -> Self {
        Self { index: None, error }
    }
}

impl Manager {
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
        let operation = telemetry::creating_many(&self.namespace, Some(&queue), metas.len());
        let tasks = operation.span().in_scope(|| {
            let new = metas.into_iter().map(|meta| self.new_task(&queue, meta));
            new.collect::<Result<Vec<_>, _>>()
        })?;
        let mut created = Vec::with_capacity(tasks.len());
        let create = self.create_many(tasks, |task, _| created.push(task));
        operation.within(create).await.map_err(|error| error.error)?;
        operation.done();
        Ok(created)
    }

    /// As [`create_tasks`](Self::create_tasks), each task in a queue of its own, and tells of each whether it was created,
    /// or is the one that has the key.
    ///
    /// # Errors
    /// [`BulkError`], which says for which task.
    ///
    /// # Panics
    /// If called outside of a tokio runtime.
    ///
    /// ```no_run
    /// # async fn example(manager: pgmill::Manager) -> Result<(), Box<dyn std::error::Error>> {
    /// use pgmill::TaskMeta;
    ///
    /// let order = TaskMeta::json(&17)?;
    /// let created = manager.create_or_find_tasks([("invoices", order.clone()), ("emails", order)]).await?;
    /// assert!(created.iter().all(|created| created.is_new));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn create_or_find_tasks(
        &self,
        tasks: impl IntoIterator<Item = (impl AsRef<str>, TaskMeta)>,
    ) -> Result<Vec<Created>, BulkError> {
        let named = |(queue, meta): (_, TaskMeta)| match QueueName::new(AsRef::<str>::as_ref(&queue)) {
            Ok(queue) => Ok((queue, meta)),
            Err(error) => Err(EnqueueError::Name(error)),
        };
        let tasks: Vec<_> = tasks.into_iter().map(named).collect();
        let queues: HashSet<_> = tasks.iter().flatten().map(|(queue, _)| queue).collect();
        let queue = queues.iter().next().filter(|_| queues.len() == 1);
        let operation = telemetry::creating_many(&self.namespace, queue.copied(), tasks.len());
        let tasks = operation.span().in_scope(|| {
            let new = |task: Result<_, _>| task.and_then(|(queue, meta)| self.new_task(&queue, meta));
            all(tasks.into_iter().map(new))
        })?;
        let mut created = Vec::with_capacity(tasks.len());
        let create = self.create_many(tasks, |task, is_new| created.push(Created { task, is_new }));
        operation.within(create).await?;
        operation.done();
        Ok(created)
    }

    /// Creates all of these tasks or none, and hands each on as it is then, with whether it is new.
    async fn create_many(
        &self,
        mut tasks: Vec<NewTask>,
        mut hand_on: impl FnMut(Task, bool),
    ) -> Result<(), BulkError> {
        // Before the look whether the manager is closed, so that closing either is seen or waits.
        let _taken = self.shared.bulks.token();
        if self.shared.bulks.is_closed() {
            return Err(EnqueueError::Closed.into());
        }
        let ids = self.shared.ids.take(tasks.len()).await.map_err(store)?;
        tasks.iter_mut().zip(ids).for_each(|(task, id)| task.id = id);
        let answers = self.create_at_once(&tasks).await?;
        self.arrived(&tasks, &answers);
        for (index, (new, enqueued)) in tasks.into_iter().zip(answers).enumerate() {
            let task = match enqueued {
                Enqueued::KeyTaken(_) | Enqueued::Settled => self.seen(index, new, enqueued).await?,
                enqueued => self.created(new, enqueued)?,
            };
            hand_on(task, is_new(enqueued));
        }
        Ok(())
    }

    /// A task that there was already, by its key or by an earlier sending.
    async fn seen(&self, index: usize, new: NewTask, enqueued: Enqueued) -> Result<Task, BulkError> {
        let id = task_id(&new);
        // Only the owner of a key may fail to be looked at, and by now the others are created.
        let unseen = |_| BulkError::at(index, EnqueueError::Unknown { id });
        match self.task_of(new, enqueued).await.map_err(unseen)? {
            Ok(task) => Ok(task),
            Err(new) => Ok(self.created(new, Enqueued::Settled)?),
        }
    }

    /// One statement for all of them, or a COPY.
    async fn create_at_once(&self, tasks: &[NewTask]) -> Result<Vec<Enqueued>, BulkError> {
        let Some(first) = tasks.first() else { return Ok(Vec::new()) };
        let store = &self.shared.store;
        let plain = tasks.iter().all(|task| task.key.is_none() && task.queue == first.queue);
        let copied = tasks.len() >= COPY_FROM && plain && !store.is_pooler();
        let bulk = Bulk { store, first, tasks, copied, meters: &self.shared.bulk_meters };
        let (answers, _) =
            settle(self.shared.settle, Sending::First, &bulk).await.map_err(|end| match end {
                Unsettled::Failed(error) | Unsettled::Refused(error, _) => EnqueueError::Store(error),
                Unsettled::Unknown => EnqueueError::Unknown { id: task_id(first) },
            })?;
        // A refusal refuses all, and is told before anything else.
        for (index, (task, enqueued)) in tasks.iter().zip(&answers).enumerate() {
            if matches!(enqueued, Enqueued::NoQueue | Enqueued::DelayedInPast) {
                self.created(task.clone(), *enqueued).map_err(|error| BulkError::at(index, error))?;
            }
        }
        Ok(answers)
    }

    /// Tells workers of tasks that were committed.
    fn arrived(&self, tasks: &[NewTask], answers: &[Enqueued]) {
        let mut arrived: HashMap<&QueueName, (u64, Duration)> = HashMap::new();
        let mut answers = answers.iter();
        for tasks in tasks.chunk_by(|one, next| one.queue == next.queue) {
            let mut of_queue: Option<(u64, Duration)> = None;
            for (new, enqueued) in tasks.iter().zip(answers.by_ref()) {
                self.shared.floors.arrived(new, enqueued);
                publish(&self.shared.events, new, enqueued);
                if let Some(due_in) = due_in(enqueued) {
                    let (count, soonest) = of_queue.unwrap_or((0, due_in));
                    of_queue = Some((count + 1, due_in.min(soonest)));
                }
            }
            if let (Some(first), Some((count, soonest))) = (tasks.first(), of_queue) {
                let (all, soonest_of_all) = arrived.entry(&first.queue).or_insert((0, soonest));
                *all += count;
                *soonest_of_all = soonest.min(*soonest_of_all);
            }
        }
        for (queue, (count, soonest)) in arrived {
            self.shared.wakes.wake(&self.namespace, queue, soonest);
            self.shared.meters.of(&self.namespace, queue).created.increment(count);
        }
    }
}

/// All of them, or the first error and where it is.
fn all<T>(results: impl Iterator<Item = Result<T, EnqueueError>>) -> Result<Vec<T>, BulkError> {
    results.enumerate().map(|(index, result)| result.map_err(|error| BulkError::at(index, error))).collect()
}

/// Tasks that are created together or not at all.
struct Bulk<'a> {
    store: &'a Store,
    first: &'a NewTask,
    tasks: &'a [NewTask],
    /// All are in the queue of the first.
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
                self.store.copy_tasks(&self.first.namespace, &self.first.queue, self.tasks).await
            }
            sending => self.store.enqueue_all(self.tasks, sending).await,
        }
    }
}
