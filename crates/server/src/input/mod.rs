//! What comes in, read as the contract has it, which is as Go reads it.

mod body;
mod form;
mod media;
mod object;
mod query;
mod segment;

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing {
    pub(crate) use super::form::read as form;
    pub(crate) use super::media::media_type;
    pub(crate) use super::object::from_slice;
}

pub(crate) use body::{Body, Read, invalid as invalid_body, read_body, skip_body};
pub(crate) use media::accepts_only;
pub(crate) use object::{Object, object};
pub(crate) use query::{Page, Query, invalid as invalid_parameter};
pub(crate) use segment::{Segment, TaskId};
