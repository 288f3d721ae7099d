//! What a retain takes in a queue with many tasks that cannot be had: leased for an hour, and delayed by one. Beside it, in
//! turn, the same in an empty queue: whatever slows down the machine slows down both.

use std::time::{Duration, Instant};

use anyhow::ensure;
use pgmill::{Manager, Outcome, Retain, Status, TaskMeta, minutes};

use super::backlog::metas;
use crate::args::Workload;
use crate::bench::Bench;
use crate::figure::{Bar, Figure, Limit};
use crate::measure::Latencies;

const EMPTY: &str = "retain-empty";
const FULL: &str = "retain-full";
/// As many as they are at most, and what part of `--tasks` they are otherwise.
const LEASED: (u32, u32) = (10_000, 10);
const DELAYED: (u32, u32) = (50_000, 2);
/// The tasks of one call.
const CALL: u32 = 1_000;
/// After how long a task that waits is taken for lost.
const LOST: Duration = Duration::from_secs(10);
/// A tenth longer.
const BAR: Bar = Bar::Ratio(0.91);

/// A queue, and a manager of its own, for what is learnt about the one must not serve the other.
struct Side {
    queue: &'static str,
    manager: Manager,
    found: Vec<Duration>,
    nothing: Vec<Duration>,
}

impl Side {
    async fn new(bench: &Bench, queue: &'static str) -> anyhow::Result<Self> {
        bench.queue(queue).await?;
        Ok(Self { queue, manager: bench.another().await?, found: Vec::new(), nothing: Vec::new() })
    }

    /// Retains where there is nothing to be had, and where there is one task.
    async fn sample(&mut self, meta: TaskMeta) -> anyhow::Result<()> {
        let started = Instant::now();
        let none = self.manager.next_task("bench", &[self.queue]).await?;
        self.nothing.push(started.elapsed());
        ensure!(none.is_none(), "wrong count: a task that was not there was retained");

        let created = self.manager.create_task(self.queue, meta).await?;
        let started = Instant::now();
        let task = loop {
            if let Some(task) = self.manager.next_task("bench", &[self.queue]).await? {
                break task;
            }
            ensure!(started.elapsed() < LOST, "wrong count: task {} cannot be retained", created.id);
        };
        self.found.push(started.elapsed());
        ensure!(task.id == created.id, "task {} was retained, not {}", task.id, created.id);
        self.manager.release_task(&task, Outcome::done_empty()).await?;
        Ok(())
    }
}

pub(super) async fn round(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let share = |(most, part): (u32, u32)| most.min(bench.plan.tasks / part);
    let (leased, delayed) = (share(LEASED), share(DELAYED));
    let (mut empty, mut full) = (Side::new(bench, EMPTY).await?, Side::new(bench, FULL).await?);
    fill(bench, &full.manager, leased, delayed).await?;
    for sample in 0..bench.plan.samples {
        let meta = || TaskMeta::raw(bench.plan.payload(sample as usize).clone());
        empty.sample(meta()).await?;
        full.sample(meta()).await?;
    }
    let n = u64::from(bench.plan.samples);
    bench.verify(EMPTY, Status::Released, n).await?;
    let held = [(Status::Retained, leased.into()), (Status::New, delayed.into()), (Status::Released, n)];
    bench.verify_all(FULL, &held).await?;
    bench.clean().await?;
    let beside = format!("beside {leased} leased, {delayed} delayed");
    let found = figure(format!("one task, {beside}"), n, full.found, empty.found).with_bar(BAR);
    let nothing = figure(format!("no task, {beside}"), n, full.nothing, empty.nothing);
    empty.manager.close().await;
    full.manager.close().await;
    Ok(vec![found, nothing])
}

/// Puts tasks into the queue that nobody can have.
async fn fill(bench: &Bench, manager: &Manager, leased: u32, delayed: u32) -> anyhow::Result<()> {
    manager.create_tasks(FULL, metas(bench, leased)).await?;
    let mut left = leased;
    while left > 0 {
        let retain = Retain::new().count(left.min(CALL) as usize).lease(minutes(60));
        let taken = manager.next_tasks("bench", &[FULL], retain).await?.len();
        ensure!(taken > 0, "wrong count: {left} tasks cannot be retained");
        left -= u32::try_from(taken)?;
    }
    let later = metas(bench, delayed).into_iter().map(|meta| meta.delay(minutes(60)));
    manager.create_tasks(FULL, later).await?;
    Ok(())
}

/// Rates are those of one caller at the median.
fn figure(config: String, n: u64, took: Vec<Duration>, empty: Vec<Duration>) -> Figure {
    let (took, empty) = (Latencies::new(took), Latencies::new(empty));
    let per_second = |p50_ms: f64| 1e3 / p50_ms.max(1e-6);
    let name = format!(
        "an empty queue, p50 {:.2} ms, p99 {:.2} ms",
        empty.percentile(50).unwrap_or_default(),
        empty.percentile(99).unwrap_or_default()
    );
    let limit = Limit { name, per_second: empty.percentile(50).map_or(0.0, per_second) };
    let figure = Figure {
        per_second: took.percentile(50).map(per_second),
        ..Figure::new(Workload::Retain, config, n)
    };
    let beside = empty.curve().map(|curve| curve.named("an empty queue"));
    figure.timing(&took).with_series(beside).against(limit)
}
