#![doc = include_str!("../README.md")]

mod answer;
mod api;
mod audit;
mod auth;
mod caller;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod indent;
mod input;
mod layers;
mod lobby;
mod metrics;
mod openapi;
mod options;
mod quota;
mod resource;
mod routes;
mod serve;
mod sse;
mod tick_stream;
mod unclean;

pub use api::{Api, router};
pub use auth::{RateLimit, Right, rights};
pub use indent::indented;
pub use metrics::{Recorder, RecorderError};
pub use options::{DEFAULT_MAX_BODY, DEFAULT_PREFIX, Options};
pub use serve::{Reloader, ServeError, ServeOptions, Server, TlsFiles};
