//! What the drivers of all systems share. A driver is a program that implements [`System`] and calls [`drive`]; what it is
//! asked for and what it answers is in the README of the folder above.

mod args;
mod clock;
mod handled;
mod outcome;
mod payload;
mod system;
mod version;
mod workloads;

pub use args::{Args, Workload};
pub use clock::{Latencies, now};
pub use handled::handled;
pub use outcome::{History, Info, Outcome};
pub use payload::Payload;
pub use system::{Finished, Load, Place, System};
pub use version::locked;
pub use workloads::drive;
