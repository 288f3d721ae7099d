//! Workloads with very many tasks: waiting, finished, or coming on beside a transaction that stays open. What is measured
//! alternates with the same where there are few, so that whatever slows down the machine slows down both.

mod curves;
mod fill;
mod finished;
mod growth;
mod pinned;
mod reads;
mod sides;
mod spread;
mod traffic;
mod waiting;

pub(super) use finished::round as finished;
pub(super) use growth::round as growth;
pub(super) use pinned::round as pinned;
pub(super) use sides::{Side, Turns, latency};
pub(super) use waiting::round as backlog;
