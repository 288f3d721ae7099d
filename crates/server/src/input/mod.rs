//! What comes in, read as the contract has it, which is as Go reads it.

mod body;
mod form;
mod media;
mod object;
mod query;
mod segment;

pub(crate) use body::{Body, Read, invalid as invalid_body, read_body, skip_body};
pub(crate) use media::accepts_only;
pub(crate) use object::{Object, object};
pub(crate) use query::{Page, Query, invalid as invalid_parameter};
pub(crate) use segment::{Segment, TaskId};
