//! What keeps the tables in order: the statements of the maintenance jobs, a file for each.

mod counts;
mod jobs;
mod keys;
mod orphans;
mod partitions;
mod prune;
mod sweep;

pub use counts::Folded;
pub use keys::KeyPlace;
pub use orphans::Orphans;
pub use prune::{HistoryDay, PastPlace, PastTasks, PruneStep};
pub use sweep::{SweepPlace, Swept};
