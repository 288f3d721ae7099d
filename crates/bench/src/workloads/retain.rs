//! What a drain and a retain take in a queue with many tasks that cannot be had: leased for an hour, and delayed by one.
//! Beside it, in turn, the same in an empty queue: whatever slows down the machine slows down both.

use std::time::{Duration, Instant};

use anyhow::ensure;
use pgmill::{Manager, Retain, Status, minutes};

use super::backlog::metas;
use super::depth::{Side, Turns, latency};
use crate::args::Workload;
use crate::bench::Bench;
use crate::figure::Figure;

const EMPTY: &str = "retain-empty";
const FULL: &str = "retain-full";
/// As many as they are at most, and what part of `--tasks` they are otherwise.
const LEASED: (u32, u32) = (10_000, 10);
const DELAYED: (u32, u32) = (50_000, 2);
/// The tasks of one call.
const CALL: u32 = 1_000;
const WORKLOAD: Workload = Workload::Retain;

pub(super) async fn round(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let share = |(most, part): (u32, u32)| most.min(bench.plan.tasks / part);
    let (leased, delayed) = (share(LEASED), share(DELAYED));
    let (mut empty, mut full) = (Side::new(bench, EMPTY).await?, Side::new(bench, FULL).await?);
    fill(bench, &full.manager, leased, delayed).await?;
    let beside = format!("beside {leased} leased, {delayed} delayed");
    let mut figures = Turns::measure(bench, WORKLOAD, &mut empty, &mut full).await?.figures(&beside);
    figures.push(nothing(bench, &empty, &full, &beside).await?);
    bench.verify(EMPTY, Status::Released, empty.released).await?;
    let held =
        [(Status::Retained, leased.into()), (Status::New, delayed.into()), (Status::Released, full.released)];
    bench.verify_all(FULL, &held).await?;
    empty.close().await;
    full.close().await;
    bench.clean().await?;
    Ok(figures)
}

/// Retains where there is nothing to be had.
async fn nothing(bench: &Bench, empty: &Side, full: &Side, beside: &str) -> anyhow::Result<Figure> {
    let (mut took, mut of_empty): (Vec<Duration>, Vec<Duration>) = (Vec::new(), Vec::new());
    for _ in 0..bench.plan.samples {
        for (side, times) in [(empty, &mut of_empty), (full, &mut took)] {
            let started = Instant::now();
            let none = side.manager.next_task("bench", &[side.queue]).await?;
            times.push(started.elapsed());
            ensure!(none.is_none(), "wrong count: a task that was not there was retained");
        }
    }
    Ok(latency(WORKLOAD, format!("retain of no task, {beside}"), took, of_empty))
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
