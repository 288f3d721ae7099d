#![doc = include_str!("../README.md")]

mod abandoned;
mod audit;
mod checks;
mod connect;
#[cfg(test)]
mod contract;
mod copy;
mod enqueue;
mod error;
pub mod foreign;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod interventions;
mod listener;
mod maintenance;
mod migrate;
mod monitor;
mod queues;
mod release;
mod release_done;
mod reserved;
mod retain;
mod row;
mod rows;
mod session;
mod stamp;
mod statement;
mod store;
mod tasks;
mod tickers;
mod ticks;
mod tokens;
mod waiter;
mod watcher;

pub use checks::{
    DayHorizon, Drift, Holder, JobState, Lack, MigrationState, Miscount, OddMigration, QueueState,
    ServerFacts, TableState,
};
pub use connect::{ConnectError, ConnectFailure, ConnectOptions, Driver, SslMode};
pub use enqueue::{Enqueued, NewTask, Sending};
pub use error::{DatabaseError, StoreError};
pub use interventions::{Cancelled, Retried};
pub use listener::{ListenError, Listener, Notice};
pub use maintenance::{
    Folded, HistoryDay, KeyPlace, Orphans, PastPlace, PastTasks, PruneStep, SweepPlace, Swept,
};
pub use migrate::{MigrateError, Migrated, Migrator};
pub use monitor::ServerHealth;
pub use release::{Ended, Ending, Fence};
pub use reserved::Reserved;
pub use retain::{Caller, Demand, Floor, Retained};
pub use store::Store;
pub use tickers::{CronSchedule, KnownTicker};
pub use ticks::{ClaimTicks, ClaimedTicks, CronDecision, Tick, TickLease, Undecided};
pub use tokens::KnownToken;
pub use waiter::{Arrival, Waking};
pub use watcher::{News, Told};
