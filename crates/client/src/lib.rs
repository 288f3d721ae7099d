#![doc = include_str!("../README.md")]

mod builder;
mod call;
mod client;
mod error;
mod pages;
mod queues;
mod release;
mod retain;
mod retry;
mod secret;
mod service;
mod tasks;
mod tickers;
mod tls;
mod trace;

pub use builder::ClientBuilder;
pub use client::Client;
pub use error::Error;
pub use queues::{Counts, QueueTasks};
pub use release::{Heartbeat, Held};
pub use retain::{Lease, Retain, RetainedTask};
pub use secret::Secret;
pub use service::{Check, Health};
pub use trace::TraceEvent;
