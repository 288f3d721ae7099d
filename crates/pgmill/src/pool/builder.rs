//! From a manager to a [`WorkerPool`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pgmill_schema::WorkerName;
use tokio_util::sync::CancellationToken;

use super::WorkerPool;
use super::context::Common;
use super::ended::Ended;
use super::error::BuildError;
use super::options::{Prefetch, Settings};
use crate::manager::Manager;
use crate::tasks::{LONGEST_LEASE, SHORTEST_LEASE};

/// What a [`WorkerPool`] is made of.
///
/// ```no_run
/// # fn example(manager: &pgmill::Manager) -> Result<(), pgmill::BuildError> {
/// use pgmill::{WorkerPool, seconds};
///
/// let pool = WorkerPool::builder(manager).workers(64).name("worker-1").cancel_grace(seconds(10)).build()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing happens until it is built and run"]
#[derive(Clone)]
pub struct WorkerPoolBuilder<S = ()> {
    manager: Manager,
    name: Option<String>,
    state: S,
    settings: Settings,
}

impl WorkerPoolBuilder {
    pub(super) fn new(manager: &Manager) -> Self {
        Self { manager: manager.clone(), name: None, state: (), settings: Settings::default() }
    }
}

impl<S: Send + Sync + 'static> WorkerPoolBuilder<S> {
    /// How many handlers run at once. At least 1, default: the number of CPUs. A handler is a task of the runtime, not a
    /// thread: many workers are cheap where handlers mostly await.
    pub fn workers(mut self, workers: usize) -> Self {
        self.settings.workers = workers;
        self
    }

    /// The name that tasks are retained under. Default: the name of the host. It is a label alone, and several pools may
    /// have the same.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// What all handlers share: connections, clients, settings. Default `()`.
    pub fn state<T: Send + Sync + 'static>(self, state: T) -> WorkerPoolBuilder<T> {
        WorkerPoolBuilder { manager: self.manager, name: self.name, state, settings: self.settings }
    }

    /// For how long a task stays with this pool without a sign of life; the pool extends it three times as often. So long
    /// it takes until the tasks of a process that died are offered again. 1 s to 30 days, default 30 s.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.settings.lease = lease;
        self
    }

    /// How many tasks are retained that cannot be started yet. Default [`Prefetch::Adaptive`].
    pub fn prefetch(mut self, prefetch: Prefetch) -> Self {
        self.settings.prefetch = prefetch;
        self
    }

    /// Whether [`Manager::run`] maintains the database while the pool runs. Default `true`. Where many processes have a
    /// pool, let a few of them maintain.
    pub fn maintenance(mut self, maintenance: bool) -> Self {
        self.settings.maintenance = maintenance;
        self
    }

    /// Whether to end when no task waits any more, for its first attempt or for another one. Default `false`. The tasks
    /// of queues that are paused do not count.
    pub fn until_empty(mut self, until_empty: bool) -> Self {
        self.settings.until_empty = until_empty;
        self
    }

    /// How long handlers may go on undisturbed after the pool was asked to stop. Default 20 s.
    pub fn shutdown_grace(mut self, grace: Duration) -> Self {
        self.settings.grace = grace;
        self
    }

    /// How long a handler may go on after its token was cancelled, whatever for. Default 5 s. Then its slot goes to
    /// another task, and the handler is dropped where it awaits.
    pub fn cancel_grace(mut self, grace: Duration) -> Self {
        self.settings.cancel_grace = grace;
        self
    }

    /// How long to wait at the end for releases to be committed. Default 10 s.
    pub fn flush_timeout(mut self, timeout: Duration) -> Self {
        self.settings.flush = timeout;
        self
    }

    /// A second signal: once it is cancelled, a pool that is stopping waits for no handler any more, and for releases at
    /// most 2 s. Default: never.
    pub fn now(mut self, now: CancellationToken) -> Self {
        self.settings.now = now;
        self
    }

    /// Whether the error of a ticker's handler is logged, and the ticker goes on. Default `false`: the pool ends in stages,
    /// and [`run`](WorkerPool::run) returns it.
    pub fn log_ticker_errors(mut self, log: bool) -> Self {
        self.settings.log_ticker_errors = log;
        self
    }

    /// Is told how each attempt ended, once that is recorded or given up. It is called between tasks, and should return
    /// soon.
    pub fn on_end(mut self, on_end: impl Fn(&Ended<'_>) + Send + Sync + 'static) -> Self {
        self.settings.on_end = Some(Arc::new(on_end));
        self
    }

    /// Makes the pool.
    ///
    /// # Errors
    /// [`BuildError`], which says what is allowed.
    pub fn build(self) -> Result<WorkerPool<S>, BuildError> {
        let Self { manager, name, state, settings } = self;
        if settings.workers == 0 {
            return Err(BuildError::Workers);
        }
        if !(SHORTEST_LEASE..=LONGEST_LEASE).contains(&settings.lease) {
            return Err(BuildError::Lease);
        }
        let worker = WorkerName::new(&name.unwrap_or_else(host_name))?.as_str().into();
        Ok(WorkerPool::assemble(Arc::new(Common { manager, worker, state }), settings))
    }
}

impl<S> fmt::Debug for WorkerPoolBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerPoolBuilder")
            .field("name", &self.name)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

#[cfg(unix)]
fn host_name() -> String {
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    host.filter(|name| WorkerName::new(name).is_ok()).unwrap_or_else(|| "worker".to_owned())
}

#[cfg(not(unix))]
fn host_name() -> String {
    let host = std::env::var("COMPUTERNAME").ok();
    host.filter(|name| WorkerName::new(name).is_ok()).unwrap_or_else(|| "worker".to_owned())
}
