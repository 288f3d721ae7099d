//! Retains while the backlog grows, the history, or the number of queues.

use std::time::{Duration, Instant};

use anyhow::ensure;
use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use pgmill::{Manager, Outcome, QueueMeta, Retain, Status, Task, TaskMeta};

use super::fill;
use super::growth::{Curve, decades};
use super::sides::Side;
use crate::bench::Bench;
use crate::figure::Figure;
use crate::measure::Latencies;
use crate::report;
use crate::series::Kind;

const QUEUE: &str = "growth";
/// How many tasks a batch retains.
const BATCH: usize = 100;
/// The queues of the most.
const QUEUES: u32 = 10_000;
/// How many queues are made at a time.
const AT_ONCE: usize = 16;
/// The tasks of one call.
const CALL: usize = 1_000;
/// What takes longer is not measured where it would take longer still.
const SLOW: Duration = Duration::from_secs(1);
/// How long the samples of one size may take.
const MOST: Duration = Duration::from_secs(5);

/// Over tasks that wait in the same queue: one retained at a time, and a hundred.
pub(super) async fn backlog(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let mut side = Side::new(bench, QUEUE).await?;
    let mut one = Curve::new(Kind::Growth, "retain", "tasks waiting");
    let mut many = Curve::new(Kind::Growth, format!("retain of {BATCH}"), "tasks waiting");
    let mut waiting = 0;
    for size in decades(1_000, bench.plan.deep) {
        fill::waiting(bench, QUEUE, size - waiting).await?;
        waiting = size;
        bench.settle().await?;
        one.add(size, median(singles(bench, &mut side).await?));
        many.add(size, median(batches(bench, &mut side).await?));
    }
    finish(bench, side, Status::New, waiting).await?;
    Ok(vec![one.figure()?, many.figure()?])
}

/// Over tasks that have finished in the same queue.
pub(super) async fn history(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let mut side = Side::new(bench, QUEUE).await?;
    let mut retain = Curve::new(Kind::Growth, "retain", "tasks finished");
    let mut release = Curve::new(Kind::Growth, "release", "tasks finished");
    let mut finished = 0;
    for size in decades(1_000, bench.plan.history) {
        fill::finished(bench, QUEUE, size - finished, (3_600.0, 60.0)).await?;
        finished = size;
        bench.settle().await?;
        let (mut retains, mut releases) = (Vec::new(), Vec::new());
        for sample in 0..bench.plan.slow_samples {
            create(bench, &side.manager, QUEUE, sample).await?;
            let (took, released) = cycle(&side.manager, &[QUEUE]).await?;
            retains.push(took);
            releases.push(released);
            side.released += 1;
        }
        retain.add(size, median(retains));
        release.add(size, median(releases));
    }
    side.close().await;
    bench.clean().await?;
    Ok(vec![retain.figure()?, release.figure()?])
}

/// Over queues with one task in each: from one that is named, and from whichever has one; and while all are empty.
pub(super) async fn queues(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let mut named = Curve::new(Kind::Growth, "retain from a queue", "queues");
    let mut any = Curve::new(Kind::Growth, "retain from any queue", "queues");
    let mut none = Curve::new(Kind::Growth, "retain from any queue, all of them empty", "queues");
    let mut slow = false;
    for size in decades(1, (bench.plan.deep / 100).clamp(1, QUEUES)) {
        let new = stream::iter(0..size).map(|number| async move {
            bench.manager.create_queue(QueueMeta::new(name(number))).await?;
            anyhow::Ok(())
        });
        new.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        let manager = bench.another().await?;
        if !slow {
            let took = empty(bench, &manager).await?;
            slow = is_slow(&took);
            none.add(size, median(took));
        }
        let queues: Vec<String> = (0..size).map(name).collect();
        for queues in queues.chunks(CALL) {
            let tasks = queues.iter().map(|queue| (queue, TaskMeta::raw(bench.plan.payload(0).clone())));
            bench.manager.create_or_find_tasks(tasks).await?;
        }
        let (took, mut released) = picks(bench, &manager, size, true).await?;
        named.add(size, median(took));
        if !slow {
            let (took, more) = picks(bench, &manager, size, false).await?;
            slow = is_slow(&took);
            any.add(size, median(took));
            released += more;
        }
        manager.close().await;
        verify(bench, size.into(), released).await?;
        bench.clean().await?;
    }
    if slow {
        report::note(
            "retains from any queue took more than a second: they were not measured with more queues",
        );
    }
    let curves = [named, any, none].into_iter().filter(|curve| !curve.is_empty());
    curves.map(Curve::figure).collect()
}

/// Fails unless the queues have so many tasks together.
async fn verify(bench: &Bench, new: u64, released: u64) -> anyhow::Result<()> {
    let rows = bench.manager.list_queue_statuses().await?;
    let count =
        |status: Status| rows.iter().filter(|row| row.status == status).map(|row| row.count).sum::<u64>();
    let counts = (count(Status::New), count(Status::Released));
    ensure!(
        counts == (new, released),
        "wrong count: {counts:?} tasks are new and released, not {:?}",
        (new, released)
    );
    Ok(())
}

