//! One caller that creates many tasks at once.

use std::time::{Duration, Instant};

use pgmill::Status;

use super::backlog::metas;
use crate::args::Workload;
use crate::bench::Bench;
use crate::figure::{Bar, Figure};
use crate::limits;
use crate::measure::{Latencies, per_second};

/// The tasks of a call, besides all in one.
const CALLS: [u32; 3] = [100, 1_000, 10_000];
/// The only one of them where there is little time.
const USUAL: u32 = 1_000;
const BAR: Bar = Bar::Ratio(0.7);

pub(super) async fn round(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let tasks = bench.plan.tasks;
    let limit = limits::copy(bench, tasks).await?;
    bench.clean().await?;
    let mut figures = Vec::new();
    for call in CALLS.into_iter().filter(|call| *call < tasks && (!bench.plan.quick || *call == USUAL)) {
        figures.push(create(bench, call).await?.against(limit.clone()));
    }
    figures.push(create(bench, tasks).await?.against(limit).with_bar(BAR));
    Ok(figures)
}

/// Creates all tasks by calls of so many.
async fn create(bench: &Bench, call: u32) -> anyhow::Result<Figure> {
    let tasks = bench.plan.tasks;
    let queue = format!("bulk-{call}");
    bench.queue(&queue).await?;
    bench.checkpoint().await;
    let meter = bench.meter().await?;
    let progress = meter.progress();
    let mut latencies = Vec::new();
    let mut left = tasks;
    while left > 0 {
        let count = left.min(call);
        let metas = metas(bench, count);
        let called = Instant::now();
        bench.manager.create_tasks(&queue, metas).await?;
        latencies.push(called.elapsed());
        progress.add(count.into());
        left -= count;
    }
    let costs = meter.stop(tasks.into()).await?;
    bench.verify(&queue, Status::New, tasks.into()).await?;
    bench.clean().await?;
    let took: Duration = latencies.iter().sum();
    let latencies = Latencies::new(latencies);
    let figure = Figure {
        seconds: Some(took.as_secs_f64()),
        per_second: Some(per_second(tasks.into(), took)),
        ..Figure::new(Workload::EnqueueBulk, format!("{call} a call"), tasks.into())
    };
    Ok(figure.timing(&latencies).costing(costs))
}
