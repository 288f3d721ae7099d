#![doc = include_str!("../README.md")]

mod account;
mod builder;
mod cluster;
mod embedded;
mod error;
mod folder;
mod installation;
mod postmaster;
mod psql;
mod server;
mod tuning;
mod watchdog;

pub use builder::Builder;
pub use embedded::{Embedded, StopMode};
pub use error::EmbeddedError;
pub use installation::{Installation, find_installation};
