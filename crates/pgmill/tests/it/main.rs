//! The manager on a real PostgreSQL.
mod smoke;
mod concurrency;
mod scene;
mod faults;
#[cfg(test)]
mod fixture;
mod manager;
mod namespace;
mod queue;
mod task;
mod reference_defects;
mod reference_lifecycle;
mod bad_input;
mod history;
mod order;
mod keys;
