#![doc = include_str!("../README.md")]

mod audit;
mod batch;
mod bulk;
mod checks;
mod enqueue;
mod error;
mod events;
#[cfg(any(test, fuzzing))]
pub mod fuzzing {
    //! What holds of whatever comes in, for the targets of `fuzz/`.

    pub use crate::tickers::fuzzing::crons;
}
mod home;
mod interventions;
mod jitter;
mod maintenance;
mod manager;
mod monitor;
mod open;
mod outage;
mod pace;
mod pool;
mod queues;
#[cfg(feature = "sqlx")]
mod sqlx;
mod task_loop;
mod tasks;
mod telemetry;
mod tickers;
mod tokens;
mod wakes;

pub use audit::AuditError;
pub use batch::BatchOptions;
pub use bulk::BulkError;
pub use checks::{Check, CheckOptions, Checkup, Verdict};
pub use enqueue::{Created, Wake};
pub use error::{
    CancelError, EnqueueError, LookupError, OpenError, QueueError, ReleaseError, RetainError, RetryError,
    SharedStoreError,
};
pub use events::{EventItem, Events};
pub use maintenance::Maintained;
pub use manager::Manager;
pub use monitor::{DatabaseHealth, PoolUsage};
pub use open::ManagerBuilder;
pub use pool::{
    BuildError, Context, End, Ended, Prefetch, QueueOptions, RegisterError, RunError, RunReport, TaskError,
    TaskResultExt, TickContext, WorkerPool, WorkerPoolBuilder,
};
#[doc(hidden)]
pub use pool::{InlineHandler, InlineScope};
pub use task_loop::TaskLoop;
pub use tasks::{Attempted, Released, Retain};
pub use tickers::{Clock, CronError, Schedule, TickerError, TickerLoop, Ticks};
pub use tokens::{KnownToken, TokenError};
pub use wakes::{Arrivals, Arrived};

#[doc(no_inline)]
pub use pgmill_schema::*;
#[doc(no_inline)]
pub use pgmill_store::{
    ConnectError, ConnectOptions, DatabaseError, MigrateError, Migrated, Migrator, Store, StoreError,
};
