#![doc = include_str!("../README.md")]

mod answer;
mod api;
mod caller;
mod error;
mod indent;
mod input;
mod lobby;
mod options;
mod resource;
mod routes;
mod sse;
mod tick_stream;
mod unclean;

pub use api::{Api, router};
pub use options::{DEFAULT_MAX_BODY, DEFAULT_PREFIX, Options};
