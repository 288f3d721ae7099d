//! What an operator sees of this crate: metrics, and spans. `docs/telemetry.md` is the table of all of it.
//!
//! - `metric`: a name with its labels and what it means; `names`: all of them, in one place.
//! - `meters`: handles of a manager's metrics, made once and kept, so that counting is an addition; `pool_meters`: those of a
//!   pool; `by_queue`: those that a queue has each.
//! - `fate`: the ways in which an attempt ends, as labels know them.
//! - `spans`: what is a span, and its fields; `context`: the trace context that a task carries (feature `otel`).
//!
//! Labels are of what an operator names or what is written here: namespaces, queues, outcomes, batchers, jobs. Ids, keys,
//! names of workers and whatever is in a payload are none.

mod by_queue;
#[cfg(feature = "otel")]
mod context;
mod fate;
mod meters;
mod metric;
mod names;
mod pool_meters;
mod spans;

#[cfg(feature = "otel")]
pub(crate) use context::carrying_context;
pub(crate) use fate::Fate;
pub(crate) use meters::{BatchMeters, Level, Meters};
pub(crate) use names::{
    describe, event_watchers, event_watchers_dropped, events_lost, job_ended, listening, notices_received,
    notices_sent, ticks_taken,
};
pub(crate) use pool_meters::{HandlingMeters, PoolMeters};
pub(crate) use spans::{creating, creating_many, releasing, retaining, running};
