//! The workload `backlog`: a queue with very many tasks waiting, and an empty one, in turn.

use std::time::Instant;

use anyhow::ensure;
use pgmill::{Outcome, Status, TaskMeta};

use super::sides::{Side, Turns, WITHIN, drained, latency};
use super::{fill, reads};
use crate::args::Workload;
use crate::bench::Bench;
use crate::figure::Figure;

const EMPTY: &str = "backlog-empty";
const FULL: &str = "backlog-full";
/// Where it is measured on the way.
const STEP: u32 = 1_000_000;
const WORKLOAD: Workload = Workload::Backlog;

pub(crate) async fn round(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let (mut empty, mut full) = (Side::new(bench, EMPTY).await?, Side::new(bench, FULL).await?);
    let mut figures = vec![alone(bench, &mut empty).await?];
    let mut waiting = 0;
    for depth in depths(bench.plan.deep) {
        fill::waiting(bench, FULL, depth - waiting).await?;
        waiting = depth;
        bench.settle().await?;
        let what = format!("{waiting} waiting");
        let turns = Turns::measure(bench, WORKLOAD, &mut empty, &mut full).await?;
        figures.extend(turns.figures(&what));
        figures.push(in_front(bench, &mut empty, &mut full, &what).await?);
    }
    figures.extend(
        reads::figures(WORKLOAD, &bench.manager, FULL, waiting, &format!("{waiting} waiting")).await?,
    );
    bench.verify(EMPTY, Status::Released, empty.released).await?;
    bench.verify_all(FULL, &[(Status::New, waiting.into()), (Status::Released, full.released)]).await?;
    empty.close().await;
    full.close().await;
    bench.clean().await?;
    Ok(figures)
}

/// Also while there are fewer, where there is time for both.
fn depths(deep: u32) -> Vec<u32> {
    if deep > STEP { vec![STEP, deep] } else { vec![deep] }
}

/// The drain of the empty queue while there is nothing in any other.
pub(super) async fn alone(bench: &Bench, empty: &mut Side) -> anyhow::Result<Figure> {
    let tasks = bench.plan.tasks.div_ceil(5);
    let mut drains = Vec::new();
    for _ in 0..3 {
        fill::waiting(bench, empty.queue, tasks).await?;
        bench.checkpoint().await;
        drains.push(empty.drain(bench, tasks).await?);
    }
    Ok(drained(WORKLOAD, "drain, nothing waiting".to_owned(), u64::from(tasks) * 3, drains))
}

/// A task of the best priority, from its creation until a worker that looks has it.
async fn in_front(bench: &Bench, empty: &mut Side, full: &mut Side, what: &str) -> anyhow::Result<Figure> {
    let (mut took, mut beside) = (Vec::new(), Vec::new());
    for sample in 0..bench.plan.samples {
        for (side, times) in [(&mut *empty, &mut beside), (&mut *full, &mut took)] {
            let meta = TaskMeta::raw(bench.plan.payload(sample as usize).clone()).priority(0);
            let created = side.manager.create_task(side.queue, meta).await?;
            let started = Instant::now();
            let task = side.manager.next_task("bench", &[side.queue]).await?;
            times.push(started.elapsed());
            let Some(task) = task.filter(|task| task.id == created.id) else {
                anyhow::bail!("wrong order: task {} is first, and was not retained first", created.id);
            };
            let released = side.manager.release_task(&task, Outcome::done_empty()).await?;
            ensure!(released.status == Status::Released, "task {} ended as {}", released.id, released.status);
            side.released += 1;
        }
    }
    let config = format!("pickup of a task of priority 0, {what}");
    Ok(latency(WORKLOAD, config, took, beside).with_bar(WITHIN))
}
