//! Handlers that are run in the test itself, without a pool.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::slice::from_ref;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pgmill::{
    Context, DEFAULT_PRIORITY, InlineHandler, InlineScope, Json, Manager, Namespace, Outcome, QueueName,
    Status, Task, TaskError, TaskMeta, WorkerName,
};
use pgmill_store::{Caller, Demand, Floor, Store};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::drain::Drain;
use crate::outcome::{HandlerOutcome, Performed};
use crate::wait::Pauses;

pub(crate) const WORKER: &str = "testkit";
/// For how long other transactions may hold the task that is to be retained.
const SOON: Duration = Duration::from_secs(2);

/// Runs a handler on a payload, without a database: [`Inline::detached`] with its defaults.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use pgmill::{Context, TaskError};
/// use pgmill_testkit::run_handler;
///
/// async fn greet(context: Context, name: String) -> Result<String, TaskError> {
///     Ok(format!("hello {name}, for the {}. time", context.attempt()))
/// }
///
/// assert_eq!(run_handler(greet, "ann").await.done::<String>(), "hello ann, for the 1. time");
/// # }
/// ```
///
/// # Panics
/// If the payload has no JSON form that can be stored.
pub async fn run_handler<T, R, F, Fut>(handler: F, payload: impl Serialize) -> HandlerOutcome
where
    T: DeserializeOwned + 'static,
    R: Serialize + 'static,
    F: Fn(Context, T) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, TaskError>> + Send + 'static,
{
    Inline::detached().await.run(handler, payload).await
}

/// What handlers are run in when they are run by the test itself, at once and one at a time: the manager and the state that
/// their [`Context`] shows.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use pgmill::{Context, Manager, QueueMeta, Status, TaskError, TaskMeta};
/// use pgmill_testkit::{Inline, TestDatabase, assert_enqueued};
///
/// struct App { sender: String }
///
/// async fn welcome(context: Context<App>, to: String) -> Result<String, TaskError> {
///     context.manager().create_task("audit", TaskMeta::json(&to)?).await?;
///     Ok(format!("from {} to {to}", context.state().sender))
/// }
///
/// let database = TestDatabase::create().await;
/// let manager = Manager::connect(database.url()).await?;
/// manager.register_queue(QueueMeta::new("welcome")).await?;
/// manager.register_queue(QueueMeta::new("audit")).await?;
/// let inline = Inline::new(&manager).state(App { sender: "us".to_owned() });
///
/// // The handler alone, on a payload: nothing is in the queue.
/// assert_eq!(inline.run(welcome, "ann").await.done::<String>(), "from us to ann");
/// assert_enqueued(&manager, "audit", "ann").await;
///
/// // The whole way of one task, from its creation to its release.
/// let performed = inline.perform("welcome", TaskMeta::json("bob")?, welcome).await;
/// assert_eq!(performed.status, Status::Released);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Inline<S = ()> {
    scope: InlineScope<S>,
    edit: Edit,
    token: CancellationToken,
}

impl Inline {
    /// In a manager of the test's database.
    pub fn new(manager: &Manager) -> Self {
        Self {
            scope: InlineScope::new(manager, WORKER, ()),
            edit: Edit(None),
            token: CancellationToken::new(),
        }
    }

    /// Without a database: what a handler asks of its [`manager`](Context::manager) fails, since there is no server to
    /// connect to. For handlers that do not ask it anything.
    pub async fn detached() -> Self {
        // Nothing listens on port 1, and nothing is connected before it is needed.
        let manager =
            Manager::connect("postgres://detached@127.0.0.1:1/detached?sslmode=disable").migrate(false).await;
        let manager = manager.unwrap_or_else(|error| panic!("a manager without a database: {error}"));
        Self::new(&manager)
    }
}

