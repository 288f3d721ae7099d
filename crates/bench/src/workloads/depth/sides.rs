//! Two queues that are measured in turn: one that is full of something, and one that is not.

use std::time::{Duration, Instant};

use anyhow::ensure;
use pgmill::{Manager, Outcome, TaskMeta};

use super::super::drain;
use super::fill;
use crate::args::Workload;
use crate::bench::Bench;
use crate::costs::Costs;
use crate::figure::{Bar, Figure, Limit};
use crate::measure::{Latencies, median_by, per_second};

/// How often the two are measured in turn.
pub(crate) const TURNS: u32 = 6;
/// What "within 10 %" is of times: a tenth longer. Of rates it is almost the same.
pub(crate) const WITHIN: Bar = Bar::Ratio(0.91);
/// After how long a task that waits is taken for lost.
const LOST: Duration = Duration::from_secs(30);

/// A queue, and a manager of its own, for what is learnt about the one must not serve the other.
pub(crate) struct Side {
    pub(crate) queue: &'static str,
    pub(crate) manager: Manager,
    /// How many of its tasks have been released.
    pub(crate) released: u64,
}

impl Side {
    pub(crate) async fn new(bench: &Bench, queue: &'static str) -> anyhow::Result<Self> {
        bench.queue(queue).await?;
        Self::of(bench, queue).await
    }

    /// Of a queue that is there.
    pub(crate) async fn of(bench: &Bench, queue: &'static str) -> anyhow::Result<Self> {
        Ok(Self { queue, manager: bench.another().await?, released: 0 })
    }

    /// Retains and releases so many tasks. Returns how many a second, and what they cost.
    pub(crate) async fn drain(&mut self, bench: &Bench, tasks: u32) -> anyhow::Result<(f64, Costs)> {
        let meter = bench.meter().await?;
        let started = Instant::now();
        drain::run(&self.manager, &[self.queue], drain::of(tasks), &meter.progress()).await?;
        let rate = per_second(tasks.into(), started.elapsed());
        self.released += u64::from(tasks);
        Ok((rate, meter.stop(tasks.into()).await?))
    }

    /// Creates a task, then retains the one whose turn it is. Returns how long the retain took, and whether it is the same.
    pub(crate) async fn sample(&mut self, meta: TaskMeta) -> anyhow::Result<(Duration, bool)> {
        let created = self.manager.create_task(self.queue, meta).await?;
        let first = Instant::now();
        loop {
            let started = Instant::now();
            if let Some(task) = self.manager.next_task("bench", &[self.queue]).await? {
                let took = started.elapsed();
                self.manager.release_task(&task, Outcome::done_empty()).await?;
                self.released += 1;
                return Ok((took, task.id == created.id));
            }
            ensure!(first.elapsed() < LOST, "wrong count: no task of {} can be retained", self.queue);
        }
    }

    pub(crate) async fn close(self) {
        self.manager.close().await;
    }
}

/// What was measured of one side.
#[derive(Default)]
struct Windows {
    drains: Vec<(f64, Costs)>,
    retains: Vec<Duration>,
}

impl Windows {
    async fn add(&mut self, bench: &Bench, side: &mut Side, tasks: u32) -> anyhow::Result<()> {
        self.drains.push(side.drain(bench, tasks).await?);
        Ok(())
    }
}

/// Both sides, measured in turn.
pub(crate) struct Turns {
    workload: Workload,
    /// How many tasks a window drains.
    tasks: u32,
    empty: Windows,
    full: Windows,
}

impl Turns {
    /// Measures, with as many tasks in each side afterwards as before.
    pub(crate) async fn measure(
        bench: &Bench,
        workload: Workload,
        empty: &mut Side,
        full: &mut Side,
    ) -> anyhow::Result<Self> {
        let tasks = bench.plan.tasks.div_ceil(5);
        let mut turns = Self { workload, tasks, empty: Windows::default(), full: Windows::default() };
        for turn in 0..TURNS {
            fill::waiting(bench, empty.queue, tasks).await?;
            fill::waiting(bench, full.queue, tasks).await?;
            // Pages of both are written whole when they are first changed after it.
            bench.checkpoint().await;
            if turn % 2 == 0 {
                turns.empty.add(bench, empty, tasks).await?;
                turns.full.add(bench, full, tasks).await?;
            } else {
                turns.full.add(bench, full, tasks).await?;
                turns.empty.add(bench, empty, tasks).await?;
            }
        }
        for sample in 0..bench.plan.samples {
            let meta = || TaskMeta::raw(bench.plan.payload(sample as usize).clone());
            turns.empty.retains.push(empty.sample(meta()).await?.0);
            turns.full.retains.push(full.sample(meta()).await?.0);
        }
        Ok(turns)
    }

    /// Drain and retain of the full side, against those of the other; `what` it is full of.
    pub(crate) fn figures(self, what: &str) -> Vec<Figure> {
        let n = u64::from(self.tasks) * u64::from(TURNS);
        let (empty, full) = (self.empty.drains, self.full.drains);
        let limit = Limit {
            name: "an empty queue, in turn".to_owned(),
            per_second: middle(&empty).unwrap_or_default(),
        };
        let beside = drained(self.workload, format!("drain of an empty queue, in turn ({what})"), n, empty);
        let drain = drained(self.workload, format!("drain, {what}"), n, full).against(limit).with_bar(WITHIN);
        let retain = format!("retain, {what}");
        let retain = latency(self.workload, retain, self.full.retains, self.empty.retains);
        vec![beside, drain, retain.with_bar(WITHIN)]
    }
}

/// The middle one of the rates.
fn middle(drains: &[(f64, Costs)]) -> Option<f64> {
    median_by(drains.iter().map(|(rate, _)| *rate).collect(), |rate| *rate)
}

/// The window in the middle.
pub(super) fn drained(workload: Workload, config: String, n: u64, drains: Vec<(f64, Costs)>) -> Figure {
    let figure = Figure::new(workload, config, n);
    match median_by(drains, |(rate, _)| *rate) {
        Some((rate, costs)) => Figure { per_second: Some(rate), ..figure.costing(costs) },
        None => figure,
    }
}

/// Times against those in an empty queue.
pub(crate) fn latency(
    workload: Workload,
    config: String,
    took: Vec<Duration>,
    empty: Vec<Duration>,
) -> Figure {
    against(workload, config, took, ("an empty queue", empty))
}

/// Times against those of something else, which has a name. Rates are those of one caller at the median.
pub(super) fn against(
    workload: Workload,
    config: String,
    took: Vec<Duration>,
    (name, other): (&str, Vec<Duration>),
) -> Figure {
    let (took, other) = (Latencies::new(took), Latencies::new(other));
    let per_second = |p50_ms: f64| 1e3 / p50_ms.max(1e-6);
    let described = format!(
        "{name}, p50 {:.2} ms, p99 {:.2} ms",
        other.percentile(50).unwrap_or_default(),
        other.percentile(99).unwrap_or_default()
    );
    let limit = Limit { name: described, per_second: other.percentile(50).map_or(0.0, per_second) };
    let figure = Figure::new(workload, config, took.count());
    let figure = Figure { per_second: took.percentile(50).map(per_second), ..figure };
    let beside = other.curve().map(|curve| curve.named(name));
    figure.timing(&took).with_series(beside).against(limit)
}
