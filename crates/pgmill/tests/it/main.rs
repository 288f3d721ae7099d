//! The manager on a real PostgreSQL.

#![cfg(test)]

mod bad_input;
mod batchers;
mod bulk;
mod cancel;
mod concurrency;
mod deletion;
mod faults;
mod faults_deadline;
mod faults_enqueue;
mod faults_outage;
mod faults_release;
mod fenced;
mod fixture;
mod history;
mod horizon;
mod idle;
mod keys;
mod log;
mod maintenance;
mod maintenance_faults;
mod maintenance_history;
mod manager;
mod model;
mod namespace;
mod order;
mod outage;
mod pool_leases;
mod pool_outage;
mod pool_run;
mod pool_scene;
mod pool_shares;
mod pool_stages;
mod pool_tickers;
mod program;
mod property;
mod queue;
mod reference_defects;
mod reference_lifecycle;
mod retry;
mod runtimes;
mod scene;
mod sql_function;
#[cfg(feature = "sqlx")]
mod sqlx;
mod task;
mod task_loop;
mod telemetry_metrics;
#[cfg(feature = "otel")]
mod telemetry_otel;
mod telemetry_scene;
mod telemetry_spans;
mod ticker;
mod ticker_clock;
mod ticker_loops;
mod ticker_once;
mod ticker_tasks;
mod tokens;
mod trace;
mod transaction;
mod wakes;
mod wakes_elsewhere;
