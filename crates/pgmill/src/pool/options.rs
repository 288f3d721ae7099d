//! What can be set about a pool, and about a queue in it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pgmill_schema::seconds;
use tokio_util::sync::CancellationToken;

use super::ended::Ended;

/// How a queue is served beside the others of its pool.
///
/// ```
/// use pgmill::QueueOptions;
///
/// let reports = QueueOptions::new().concurrency(4).weight(3);
/// ```
#[derive(Debug, Clone)]
pub struct QueueOptions {
    pub(super) concurrency: Option<usize>,
    pub(super) weight: u32,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self { concurrency: None, weight: 1 }
    }
}

impl QueueOptions {
    /// As many tasks at once as the pool has workers, with a weight of 1.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many tasks of the queue run at once in this pool. At least 1; default and most: the workers of the pool.
    /// What other pools run does not count.
    #[must_use]
    pub fn concurrency(mut self, tasks: usize) -> Self {
        self.concurrency = Some(tasks);
        self
    }

    /// How much the queue counts beside the others while there are more tasks than workers: one of weight 3 has three
    /// times the workers of one of weight 1. What a queue does not use the others have. 1 to 1,000, default 1.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }
}

/// How many tasks a pool retains that it cannot start yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Prefetch {
    /// As the tasks of a queue turn out: none where they take longer than 10 ms, and up to twice the number of
    /// workers where they take less than it takes to fetch more.
    #[default]
    Adaptive,
    /// None: what is retained starts at once, or in a moment if another queue holds more than its part with short tasks.
    None,
    /// Up to so many.
    UpTo(usize),
}

pub(super) type Observer = Arc<dyn Fn(&Ended<'_>) + Send + Sync>;

/// What holds for all queues of a pool.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) workers: usize,
    pub(super) lease: Duration,
    pub(super) prefetch: Prefetch,
    pub(super) maintenance: bool,
    pub(super) until_empty: bool,
    /// How long handlers may go on after the pool was asked to stop.
    pub(super) grace: Duration,
    /// How long a handler has after its token was cancelled.
    pub(super) cancel_grace: Duration,
    /// How long to wait for releases at the end.
    pub(super) flush: Duration,
    pub(super) now: CancellationToken,
    pub(super) log_ticker_errors: bool,
    pub(super) on_end: Option<Observer>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            lease: seconds(30),
            prefetch: Prefetch::default(),
            maintenance: true,
            until_empty: false,
            grace: seconds(20),
            cancel_grace: seconds(5),
            flush: seconds(10),
            now: CancellationToken::new(),
            log_ticker_errors: false,
            on_end: None,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("workers", &self.workers)
            .field("lease", &self.lease)
            .field("prefetch", &self.prefetch)
            .finish_non_exhaustive()
    }
}