impl<S: Send + Sync + 'static> Inline<S> {
    /// What handlers find in [`Context::state`]. Default `()`.
    pub fn state<T: Send + Sync + 'static>(self, state: T) -> Inline<T> {
        let scope = InlineScope::new(self.scope.manager(), WORKER, state);
        Inline { scope, edit: self.edit, token: self.token }
    }

    /// Changes the task that [`run`](Self::run) makes up. Default: the first of 3 attempts, in the queue `inline`, of
    /// priority 5, with the id 1.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use pgmill::{Context, TaskError};
    /// use pgmill_testkit::Inline;
    ///
    /// async fn careful(context: Context, _: ()) -> Result<&'static str, TaskError> {
    ///     Ok(if context.retries_left() == 0 { "the last resort" } else { "as usual" })
    /// }
    ///
    /// let last = Inline::detached().await.task(|task| (task.attempt, task.retries) = (3, 1));
    /// assert_eq!(last.run(careful, ()).await.done::<String>(), "the last resort");
    /// # }
    /// ```
    #[must_use]
    pub fn task(self, edit: impl Fn(&mut Task) + Send + Sync + 'static) -> Self {
        Self { edit: Edit(Some(Box::new(edit))), ..self }
    }

    /// The token that handlers find in [`Context::cancellation`], for tests of what they do when they are to come to an
    /// end. Default: one that nobody cancels.
    #[must_use]
    pub fn cancellation(self, token: CancellationToken) -> Self {
        Self { token, ..self }
    }

    /// Runs a handler, of the kind that [`WorkerPool::register_queue`](pgmill::WorkerPool::register_queue) takes, at once
    /// on a payload. No queue is involved, and nothing is released.
    ///
    /// # Panics
    /// If the payload has no JSON form that can be stored.
    pub async fn run<T, R, F, Fut>(&self, handler: F, payload: impl Serialize) -> HandlerOutcome
    where
        T: DeserializeOwned + 'static,
        R: Serialize + 'static,
        F: Fn(Context<S>, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, TaskError>> + Send + 'static,
    {
        let payload = Json::encode(&payload).unwrap_or_else(|error| panic!("the payload: {error}"));
        let mut task = made_up(self.scope.manager().namespace(), payload);
        if let Edit(Some(edit)) = &self.edit {
            edit(&mut task);
        }
        run(&self.scope.handler(Vec::new(), handler), task, &self.token).await
    }

    /// Creates a task, and runs it at once, as the only one whatever else waits in the queue: retained, run and released
    /// as a pool does it. A delay of the task is left out.
    ///
    /// # Panics
    /// If the task cannot be created, retained or released, with the reason: its queue does not exist or is paused, its
    /// key belongs to a task that is not due, or a worker was quicker.
    pub async fn perform<T, R, F, Fut>(&self, queue: &str, meta: TaskMeta, handler: F) -> Performed
    where
        T: DeserializeOwned + 'static,
        R: Serialize + 'static,
        F: Fn(Context<S>, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, TaskError>> + Send + 'static,
    {
        let manager = self.scope.manager();
        let meta = TaskMeta { delay: None, delayed_at: None, ..meta };
        let created = manager.create_task(queue, meta).await;
        let created = created.unwrap_or_else(|error| panic!("the task was not created: {error}"));
        if let Some(status) = created.status.filter(|status| !matches!(status, Status::New | Status::Retry)) {
            panic!("the key belongs to task {} of queue {queue}, which is {status}", created.id);
        }
        let task = retain(manager, &created).await;
        perform(manager, &self.scope.handler(Vec::new(), handler), task, &self.token).await
    }

    /// Drains a queue: see [`drain`](crate::drain), which does it without a state.
    pub fn drain<T, R, F, Fut>(&self, queue: &str, handler: F) -> Drain<S>
    where
        T: DeserializeOwned + 'static,
        R: Serialize + 'static,
        F: Fn(Context<S>, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, TaskError>> + Send + 'static,
    {
        let handler = self.scope.handler(vec![name(queue)], handler);
        Drain::new(self.scope.manager(), vec![handler]).cancellation(self.token.clone())
    }
}

/// A change of the task that is made up.
struct Edit(Option<Change>);

type Change = Box<dyn Fn(&mut Task) + Send + Sync>;

impl fmt::Debug for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Edit").field(&self.0.is_some()).finish()
    }
}

pub(crate) fn name(queue: &str) -> QueueName {
    QueueName::new(queue).unwrap_or_else(|error| panic!("{error}"))
}

