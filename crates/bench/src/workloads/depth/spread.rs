//! Drains by more and more processes, and of larger and larger payloads.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use pgmill::{Json, Status, TaskMeta};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::super::drain;
use super::growth::Curve;
use super::sides::Side;
use crate::args::payload;
use crate::bench::Bench;
use crate::child::Role;
use crate::costs::Progress;
use crate::figure::Figure;
use crate::measure::per_second;
use crate::process::Process;
use crate::series::Kind;

const QUEUE: &str = "growth-spread";
const PROCESSES: [u32; 5] = [1, 2, 4, 8, 16];
const PAYLOADS: [u32; 4] = [100, 1_000, 10_000, 102_400];
/// The most bytes of payloads of one size.
const BYTES: u32 = 32 << 20;
/// How many different payloads there are of one size.
const DIFFERENT: usize = 32;
/// The tasks of one call.
const CALL: usize = 200;
/// After how long without a task the drain is taken for stuck.
const STUCK: Duration = Duration::from_secs(30);

/// The rate of a drain, over processes.
pub(super) async fn processes(bench: &Bench) -> anyhow::Result<Figure> {
    let mut curve = Curve::new(Kind::Capacity, "drain", "processes");
    for processes in PROCESSES {
        curve.add(processes, drain_by(bench, processes).await?);
    }
    curve.figure()
}

/// Tasks a second, of a backlog that is there at once for processes that wait for it.
async fn drain_by(bench: &Bench, processes: u32) -> anyhow::Result<f64> {
    bench.queue(QUEUE).await?;
    let tasks = bench.plan.tasks.div_ceil(3);
    let mut readers = JoinSet::new();
    let (done, mut seen) = watch::channel(0_u64);
    let (over, _) = watch::channel(());
    for _ in 0..processes {
        let process = Process::start(bench, Role::Drainer).await?;
        readers.spawn(read(process, done.clone(), over.subscribe()));
    }
    bench.checkpoint().await;
    let metas = (0..tasks as usize).map(|task| TaskMeta::raw(bench.plan.payload(task).clone()));
    let metas: Vec<_> = metas.collect();
    bench.manager.create_tasks(QUEUE, metas).await?;
    let tasks = u64::from(tasks);
    let started = Instant::now();
    while *seen.borrow_and_update() < tasks {
        let told = tokio::time::timeout(STUCK, seen.changed()).await;
        told.context("wrong count: not all tasks were drained")??;
    }
    let took = started.elapsed();
    // Their input ends with it, and so do they.
    drop(over);
    while let Some(ended) = readers.join_next().await {
        ended??;
    }
    let total = *seen.borrow();
    ensure!(total == tasks, "wrong count: {total} tasks were released, not {tasks}");
    bench.verify(QUEUE, Status::Released, tasks).await?;
    bench.clean().await?;
    Ok(per_second(tasks, took))
}

/// Adds up what a process says it has released, until it is over.
async fn read(
    mut process: Process,
    done: watch::Sender<u64>,
    mut over: watch::Receiver<()>,
) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            line = process.line() => {
                let released: u64 = line?.parse()?;
                done.send_modify(|all| *all += released);
            }
            _ = over.changed() => break,
        }
    }
    process.end().await?;
    Ok(())
}

/// WAL and the rate of a drain, over the size of payloads.
pub(super) async fn payloads(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let over = "bytes of payload";
    let mut wal = Curve::new(Kind::Weight, "WAL, created to finished", over);
    let mut creating = Curve::new(Kind::Capacity, "enqueue", over);
    let mut draining = Curve::new(Kind::Capacity, "drain", over);
    for bytes in PAYLOADS {
        let side = Side::new(bench, QUEUE).await?;
        let payloads = (0..DIFFERENT).map(|_| payload(bytes)).collect::<anyhow::Result<Vec<Json>>>()?;
        let tasks = bench.plan.tasks.div_ceil(3).min(BYTES / bytes);
        bench.checkpoint().await;
        let before = bench.wal_position().await?;
        let started = Instant::now();
        let metas = (0..tasks as usize).map(|task| TaskMeta::raw(payloads[task % DIFFERENT].clone()));
        let metas: Vec<_> = metas.collect();
        for metas in metas.chunks(CALL) {
            side.manager.create_tasks(QUEUE, metas.to_vec()).await?;
        }
        creating.add(bytes, per_second(tasks.into(), started.elapsed()));
        let started = Instant::now();
        drain::run(&side.manager, QUEUE, tasks, &Progress::default()).await?;
        draining.add(bytes, per_second(tasks.into(), started.elapsed()));
        wal.add(bytes, (bench.wal_position().await? - before) as f64 / f64::from(tasks));
        bench.verify(QUEUE, Status::Released, tasks.into()).await?;
        side.close().await;
        bench.clean().await?;
    }
    Ok(vec![wal.figure()?, creating.figure()?, draining.figure()?])
}
