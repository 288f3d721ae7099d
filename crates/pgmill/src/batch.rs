//! The three batchers: every write of the hot path passes through one of them.
//!
//! `batcher` gathers calls into flights; `enqueue`, `retain` and `release` are what a flight of each kind does; `settle`
//! is what a failure means, `reply` the way back to a caller. `ids` are reserved before an enqueue is sent, `floors` tell a retain where to start.

mod batcher;
mod enqueue;
mod floors;
mod ids;
mod options;
mod release;
mod reply;
mod retain;
mod settle;

pub use options::BatchOptions;

pub(crate) use batcher::{Batcher, Flight};
pub(crate) use enqueue::{EnqueueCall, EnqueueFlight, due_in, publish};
pub(crate) use floors::Floors;
pub(crate) use ids::Ids;
pub(crate) use release::{ALONE_AT_ONCE, ReleaseAnswer, ReleaseCall, ReleaseFlight};
pub(crate) use reply::Reply;
pub(crate) use retain::{RetainCall, RetainFlight};
pub(crate) use settle::{Batch, Pauses, Unsettled, settle};
