//! What a driver has to say about its system.

use crate::args::{Args, Workload};
use crate::outcome::Info;
use crate::payload::Payload;

/// Where the system is, and what is asked of it.
#[derive(Debug, Clone)]
pub struct Place {
    /// The database.
    pub url: String,
    /// What this process is for.
    pub workload: Workload,
    /// How many callers there will be at once.
    pub callers: usize,
    /// Whether to delete what is done, if the system leaves the choice.
    pub delete: bool,
}

/// What the workers are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// Many tasks wait already: the configuration is that of the highest throughput.
    Backlog,
    /// There is nothing to do but for a task now and then, which should start at once.
    Idle,
}

/// How the database tells that all tasks are done. Each is a statement that returns one `bigint`.
#[derive(Debug, Clone, Copy)]
pub enum Finished {
    /// Counts the rows of tasks that are not done; those that are have gone, or are elsewhere.
    Left(&'static str),
    /// Counts the rows of tasks that are done.
    Done(&'static str),
}

/// A task queue, by its public interface alone.
pub trait System: Sized + Send + Sync + 'static {
    /// How many tasks a bulk call creates.
    const CHUNK: usize;

    /// What the system is, and how it was set.
    fn info(args: &Args) -> Info;

    /// How the database tells that all tasks are done.
    fn finished(place: &Place) -> Finished;

    /// Installs the schema, and makes the queue where the system wants one.
    fn setup(place: &Place) -> impl Future<Output = anyhow::Result<()>>;

    /// Connects to the database.
    fn open(place: &Place) -> impl Future<Output = anyhow::Result<Self>>;

    /// Creates one task, and returns when it is durable.
    fn enqueue(&self, payload: Payload) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Creates many tasks, and returns when they are durable.
    fn enqueue_all(&self, payloads: Vec<Payload>) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Runs tasks for ever, with [`handled`](crate::handled) for a handler. What takes much of the processor should be
    /// spawned: this future has the thread that waits for the end.
    fn work(&self, load: Load) -> impl Future<Output = anyhow::Result<()>>;
}
