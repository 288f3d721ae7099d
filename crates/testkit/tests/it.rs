//! The test kit on a real server.

#![cfg(test)]

#[path = "it/cut.rs"]
mod cut;
#[path = "it/database.rs"]
mod database;
#[path = "it/drain.rs"]
mod drain;
#[path = "it/enqueued.rs"]
mod enqueued;
#[path = "it/inline.rs"]
mod inline;
#[path = "it/mishap.rs"]
mod mishap;
#[path = "it/proxy.rs"]
mod proxy;
#[path = "it/scene.rs"]
mod scene;
#[path = "it/status.rs"]
mod status;
