//! What the store does on a real PostgreSQL.

#![cfg(test)]

mod any_queue;
mod cancel;
mod counts;
mod enqueue;
mod fence;
mod fenced;
mod hot_updates;
mod keys;
mod list_costs;
mod lists;
mod locks;
mod migrations;
mod monitor;
mod orphans;
mod outcomes;
mod partitions;
mod plans;
mod privileges;
mod prune;
mod release_done;
mod resend;
mod retain;
mod retry;
mod schema;
mod sessions;
mod settings;
mod shape;
mod standby;
mod support;
mod sweep;
mod tickers;
mod tokens;
mod waiter;
mod watcher;
