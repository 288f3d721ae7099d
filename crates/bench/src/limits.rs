//! What the server does without pgmill, measured in the same run: what results are held against.

mod copy;
mod insert;
mod pickup;
mod statements;

pub(crate) use copy::copy;
pub(crate) use insert::best_insert;
pub(crate) use pickup::pickup;
pub(crate) use statements::best_statements;
