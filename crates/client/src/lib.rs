#![doc = include_str!("../README.md")]

mod builder;
mod call;
mod client;
mod error;
mod events;
mod feed;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod pages;
mod queues;
mod release;
mod retain;
mod retry;
mod secret;
mod service;
mod sse;
mod tasks;
mod tickers;
mod tls;
mod tokens;
mod trace;

pub use builder::ClientBuilder;
pub use client::Client;
pub use error::Error;
pub use events::Change;
pub use feed::{Signal, Signals, Subscription};
#[doc(no_inline)]
pub use pgmill_schema::*;
pub use release::{Heartbeat, Held};
pub use retain::{Lease, Retain, RetainedTask};
pub use secret::Secret;
pub use service::{Check, Health};
pub use sse::Message;
pub use trace::TraceEvent;
