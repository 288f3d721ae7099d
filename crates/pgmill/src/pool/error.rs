//! Why a pool is not built, does not take a handler, or does not run.

use pgmill_schema::NameError;

use crate::error::QueueError;
use crate::tickers::TickerError;

/// Why there is no [`WorkerPool`](crate::WorkerPool).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A pool without workers.
    #[error("a worker pool needs at least 1 worker")]
    Workers,
    /// A name that no worker can have.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A lease out of its range.
    #[error("lease is out of range: allowed are 1 s to 30 days")]
    Lease,
}

/// Why a handler was not registered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The pool runs already, or has run.
    #[error("the worker pool runs already: handlers are registered before")]
    Running,
    /// The queue has a handler in this pool.
    #[error("queue \"{queue}\" has a handler in this worker pool already")]
    Registered {
        /// Its name; `any queue` where one of the two handlers is for all.
        queue: String,
    },
    /// No task could run at once.
    #[error("concurrency is out of range: at least 1 task must be allowed to run")]
    Concurrency,
    /// A weight out of its range.
    #[error("weight is out of range: allowed are 1 to 1000")]
    Weight,
    /// The ticker has a handler in this pool.
    #[error("ticker \"{ticker}\" has a handler in this worker pool already")]
    RegisteredTicker {
        /// Its name.
        ticker: String,
    },
    /// The ticker could not be registered in the database, or is one that cannot be.
    #[error(transparent)]
    Ticker(#[from] TickerError),
    /// The queue could not be registered in the database, or has a name it cannot have.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl RegisterError {
    /// Whether trying again later may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Queue(error) => error.is_transient(),
            Self::Ticker(error) => error.is_transient(),
            _ => false,
        }
    }
}

/// Why a pool does not run, or has stopped by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// It runs already, or has run. A pool runs once.
    #[error("the worker pool runs already, or has run: build another one")]
    AlreadyRun,
    /// The manager was closed.
    #[error("the manager is closed")]
    Closed,
    /// The handler of a ticker failed, which ends the pool unless such errors [are to be
    /// logged](crate::WorkerPoolBuilder::log_ticker_errors).
    #[error(transparent)]
    Ticker(#[from] TickerError),
    /// The thread that watches over deadlines could not be started.
    #[error("the system gives no thread to the worker pool")]
    Thread(#[source] std::io::Error),
    /// A queue has a name it cannot have.
    #[error(transparent)]
    Name(#[from] NameError),
}
