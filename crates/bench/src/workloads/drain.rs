//! One process that retains and releases a backlog of tasks whose work is nothing; and pools that do the same.
//!
//! ```text
//!   fetcher: BATCH slots free ──▶ next_tasks(BATCH) ──▶ spawns each, with its slot
//!   task:    release_task(done) ──▶ its slot is free
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use pgmill::{Manager, Outcome, Retain, Status};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::backlog::{CALL, History, add_by};
use super::pools;
use crate::args::Workload;
use crate::bench::{Bench, WalPosition};
use crate::costs::{Costs, Progress};
use crate::figure::{Bar, Figure};
use crate::limits;
use crate::measure::{Calls, Latencies, Until, per_second};
use crate::report::note;

/// How many tasks are retained and not yet released.
const SLOTS: usize = 1_024;
/// How many are fetched at a time.
const BATCH: u32 = 256;
/// The tasks of a call that travels as a COPY.
const COPIED: u32 = 10_000;
/// How many are drained before no images are to come, so that the pages that there are have been changed.
const TOUCHING: u32 = 2_000;
/// The part of the WAL that is told of where images came all the same.
const STRAY_IMAGES: f64 = 0.01;
/// After how long without a task the backlog is taken for lost.
const STALLED: Duration = Duration::from_secs(10);
const BAR: Bar = Bar::Ratio(0.8);
const WAL_BAR: Bar = Bar::Wal(1_000.0);
/// The payload that the bar for WAL is meant for.
const WAL_BAR_PAYLOAD: usize = 100;

struct Drained {
    took: Duration,
    /// In bytes for each task.
    created_wal: f64,
    costs: Costs,
}

impl Drained {
    /// From the creation of a task to its end, in bytes.
    fn wal(&self) -> Option<f64> {
        Some(self.created_wal + self.costs.wal_bytes_per_task?)
    }

    fn figure(self, config: &str, n: u64) -> Figure {
        let figure = Figure {
            seconds: Some(self.took.as_secs_f64()),
            per_second: Some(per_second(n, self.took)),
            ..Figure::new(Workload::Drain, config, n)
        };
        figure.costing(self.costs)
    }
}

/// When full images of pages come into the WAL: with a checkpoint before, of every page that is changed next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Images {
    /// Of the pages that tasks are created in, whose later changes then find them.
    OfCreated,
    /// Of those, and once more of what a drain changes.
    OfBoth,
    /// None: all pages are new, or were changed since the last checkpoint.
    None,
}

pub(super) async fn round(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let limit = limits::best_statements(bench, History::Kept).await?;
    let n = u64::from(bench.plan.tasks);
    let drained = drain(bench, History::Kept, Images::OfCreated).await?;
    let mut figures = vec![drained.figure("no-op tasks", n).against(limit.clone()).with_bar(BAR)];
    figures.extend(wal(bench, n).await?);
    figures.extend(pools::round(bench, &limit, BAR).await?);
    let limit = limits::best_statements(bench, History::Dropped).await?;
    let drained = drain(bench, History::Dropped, Images::OfCreated).await?;
    figures.push(drained.figure("no-op tasks, retention 0", n).against(limit));
    Ok(figures)
}

/// The WAL of tasks from their creation to their end: by calls that travel as a statement, as single tasks do; by those that
/// travel as a COPY; and with images of pages.
async fn wal(bench: &Bench, n: u64) -> anyhow::Result<Vec<Figure>> {
    let figure = |config: &str, drained: &Drained| Figure {
        wal_bytes_per_task: drained.wal(),
        ..Figure::new(Workload::Drain, config, n)
    };
    let single = figure("WAL, created to finished", &drain(bench, History::Kept, Images::None).await?);
    let bulk = drain_of(bench, History::Kept, COPIED, Images::None).await?;
    let bulk = figure("WAL, created in bulk to finished", &bulk);
    let fair = bench.plan.payload(0).len() == WAL_BAR_PAYLOAD;
    let barred = |figure: Figure| if fair { figure.with_bar(WAL_BAR) } else { figure };
    let mut figures = vec![barred(single), barred(bulk)];
    if bench.checkpoint().await {
        let drained = drain(bench, History::Kept, Images::OfBoth).await?;
        figures.push(figure("WAL, a checkpoint between", &drained));
    }
    Ok(figures)
}

