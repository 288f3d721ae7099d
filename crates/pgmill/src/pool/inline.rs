//! Handlers without a pool around them: run when they are told to, in the caller's own task. What pgmill-testkit is made of.

use std::fmt;
use std::sync::Arc;

use pgmill_schema::{Outcome, QueueName, Task};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::WorkerPool;
use super::attempt::{Attempt, outcome};
use super::context::{Common, Context};
use super::handler::{self, Handler, unstorable};
use super::task_error::TaskError;
use crate::manager::Manager;
use crate::telemetry::PoolMeters;

/// What handlers share that are run inline.
#[doc(hidden)]
pub struct InlineScope<S>(Arc<Common<S>>);

impl<S: Send + Sync + 'static> InlineScope<S> {
    /// Handlers see this manager, this name of the worker, and this state.
    pub fn new(manager: &Manager, worker: &str, state: S) -> Self {
        Self(Arc::new(Common { manager: manager.clone(), worker: worker.into(), state }))
    }

    /// The manager that handlers see.
    pub fn manager(&self) -> &Manager {
        &self.0.manager
    }

    /// A handler for the tasks of these queues, of the kind that [`WorkerPool::register_queue`] takes.
    pub fn handler<T, R, F, Fut>(&self, queues: Vec<QueueName>, handler: F) -> InlineHandler<S>
    where
        T: DeserializeOwned + 'static,
        R: Serialize + 'static,
        F: Fn(Context<S>, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, TaskError>> + Send + 'static,
    {
        InlineHandler { common: Arc::clone(&self.0), queues, handler: handler::typed(handler) }
    }
}

/// A handler that is run inline.
#[doc(hidden)]
pub struct InlineHandler<S> {
    common: Arc<Common<S>>,
    queues: Vec<QueueName>,
    handler: Handler<S>,
}

impl<S: Send + Sync + 'static> InlineHandler<S> {
    /// The queues whose tasks it is for; none for every queue of the namespace.
    pub fn queues(&self) -> &[QueueName] {
        &self.queues
    }

    /// Runs it, as a pool would, and returns what a pool would release. `None` for a task that nobody holds.
    pub async fn run(&self, task: Task, token: CancellationToken) -> Option<Outcome> {
        // As of a pool without slots, for it takes none.
        let meters = PoolMeters::new(task.namespace.as_str(), 0).of(&task);
        let attempt = Attempt::with_token(task, 0, Instant::now(), meters, token)?;
        let context = Context::new(Arc::new(attempt), Arc::clone(&self.common));
        let outcome = outcome(handler::run(&self.handler, context).await, None);
        match outcome.validate(self.common.manager.shared.max_payload) {
            Ok(()) => Some(outcome),
            Err(error) => Some(unstorable(&error)),
        }
    }
}

impl<S: Send + Sync + 'static> WorkerPool<S> {
    /// The manager of the pool, and the handlers that are registered; `None` once it runs.
    #[doc(hidden)]
    pub async fn inline_handlers(&self) -> Option<(Manager, Vec<InlineHandler<S>>)> {
        let registry = self.registry.lock().await;
        let handlers = registry.as_ref()?.lanes.iter().map(|registered| InlineHandler {
            common: Arc::clone(&self.common),
            queues: registered.queues.clone(),
            handler: Arc::clone(&registered.handler),
        });
        Some((self.common.manager.clone(), handlers.collect()))
    }
}

impl<S> fmt::Debug for InlineScope<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InlineScope").finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for InlineHandler<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InlineHandler").field("queues", &self.queues).finish_non_exhaustive()
    }
}
