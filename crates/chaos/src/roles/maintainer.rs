//! Runs maintenance, and nothing else; writes down when it has done some of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tokio_util::sync::CancellationToken;

use super::{RoleArgs, manager};
use crate::history::{Event, Writer};

/// What the library counts of the jobs of maintenance that this process has run.
const JOBS: &str = "pgmill_maintenance_runs_total";
/// How often it is looked whether there are more.
const LOOK: Duration = Duration::from_millis(200);

pub(super) async fn maintain(
    args: &RoleArgs,
    history: Writer,
    over: CancellationToken,
) -> anyhow::Result<()> {
    let jobs = Jobs::default();
    metrics::set_global_recorder(jobs.clone())?;
    tokio::spawn(tell(jobs, history));
    manager(args).await?.run(over).await;
    Ok(())
}

async fn tell(jobs: Jobs, history: Writer) {
    let mut before = 0;
    loop {
        tokio::time::sleep(LOOK).await;
        let now = jobs.0.load(Ordering::Relaxed);
        if now > before {
            history.note(Event::Maintained { jobs: now - before });
            before = now;
        }
    }
}

/// How many jobs have ended, well or not.
#[derive(Debug, Clone, Default)]
struct Jobs(Arc<AtomicU64>);

impl Recorder for Jobs {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        if key.name() == JOBS { Counter::from_arc(Arc::clone(&self.0)) } else { Counter::noop() }
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
