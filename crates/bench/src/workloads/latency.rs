//! How long a task waits for a worker that has nothing else to do: from the return of `create_task`, which is the commit,
//! to the return of `next_task`. One task at a time, with a pause before each, so that the worker is asleep.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use pgmill::{Manager, Outcome, Status, TaskMeta};
use tokio::sync::mpsc;

use crate::args::Workload;
use crate::bench::Bench;
use crate::figure::{Bar, Figure};
use crate::measure::Latencies;

const QUEUE: &str = "latency";
const IDLE: Duration = Duration::from_millis(5);
const BAR: Bar = Bar::Latency { p50: 1.0, p99: 5.0 };

/// A task that the worker has released, and when it got it.
struct Picked {
    id: u64,
    at: Instant,
}

pub(super) async fn round(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    bench.queue(QUEUE).await?;
    let (picked, mut arrivals) = mpsc::channel(1);
    let worker = tokio::spawn(work(bench.manager.clone(), picked));
    let mut latencies = Vec::new();
    for sample in 0..bench.plan.samples {
        tokio::time::sleep(IDLE).await;
        let task = bench
            .manager
            .create_task(QUEUE, TaskMeta::raw(bench.plan.payload(sample as usize).clone()))
            .await?;
        let created = Instant::now();
        let Some(Picked { id, at }) = arrivals.recv().await else { break };
        ensure!(id == task.id, "the worker got task {id}, not {}", task.id);
        // The worker is told before the caller is: it may even be first.
        latencies.push(at.saturating_duration_since(created));
    }
    drop(arrivals);
    worker.abort();
    match worker.await {
        Err(error) if error.is_cancelled() => {}
        ended => ended?.context("the worker failed")?,
    }
    let n = u64::from(bench.plan.samples);
    bench.verify(QUEUE, Status::Released, n).await?;
    bench.clean().await?;
    let latencies = Latencies::new(latencies);
    let figure = Figure {
        p50_ms: latencies.percentile(50),
        p99_ms: latencies.percentile(99),
        ..Figure::new(Workload::Latency, "pickup by an idle worker", n)
    };
    Ok(vec![figure.with_bar(BAR)])
}

async fn work(manager: Manager, picked: mpsc::Sender<Picked>) -> anyhow::Result<()> {
    let mut arrivals = manager.arrivals(&[QUEUE])?;
    loop {
        let Some(task) = manager.next_task("bench", &[QUEUE]).await? else {
            arrivals.wait().await;
            continue;
        };
        let at = Instant::now();
        manager.release_task(&task, Outcome::done_empty()).await?;
        if picked.send(Picked { id: task.id, at }).await.is_err() {
            return Ok(());
        }
    }
}
