//! Drains by more and more processes, and of larger and larger payloads.

use std::time::Instant;

use anyhow::Context;
use pgmill::{Json, Status, TaskMeta};

use super::super::drain;
use super::super::pools::{self, Shape};
use super::growth::Curve;
use super::sides::Side;
use crate::args::payload;
use crate::bench::Bench;
use crate::costs::Progress;
use crate::figure::Figure;
use crate::measure::per_second;
use crate::series::Kind;

const QUEUE: &str = "growth-spread";
/// The handlers that each runs at once, and what part of `--tasks` all of them get.
const WORKERS: u32 = 50;
const PART: u32 = 3;
const PROCESSES: [u32; 5] = [1, 2, 4, 8, 16];
const PAYLOADS: [u32; 4] = [100, 1_000, 10_000, 102_400];
/// The most bytes of payloads of one size.
const BYTES: u32 = 32 << 20;
/// How many different payloads there are of one size.
const DIFFERENT: usize = 32;
/// The tasks of one call.
const CALL: usize = 200;

/// The rate of a drain by worker pools, over processes.
pub(super) async fn processes(bench: &Bench) -> anyhow::Result<Figure> {
    let mut curve = Curve::new(Kind::Capacity, "drain by pools", "processes");
    for processes in PROCESSES {
        let figure = pools::drain(bench, &Shape { processes, workers: WORKERS, part: PART }).await?;
        curve.add(processes, figure.per_second.context("a drain without a rate")?);
    }
    curve.figure()
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
        let tasks = bench.plan.tasks.div_ceil(PART).min(BYTES / bytes);
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
        drain::run(&side.manager, &[QUEUE], drain::of(tasks), &Progress::default()).await?;
        draining.add(bytes, per_second(tasks.into(), started.elapsed()));
        wal.add(bytes, (bench.wal_position().await? - before) as f64 / f64::from(tasks));
        bench.verify(QUEUE, Status::Released, tasks.into()).await?;
        side.close().await;
        bench.clean().await?;
    }
    Ok(vec![wal.figure()?, creating.figure()?, draining.figure()?])
}