async fn drain(bench: &Bench, history: History, images: Images) -> anyhow::Result<Drained> {
    drain_of(bench, history, CALL, images).await
}

/// Creates a backlog by calls of so many tasks, and drains it.
async fn drain_of(bench: &Bench, history: History, call: u32, images: Images) -> anyhow::Result<Drained> {
    let queue = "drain";
    let tasks = bench.plan.tasks;
    bench.manager.create_queue(history.queue(queue)).await?;
    let mut drained = u64::from(tasks);
    if images == Images::None {
        touch_pages(bench, queue, call).await?;
        drained += u64::from(TOUCHING);
    } else {
        bench.checkpoint().await;
    }
    let began = bench.wal().await?;
    let created_wal = add_by(bench, queue, tasks, call).await?;
    if images == Images::OfBoth {
        bench.checkpoint().await;
    }
    let meter = bench.meter().await?;
    let took = run(&bench.manager, &[queue], of(tasks), &meter.progress()).await?.took;
    let costs = meter.stop(tasks.into()).await?;
    if images == Images::None {
        tell_images(bench, &began).await?;
    }
    bench.verify(queue, Status::Released, history.kept(drained)).await?;
    bench.clean().await?;
    Ok(Drained { took, created_wal, costs })
}

/// Has what comes next change no page that was last changed before a checkpoint. Old pages with room in them would be found in
/// no order, and each told whole: so they are given up.
async fn touch_pages(bench: &Bench, queue: &str, call: u32) -> anyhow::Result<()> {
    bench.forget_pages().await?;
    bench.checkpoint().await;
    add_by(bench, queue, TOUCHING, call).await?;
    run(&bench.manager, &[queue], of(TOUCHING), &Progress::default()).await?;
    Ok(())
}

/// Tells of images that were not to come, where the WAL can be read.
async fn tell_images(bench: &Bench, began: &WalPosition) -> anyhow::Result<()> {
    let ended = bench.wal().await?;
    let share = |images: i64| images as f64 / (ended.bytes - began.bytes) as f64;
    let records = bench.wal_records(began, &ended).await;
    if let Some(share) = records.map(|it| share(it.images)).filter(|share| *share > STRAY_IMAGES) {
        note(&format!("of the WAL that was to be without images of pages, {:.1} % are such", share * 100.0));
    }
    Ok(())
}

/// Until so many tasks are done.
pub(super) fn of(tasks: u32) -> Until {
    Until { calls: tasks.into(), window: Duration::MAX }
}

/// Drains queues, or (`&[]`) any, of so many tasks, which may be some of more, or for so long. Its latencies are those of the retains.
pub(super) async fn run(
    manager: &Manager,
    queues: &[&str],
    until: Until,
    progress: &Progress,
) -> anyhow::Result<Calls> {
    let started = Instant::now();
    let slots = Arc::new(Semaphore::new(SLOTS));
    let mut running = JoinSet::new();
    let mut left = until.calls;
    let mut last_found = Instant::now();
    let mut retains = Vec::new();
    while left > 0 && started.elapsed() < until.window {
        let mut free = Arc::clone(&slots).acquire_many_owned(BATCH).await?;
        let called = Instant::now();
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(BATCH as usize);
        let found = manager.next_tasks("bench", queues, Retain::new().count(want)).await?;
        retains.push(called.elapsed());
        if !found.is_empty() {
            last_found = Instant::now();
        }
        ensure!(
            last_found.elapsed() < STALLED,
            "wrong count: {left} tasks of the backlog cannot be retained"
        );
        left = left
            .checked_sub(found.len() as u64)
            .context("wrong count: more tasks were retained than created")?;
        for task in found {
            let slot = free.split(1);
            let (manager, progress) = (manager.clone(), progress.clone());
            running.spawn(async move {
                let released = manager.release_task(&task, Outcome::done_empty()).await;
                drop(slot);
                progress.add(1);
                released
            });
        }
        while let Some(released) = running.try_join_next() {
            check(&released??)?;
        }
    }
    while let Some(released) = running.join_next().await {
        check(&released??)?;
    }
    let latencies = Latencies::new(retains);
    Ok(Calls { n: until.calls - left, took: started.elapsed(), latencies })
}

fn check(released: &pgmill::Released) -> anyhow::Result<()> {
    ensure!(released.status == Status::Released, "task {} ended as {}", released.id, released.status);
    Ok(())
}
