//! The test kit on a real server.

#[path = "it/cut.rs"]
mod cut;
#[path = "it/database.rs"]
mod database;
#[path = "it/proxy.rs"]
mod proxy;
