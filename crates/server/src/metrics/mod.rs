//! What the server tells Prometheus: the gauge of the contract, what the library counts, and what only the database knows.

mod exposition;
mod gather;
mod http;
mod recorder;
mod work;

pub(crate) use gather::gather;
pub(crate) use http::{count, known_method};
pub use recorder::{Recorder, RecorderError};
pub(crate) use work::{released, retained};