fn made_up(namespace: &Namespace, payload: Json) -> Task {
    let now = Timestamp::now();
    Task {
        id: 1,
        payload: Some(payload),
        delayed_at: None,
        worker: Some(WORKER.to_owned()),
        namespace: namespace.clone(),
        queue: name("inline"),
        result: None,
        created_at: now,
        started_at: Some(now),
        finished_at: None,
        dies_at: None,
        retries: 3,
        status: Some(Status::Retained),
        priority: DEFAULT_PRIORITY,
        attempt: 1,
        key: None,
        traceparent: None,
        lease_until: None,
        holder: Some(1),
        attempts: Vec::new(),
    }
}

pub(crate) async fn run<S: Send + Sync + 'static>(
    handler: &InlineHandler<S>,
    task: Task,
    token: &CancellationToken,
) -> HandlerOutcome {
    let (id, queue) = (task.id, task.queue.clone());
    // A token of its own: a handler that cancels what it was given must not cancel those after it.
    let outcome = handler.run(task, token.child_token()).await;
    HandlerOutcome::new(
        outcome.unwrap_or_else(|| panic!("task {id} of queue {queue} has no holder, or an id that none has")),
    )
}

/// Runs a task that is retained, and releases it.
pub(crate) async fn perform<S: Send + Sync + 'static>(
    manager: &Manager,
    handler: &InlineHandler<S>,
    task: Task,
    token: &CancellationToken,
) -> Performed {
    let outcome = run(handler, task.clone(), token).await;
    let Task { id, queue, .. } = &task;
    let released = manager.release_task(&task, outcome.outcome().clone()).await;
    let status = match released {
        Ok(released) => released.status,
        Err(error) => panic!("task {id} of queue {queue}, {outcome}, was not released: {error}"),
    };
    Performed { task, outcome, status }
}

/// Retains this task and no other.
async fn retain(manager: &Manager, task: &Task) -> Task {
    let Task { id, queue, .. } = task;
    let store = manager.store();
    let demand = Demand { namespace: manager.namespace().clone(), queues: vec![queue.clone()] };
    let place = floors(store, &demand, task).await;
    let worker = WorkerName::new(WORKER).unwrap_or_else(|error| panic!("{error}"));
    let caller = Caller { demand: 0, want: 1, worker, lease: None, fenced: false };
    let mut pauses = Pauses::new();
    let taken = async {
        loop {
            let taken = store.retain(from_ref(&demand), from_ref(&caller), &place, holder(), &[]).await;
            let taken =
                taken.unwrap_or_else(|error| panic!("task {id} could not be retained: {error}")).pop();
            if let Some(taken) = taken {
                return taken.task;
            }
            pauses.pause().await;
        }
    };
    match tokio::time::timeout(SOON, taken).await {
        Ok(taken) if taken.id == *id => taken,
        Ok(other) => {
            // Whoever it is for gets it back, whether or not this test learns of it.
            let _ = manager.release_task(&other, Outcome::GiveBack).await;
            panic!("task {id} of queue {queue} was taken by somebody else: does a worker serve the queue?")
        }
        Err(_) => panic!("task {id} of queue {queue} is not due, or the queue is paused: waited {pauses}"),
    }
}

/// The places from which on the task is the first to be found: its own, and the end of time in the other priorities.
async fn floors(store: &Store, demand: &Demand, task: &Task) -> Vec<Floor> {
    let wanted = store.wanted_queues(demand).await;
    let wanted =
        wanted.unwrap_or_else(|error| panic!("the queue of task {} cannot be found: {error}", task.id));
    let own = i16::from(task.priority);
    let floors = wanted.iter().flat_map(|(queue_id, _, now)| {
        (0..=9).map(move |priority| {
            let own_place =
                (task.delayed_at.unwrap_or(task.created_at), i64::try_from(task.id).unwrap_or(i64::MAX));
            let (at, id) = if priority == own { own_place } else { (*now + NEVER, i64::MAX) };
            Floor { queue_id: *queue_id, priority, at, id }
        })
    });
    floors.collect()
}

/// Longer than a retain takes to be sent.
const NEVER: SignedDuration = SignedDuration::from_hours(24);

/// A number that nobody has used before.
fn holder() -> i64 {
    (RandomState::new().hash_one(std::process::id()) >> 2 << 1).cast_signed()
}
