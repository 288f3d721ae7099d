//! Retains tasks, runs them a few at a time, and releases them.
//!
//! - `fetcher` retains as many tasks as there are free slots, and no more.
//! - `attempt` runs one task with a [`Handler`] and releases it.
//! - `lease` keeps the leases of everything held, and stops what has lost its own.
//! - `drain` ends it all in stages.
//! - `waiting` tells whether the queues have anything left to give, and mentions those that are paused.
//! - `outage` and `pace` say when to try again.
//!
//! What a task does is the business of the handler: `process` runs a command, and `pgmill demo` has its own.

mod attempt;
mod drain;
mod fetcher;
mod lease;
mod outage;
mod pace;
mod process;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use pgmill::{Manager, Outcome, Status, Task};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::lease::Leases;
pub(crate) use self::process::{Process, Reason, Run, resolve};
use crate::shutdown::Shutdown;

/// How many tasks that have run may wait for their release to be committed, beside those in the slots.
const UNRELEASED: usize = 256;

/// What is done with a task.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Runs one attempt. When `interrupt` asks for an end, it should come soon; what it returns then is recorded all
    /// the same, unless the lease was lost.
    fn run(&self, task: &Task, interrupt: &Interrupt) -> impl Future<Output = Verdict> + Send;

    /// Learns how an attempt has ended, once that is recorded.
    fn ended(&self, ended: &Ended);
}

/// Asks a handler to end its attempt.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt {
    /// Soon: there may be something to tidy up.
    pub(crate) soon: CancellationToken,
    /// At once.
    pub(crate) now: CancellationToken,
}

impl Interrupt {
    fn child(&self) -> Self {
        Self { soon: self.soon.child_token(), now: self.now.child_token() }
    }
}

/// What a handler says of its attempt.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    /// Why, in a few words, if it did not succeed.
    pub(crate) note: Option<String>,
}

/// An attempt that is over.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The task as it was when it was retained.
    pub(crate) retained: Task,
    /// What became of the attempt.
    pub(crate) end: End,
    /// How long the handler took.
    pub(crate) took: Duration,
    /// Why, in a few words, if it did not succeed.
    pub(crate) note: Option<String>,
}

/// What became of an attempt.
#[derive(Debug)]
pub(crate) enum End {
    /// It is recorded.
    Recorded {
        /// The status of the task now.
        status: Status,
        /// The task now, where it is known.
        task: Option<Box<Task>>,
    },
    /// The task was given back: another worker may have it at once.
    GivenBack,
    /// It is not recorded: the task belongs to another attempt by now, or will when its lease has run out.
    Lost,
}

/// How a worker works.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// The label the tasks are retained under.
    pub(crate) name: String,
    /// The queues; none for every queue of the namespace.
    pub(crate) queues: Vec<String>,
    /// How many tasks to hold at once that have not run to their end.
    pub(crate) slots: usize,
    /// How long a task stays ours without a sign of life. It is given three times as often.
    pub(crate) lease: Duration,
    /// How long tasks may run on after the worker was asked to stop.
    pub(crate) grace: Duration,
    /// Whether to end when no task waits any more, but for those of paused queues.
    pub(crate) until_empty: bool,
}

/// A worker.
#[derive(Debug)]
pub(crate) struct Worker<H> {
    manager: Manager,
    handler: Arc<H>,
    options: Options,
    shutdown: Shutdown,
    leases: Leases,
    interrupt: Interrupt,
    attempts: TaskTracker,
    slots: Arc<Semaphore>,
    room: Arc<Semaphore>,
}

impl<H: Handler> Worker<H> {
    pub(crate) fn new(manager: Manager, handler: Arc<H>, options: Options, shutdown: Shutdown) -> Arc<Self> {
        Arc::new(Self {
            leases: Leases::new(options.lease),
            interrupt: Interrupt::default(),
            attempts: TaskTracker::new(),
            slots: Arc::new(Semaphore::new(options.slots)),
            room: Arc::new(Semaphore::new(options.slots + UNRELEASED)),
            manager,
            handler,
            options,
            shutdown,
        })
    }

    /// Works until it is asked to stop, or until the queues are empty if that was chosen; then ends what is under way.
    ///
    /// Returns how many attempts are left unrecorded; their tasks run again once their leases have run out.
    pub(crate) async fn run(self: Arc<Self>) -> anyhow::Result<usize> {
        let alive = CancellationToken::new();
        let keeper = tokio::spawn({
            let (worker, alive) = (Arc::clone(&self), alive.clone());
            async move { alive.run_until_cancelled(worker.leases.keep(&worker.manager)).await }
        });
        let fetched = self.fetch().await;
        let unrecorded = self.drain().await;
        alive.cancel();
        keeper.await?;
        fetched.map(|()| unrecorded)
    }
}
