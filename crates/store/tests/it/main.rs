//! What the store does on a real PostgreSQL.

#![cfg(test)]

mod counts;
mod enqueue;
mod fence;
mod hot_updates;
mod keys;
mod lists;
mod locks;
mod migrations;
mod orphans;
mod outcomes;
mod partitions;
mod plans;
mod prune;
mod resend;
mod retain;
mod schema;
mod sessions;
mod support;
mod sweep;
mod tickers;
mod waiter;
mod watcher;
