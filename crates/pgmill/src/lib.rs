#![doc = include_str!("../README.md")]

mod batch;
mod enqueue;
mod error;
mod home;
mod jitter;
mod maintenance;
mod manager;
mod open;
mod queues;
#[cfg(feature = "sqlx")]
mod sqlx;
mod tasks;
mod tickers;
mod wakes;

pub use batch::BatchOptions;
pub use enqueue::Wake;
pub use error::{
    EnqueueError, LookupError, OpenError, QueueError, ReleaseError, RetainError, SharedStoreError,
};
pub use maintenance::Maintained;
pub use manager::Manager;
pub use open::ManagerBuilder;
pub use tasks::{Attempted, Released, Retain};
pub use tickers::{Clock, CronError, Schedule, TickerError, TickerLoop, Ticks};
pub use wakes::{Arrivals, Arrived};

#[doc(no_inline)]
pub use pgmill_schema::*;
#[doc(no_inline)]
pub use pgmill_store::{
    ConnectError, ConnectOptions, DatabaseError, MigrateError, Migrated, Migrator, Store, StoreError,
};