fn is_slow(took: &[Duration]) -> bool {
    took.iter().any(|took| *took > SLOW)
}

/// One retain, and how long it took. One that the server gave up, as it does after its `statement_timeout`, found nothing.
async fn retain(manager: &Manager, queues: &[&str]) -> anyhow::Result<(Option<Task>, Duration)> {
    let started = Instant::now();
    let retained = manager.next_task("bench", queues).await;
    let took = started.elapsed();
    match retained {
        Err(error) if took < SLOW => Err(error.into()),
        retained => Ok((retained.unwrap_or_default(), took)),
    }
}

fn name(number: u32) -> String {
    format!("{QUEUE}-{number}")
}

async fn create(bench: &Bench, manager: &Manager, queue: &str, sample: u32) -> anyhow::Result<()> {
    let meta = TaskMeta::raw(bench.plan.payload(sample as usize).clone());
    manager.create_task(queue, meta).await?;
    Ok(())
}

/// Retains a task and releases it. Returns how long each took.
async fn cycle(manager: &Manager, queues: &[&str]) -> anyhow::Result<(Duration, Duration)> {
    let started = Instant::now();
    let task = manager.next_task("bench", queues).await?;
    let retained = started.elapsed();
    let Some(task) = task else { anyhow::bail!("wrong count: no task can be retained") };
    let started = Instant::now();
    manager.release_task(&task, Outcome::done_empty()).await?;
    Ok((retained, started.elapsed()))
}

async fn singles(bench: &Bench, side: &mut Side) -> anyhow::Result<Vec<Duration>> {
    let mut took = Vec::new();
    for sample in 0..bench.plan.slow_samples {
        let meta = TaskMeta::raw(bench.plan.payload(sample as usize).clone());
        took.push(side.sample(meta).await?.0);
    }
    Ok(took)
}

/// Retains of many at once, for whom as many are created before.
async fn batches(bench: &Bench, side: &mut Side) -> anyhow::Result<Vec<Duration>> {
    let mut took = Vec::new();
    for _ in 0..bench.plan.slow_samples.div_ceil(5) {
        fill::waiting(bench, QUEUE, BATCH as u32).await?;
        let started = Instant::now();
        let tasks = side.manager.next_tasks("bench", &[QUEUE], Retain::new().count(BATCH)).await?;
        took.push(started.elapsed());
        ensure!(tasks.len() == BATCH, "wrong count: {} of {BATCH} tasks were retained", tasks.len());
        release_all(&side.manager, &tasks).await?;
        side.released += tasks.len() as u64;
    }
    Ok(took)
}

/// Retains one task and puts another in its place, so that there is one in each queue again. Returns how long the retains
/// took, and how many tasks were released.
async fn picks(
    bench: &Bench,
    manager: &Manager,
    size: u32,
    named: bool,
) -> anyhow::Result<(Vec<Duration>, u64)> {
    let (mut took, mut released) = (Vec::new(), 0);
    let began = Instant::now();
    for sample in 0..bench.plan.slow_samples {
        let queue = name(sample.wrapping_mul(7_919) % size);
        let queues: &[&str] = if named { &[&queue] } else { &[] };
        let (task, retained) = retain(manager, queues).await?;
        took.push(retained);
        let Some(task) = task else {
            ensure!(retained > SLOW, "wrong count: no task can be retained");
            return Ok((took, released));
        };
        released += 1;
        manager.release_task(&task, Outcome::done_empty()).await?;
        create(bench, manager, task.queue.as_str(), sample).await?;
        if began.elapsed() > MOST {
            break;
        }
    }
    Ok((took, released))
}

/// Retains that find nothing.
async fn empty(bench: &Bench, manager: &Manager) -> anyhow::Result<Vec<Duration>> {
    let mut took = Vec::new();
    let began = Instant::now();
    for _ in 0..bench.plan.slow_samples {
        let (task, retained) = retain(manager, &[]).await?;
        took.push(retained);
        ensure!(task.is_none(), "wrong count: a task that was not there was retained");
        if began.elapsed() > MOST {
            break;
        }
    }
    Ok(took)
}

async fn release_all(manager: &Manager, tasks: &[Task]) -> anyhow::Result<()> {
    let releases = tasks.iter().map(|task| manager.release_task(task, Outcome::done_empty()));
    try_join_all(releases).await?;
    Ok(())
}

async fn finish(bench: &Bench, side: Side, status: Status, n: u32) -> anyhow::Result<()> {
    bench.verify_all(QUEUE, &[(status, n.into()), (Status::Released, side.released)]).await?;
    side.close().await;
    bench.clean().await
}

/// In milliseconds.
fn median(took: Vec<Duration>) -> f64 {
    Latencies::new(took).percentile(50).unwrap_or_default()
}
