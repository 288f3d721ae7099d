//! How long a task waits for a worker that has nothing else to do: from the return of `create_task`, which is the commit,
//! until the worker has it. One task at a time, with a pause before each, so that the worker is asleep.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use pgmill::{Manager, Outcome, Status, TaskMeta};
use tokio::sync::mpsc;

use crate::args::Workload;
use crate::bench::Bench;
use crate::child::{Role, now};
use crate::figure::{Bar, Figure};
use crate::measure::Latencies;
use crate::process::Process;

const QUEUE: &str = "latency";
const IDLE: Duration = Duration::from_millis(5);
/// The same for another process, varied from the one to the other: it is asleep, and no notice is being gathered.
const IDLE_ELSEWHERE: (u64, u64) = (25, 75);
/// How long another process has until it waits as one that has nothing to do.
const SETTLED: Duration = Duration::from_millis(500);
const BAR: Bar = Bar::Latency { p50: 1.0, p99: 5.0 };

/// A task that the worker has released, and when it got it.
struct Picked {
    id: u64,
    at: Instant,
}

pub(super) async fn round(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let here = here(bench).await?;
    let pool = elsewhere(bench, Role::Pool, "pickup by an idle pool, another process").await?;
    let task_loop = elsewhere(bench, Role::Loop, "pickup by an idle loop, another process").await?;
    Ok(vec![here, pool, task_loop])
}

/// A worker in this process.
async fn here(bench: &Bench) -> anyhow::Result<Figure> {
    bench.queue(QUEUE).await?;
    let (picked, mut arrivals) = mpsc::channel(1);
    let worker = tokio::spawn(work(bench.manager.clone(), picked));
    let mut latencies = Vec::new();
    for sample in 0..bench.plan.samples {
        tokio::time::sleep(IDLE).await;
        let task = create(bench, sample).await?;
        let created = Instant::now();
        let Some(Picked { id, at }) = arrivals.recv().await else { break };
        ensure!(id == task, "the worker got task {id}, not {task}");
        // The worker is told before the caller is: it may even be first.
        latencies.push(at.saturating_duration_since(created));
    }
    drop(arrivals);
    worker.abort();
    match worker.await {
        Err(error) if error.is_cancelled() => {}
        ended => ended?.context("the worker failed")?,
    }
    finish(bench, bench.plan.samples, latencies, "pickup by an idle worker").await
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

/// A worker in a process of its own.
async fn elsewhere(bench: &Bench, role: Role, config: &str) -> anyhow::Result<Figure> {
    bench.queue(QUEUE).await?;
    let mut worker = Process::start(bench, role).await?;
    tokio::time::sleep(SETTLED).await;
    let mut latencies = Vec::new();
    for sample in 0..bench.plan.slow_samples {
        let (least, most) = IDLE_ELSEWHERE;
        let idle = least + getrandom::u64().context("no random numbers")? % (most - least);
        tokio::time::sleep(Duration::from_millis(idle)).await;
        let task = create(bench, sample).await?;
        let created = now();
        let (id, at) = worker.task().await?;
        ensure!(id == task, "the worker got task {id}, not {task}");
        latencies.push(Duration::from_nanos(at.saturating_sub(created)));
    }
    worker.end().await?;
    finish(bench, bench.plan.slow_samples, latencies, config).await
}

async fn create(bench: &Bench, sample: u32) -> anyhow::Result<u64> {
    let payload = bench.plan.payload(sample as usize).clone();
    Ok(bench.manager.create_task(QUEUE, TaskMeta::raw(payload)).await?.id)
}

async fn finish(bench: &Bench, n: u32, latencies: Vec<Duration>, config: &str) -> anyhow::Result<Figure> {
    bench.verify(QUEUE, Status::Released, n.into()).await?;
    bench.clean().await?;
    let latencies = Latencies::new(latencies);
    let figure = Figure::new(Workload::Latency, config, n.into()).timing(&latencies);
    Ok(figure.with_bar(BAR))
}
