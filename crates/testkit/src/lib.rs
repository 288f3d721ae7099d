#![doc = include_str!("../README.md")]

mod database;
mod janitor;
mod proxy;
mod server;
mod url;
mod wait;

pub use database::TestDatabase;
pub use pgmill_embedded::StopMode;
pub use proxy::{ChaosProxy, CutPoint, Direction};
pub use server::TestServer;
pub use wait::wait_until;
