#![doc = include_str!("../README.md")]

mod database;
mod drain;
mod enqueued;
mod environment;
mod inline;
mod janitor;
mod outcome;
mod pooler;
mod proxy;
mod server;
mod status;
mod task_match;
mod ticks;
mod url;
mod wait;
mod workplace;

pub use database::TestDatabase;
pub use drain::{Drain, Drained, drain, drain_pool};
pub use enqueued::{assert_enqueued, assert_enqueued_in, assert_not_enqueued, assert_not_enqueued_in};
#[doc(hidden)]
pub use environment::{has_plain_role, has_pooler, has_setting, skipped};
pub use inline::{Inline, run_handler};
pub use outcome::{HandlerOutcome, Performed};
#[doc(no_inline)]
pub use pgmill::Clock;
pub use pgmill_embedded::StopMode;
pub use proxy::{Ambush, ChaosProxy, CutPoint, Direction, Mishap};
pub use server::TestServer;
pub use status::{wait_for_all, wait_for_status};
pub use task_match::TaskMatch;
pub use ticks::fire_tickers;
pub use wait::wait_until;
