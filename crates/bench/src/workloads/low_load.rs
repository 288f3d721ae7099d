//! A few tasks a second, for a pool in another process that has nothing else to do: how long each takes from the time it was
//! due to be created until its handler runs, where the pool is told of tasks, and where it can only look, as behind a pooler.

use std::time::Duration;

use pgmill::{Status, TaskMeta};

use crate::args::Workload;
use crate::bench::Bench;
use crate::child::Role;
use crate::figure::{Figure, Limit};
use crate::limits;
use crate::load::{Pace, bear, until_it_runs};
use crate::measure::Latencies;
use crate::process::Process;

const QUEUE: &str = "low-load";
/// How long a pool has until it waits as one that has nothing to do.
const SETTLED: Duration = Duration::from_secs(1);
const POOLS: [(Role, &str); 2] = [(Role::Recorder, "told by LISTEN"), (Role::PooledRecorder, "polling")];

pub(super) async fn round(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let limit = limits::pickup(bench, bench.plan.samples).await?;
    let paces = [(10, bench.plan.slow_samples), (100, bench.plan.samples)];
    let mut figures = Vec::new();
    for (role, how) in POOLS {
        for (per_second, count) in paces {
            let pace = Pace { per_second, count: count.into() };
            figures.push(pick_up(bench, role, how, pace, &limit).await?);
        }
    }
    Ok(figures)
}

async fn pick_up(
    bench: &Bench,
    role: Role,
    how: &str,
    pace: Pace,
    limit: &Latencies,
) -> anyhow::Result<Figure> {
    bench.queue(QUEUE).await?;
    let pool = Process::start(bench, role).await?;
    tokio::time::sleep(SETTLED).await;
    let plan = bench.plan.clone();
    let task = move |number| {
        let payload = plan.payload(usize::try_from(number).unwrap_or_default());
        (QUEUE.to_owned(), TaskMeta::raw(payload.clone()))
    };
    let (borne, costs) = bear(bench, pool, pace, task).await?;
    bench.verify(QUEUE, Status::Released, pace.count).await?;
    bench.clean().await?;
    let latencies = borne.latencies(until_it_runs);
    let figure = Figure {
        seconds: Some(borne.took().as_secs_f64()),
        per_second: latencies.percentile(50).map(at_the_median),
        ..Figure::new(Workload::LowLoad, format!("{how}, pickup at {} a second", pace.per_second), pace.count)
    };
    let percentile = |percent| limit.percentile(percent).unwrap_or_default();
    let name =
        format!("a notice from INSERT to SELECT, p50 {:.2} ms, p99 {:.2} ms", percentile(50), percentile(99));
    Ok(figure
        .timing(&latencies)
        .costing(costs)
        .against(Limit { name, per_second: at_the_median(percentile(50)) }))
}

/// The rate of one after the other, each as long as the median.
fn at_the_median(p50_ms: f64) -> f64 {
    1e3 / p50_ms.max(1e-6)
}
