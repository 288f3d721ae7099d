//! What comes in, read as the contract has it, which is as Go reads it.

mod body;
mod form;
mod media;
mod object;
mod query;
mod segment;

pub(crate) use body::Body;
pub(crate) use query::{Page, Query};
pub(crate) use segment::Segment;
