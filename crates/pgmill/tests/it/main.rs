//! The manager on a real PostgreSQL.

#![cfg(test)]

mod bad_input;
mod batchers;
mod bulk;
mod concurrency;
mod deletion;
mod faults;
mod fixture;
mod history;
mod horizon;
mod keys;
mod manager;
mod namespace;
mod order;
mod queue;
mod reference_defects;
mod reference_lifecycle;
mod scene;
mod sql_function;
#[cfg(feature = "sqlx")]
mod sqlx;
mod task;
mod transaction;
mod model;
mod property;
