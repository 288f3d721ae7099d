//! How long tasks waited and took, of workers that ask over HTTP. The times are those of the database.
//!
//! A worker pool of the library records the same under the same names, for itself.

use jiff::Timestamp;
use metrics::{SharedString, histogram};
use pgmill::Task;

const PICKUP: &str = "pgmill_task_pickup_seconds";
const RUN: &str = "pgmill_task_run_seconds";

/// Tasks are on their way to a worker.
pub(crate) fn retained(tasks: &[Task]) {
    for task in tasks {
        let due = task.delayed_at.unwrap_or(task.created_at);
        record(PICKUP, task, Some(due), task.started_at);
    }
}

/// A worker has reported. How long an attempt took that is followed by another is not told with its task.
pub(crate) fn released(task: &Task) {
    record(RUN, task, task.started_at, task.finished_at);
}

fn record(name: &'static str, task: &Task, from: Option<Timestamp>, to: Option<Timestamp>) {
    let (Some(from), Some(to)) = (from, to) else { return };
    let labels: [(&'static str, SharedString); 2] = [
        ("namespace", task.namespace.as_str().to_owned().into()),
        ("queue", task.queue.as_str().to_owned().into()),
    ];
    histogram!(name, &labels).record(to.duration_since(from).as_secs_f64().max(0.0));
}
