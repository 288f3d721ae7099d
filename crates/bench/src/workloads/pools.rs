//! Worker pools, a process each, that drain a backlog of tasks whose handler does nothing.

use std::time::Duration;

use anyhow::ensure;
use pgmill::Status;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::backlog::{History, fill};
use crate::args::Workload;
use crate::bench::Bench;
use crate::child::Role;
use crate::costs::Progress;
use crate::figure::{Bar, Figure, Limit};
use crate::measure::per_second;
use crate::process::Process;

const QUEUE: &str = "pools";
/// After how long without a task the backlog is taken for lost.
const STALLED: Duration = Duration::from_secs(30);

/// How many processes there are, how many handlers each runs at once, and what part of `--tasks` they get: few workers are
/// slow.
pub(super) struct Shape {
    pub(super) processes: u32,
    pub(super) workers: u32,
    pub(super) part: u32,
}

const SHAPES: [Shape; 6] = [
    Shape { processes: 1, workers: 1, part: 10 },
    Shape { processes: 1, workers: 10, part: 2 },
    Shape { processes: 1, workers: 50, part: 1 },
    Shape { processes: 1, workers: 500, part: 1 },
    Shape { processes: 2, workers: 50, part: 1 },
    Shape { processes: 4, workers: 50, part: 1 },
];
/// One process with so many workers is held against the bar: so many that each of the limit's connections could have its 100 rows,
/// and as many again be on their way.
const BARRED: (u32, u32) = (1, 500);

/// All shapes, or one with one process and one with two.
pub(super) async fn round(bench: &Bench, limit: &Limit, bar: Bar) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for shape in
        SHAPES.iter().filter(|shape| !bench.plan.quick || (shape.workers == 50 && shape.processes < 4))
    {
        let figure = drain(bench, shape).await?.against(limit.clone());
        let barred = (shape.processes, shape.workers) == BARRED;
        figures.push(if barred { figure.with_bar(bar) } else { figure });
    }
    Ok(figures)
}

/// One drain by these.
pub(super) async fn drain(bench: &Bench, shape: &Shape) -> anyhow::Result<Figure> {
    let tasks = (bench.plan.tasks / shape.part).max(1);
    fill(bench, History::Kept.queue(QUEUE), tasks).await?;
    let mut pools = Vec::new();
    for _ in 0..shape.processes {
        pools.push(Process::start_pool(bench, Role::Counter, shape.workers).await?);
    }
    bench.checkpoint().await;
    let meter = bench.meter().await?;
    for pool in &mut pools {
        pool.go().await?;
    }
    let (pools, span) = follow(pools, tasks.into(), &meter.progress()).await?;
    let costs = meter.stop(tasks.into()).await?;
    for pool in pools {
        pool.end().await?;
    }
    bench.verify(QUEUE, Status::Released, tasks.into()).await?;
    bench.clean().await?;
    let config = match (shape.processes, shape.workers) {
        (1, 1) => "pool, 1 process, 1 worker".to_owned(),
        (1, workers) => format!("pool, 1 process, {workers} workers"),
        (processes, workers) => format!("pool, {processes} processes, {workers} workers each"),
    };
    let figure = Figure {
        seconds: Some(span.took().as_secs_f64()),
        per_second: Some(span.per_second(tasks.into())),
        ..Figure::new(Workload::Drain, config, tasks.into())
    };
    Ok(figure.costing(costs))
}

/// From when a pool first said what it had done to the last task. Before that, pools open their connections and find out how
/// much to fetch at a time, which is little beside a backlog that takes minutes, and much beside one that takes seconds.
/// Times are nanoseconds by the clock of the machine.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: u64,
    /// How many tasks were done by then.
    before: u64,
    last: u64,
}

impl Span {
    const NONE: Self = Self { first: u64::MAX, before: 0, last: 0 };

    /// With what a pool says.
    fn heard(self, done: u64, at: u64) -> Self {
        let (first, before) = if at < self.first { (at, done) } else { (self.first, self.before) };
        Self { first, before, last: self.last.max(at) }
    }

    /// With what another pool said.
    fn and(self, other: Self) -> Self {
        Self { last: self.last.max(other.last), ..self.heard(other.before, other.first) }
    }

    fn took(self) -> Duration {
        Duration::from_nanos(self.last.saturating_sub(self.first))
    }

    fn per_second(self, tasks: u64) -> f64 {
        per_second(tasks.saturating_sub(self.before), self.took())
    }
}

/// Hears what pools say until they have done so many tasks together. Returns them, and how long they took.
async fn follow(
    pools: Vec<Process>,
    tasks: u64,
    progress: &Progress,
) -> anyhow::Result<(Vec<Process>, Span)> {
    let over = CancellationToken::new();
    let mut following = JoinSet::new();
    for mut pool in pools {
        let (progress, over) = (progress.clone(), over.clone());
        following.spawn(async move {
            let (mut done, mut span) = (0, Span::NONE);
            loop {
                let (now_done, at) = tokio::select! {
                    said = pool.task() => said?,
                    () = over.cancelled() => break,
                };
                progress.add(now_done - done);
                done = now_done;
                // A pool that has done nothing yet says that it is alive.
                if done > 0 {
                    span = span.heard(done, at);
                }
                if progress.get() >= tasks {
                    over.cancel();
                }
            }
            anyhow::Ok((pool, span))
        });
    }
    let watch = watch(progress, &over);
    let followed = async {
        let (mut pools, mut span) = (Vec::new(), Span::NONE);
        while let Some(followed) = following.join_next().await {
            let (pool, of_pool) = followed??;
            pools.push(pool);
            span = span.and(of_pool);
        }
        anyhow::Ok((pools, span))
    };
    let (followed, ()) = tokio::try_join!(followed, watch)?;
    ensure!(progress.get() == tasks, "wrong count: {} tasks were done, not {tasks}", progress.get());
    Ok(followed)
}

/// Fails when nothing is done for too long.
async fn watch(progress: &Progress, over: &CancellationToken) -> anyhow::Result<()> {
    loop {
        let before = progress.get();
        tokio::select! {
            () = tokio::time::sleep(STALLED) => {}
            () = over.cancelled() => return Ok(()),
        }
        ensure!(progress.get() > before, "wrong count: only {before} tasks of the backlog were done");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_from_the_first_word_of_any_pool_to_the_last_task_of_all() {
        let second = 1_000_000_000;
        let one = Span::NONE.heard(10, 3 * second).heard(500, 9 * second);
        let other = Span::NONE.heard(20, second).heard(300, 5 * second);
        for together in [Span::NONE.and(one).and(other), Span::NONE.and(other).and(Span::NONE).and(one)] {
            assert_eq!(together.took(), Duration::from_secs(8));
            assert!((together.per_second(820) - 100.0).abs() < 1e-9, "{together:?}");
        }
    }
}
