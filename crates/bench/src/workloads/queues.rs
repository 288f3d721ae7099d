//! Many queues, of which a few have most of the tasks, and eight priorities: what it takes to drain them together, against one
//! queue with as many tasks, and asked for by name, against asked for as any. Then at half that rate, how long the tasks of
//! each queue wait for a pool.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use pgmill::{Status, TaskMeta};

use super::drain;
use crate::args::Workload;
use crate::bench::Bench;
use crate::child::Role;
use crate::costs::Costs;
use crate::dice::{Dice, SEED, Zipf};
use crate::figure::{Figure, Limit};
use crate::load::{Borne, Pace, bear, until_it_runs};
use crate::measure::{Calls, Latencies, Until};
use crate::process::Process;
use crate::report;

const ONE: &str = "queues-one";
const PRIORITIES: u64 = 8;
/// The tasks of one call.
const CALL: usize = 1_000;
/// How many queues are made at a time.
const AT_ONCE: usize = 16;

/// Where a task goes, and before which others.
#[derive(Debug, Clone, Copy)]
struct Choice {
    queue: usize,
    priority: u8,
}

/// So many tasks, the same ones in every run.
fn choices(queues: u32, tasks: u64) -> Vec<Choice> {
    let (zipf, mut dice) = (Zipf::new(queues), Dice::new(SEED));
    let choice = |_| {
        let queue = zipf.roll(&mut dice);
        Choice { queue, priority: u8::try_from(dice.below(PRIORITIES)).unwrap_or_default() }
    };
    (0..tasks).map(choice).collect()
}

/// As many of the tasks as could be drained in a while.
struct Drained {
    retains: Calls,
    costs: Costs,
}

impl Drained {
    fn limit(&self, name: &str) -> Limit {
        Limit { name: name.to_owned(), per_second: self.retains.per_second() }
    }

    fn figure(self, config: String) -> Figure {
        let figure = Figure {
            seconds: Some(self.retains.took.as_secs_f64()),
            per_second: Some(self.retains.per_second()),
            ..Figure::new(Workload::Queues, config, self.retains.n)
        };
        figure.timing(&self.retains.latencies).costing(self.costs)
    }
}

pub(super) async fn round(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let queues = bench.plan.queues;
    let names: Arc<[String]> = (0..queues).map(|queue| format!("queues-{queue:04}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let choices = choices(queues, bench.plan.tasks.into());

    bench.queue(ONE).await?;
    let one = drain(bench, &choices, &[ONE], &[]).await?;
    bench.clean().await?;
    let made = stream::iter(&all).map(|name| bench.queue(name)).buffer_unordered(AT_ONCE);
    made.try_collect::<()>().await?;
    let any = drain(bench, &choices, &all, &[]).await?;
    let named = drain(bench, &choices, &all, &all).await?;
    let half = ((any.retains.per_second() / 2.0) as u32).max(1);
    let waits = waits(bench, &names, half).await?;
    bench.clean().await?;

    let (of_one, of_any) = (one.limit("one queue with as many tasks"), any.limit("retained from any queue"));
    let many = format!("{queues} queues by zipf (seed {SEED}), {PRIORITIES} priorities");
    let mut figures = vec![
        one.figure(format!("retains from one queue, {PRIORITIES} priorities")),
        any.figure(format!("retains from any queue, {many}")).against(of_one),
        named.figure(format!("retains by {queues} names, {many}")).against(of_any),
    ];
    figures.extend(waits);
    Ok(figures)
}

/// Creates the tasks in these queues, drains them as those that are asked for, and removes what is left.
async fn drain(bench: &Bench, choices: &[Choice], names: &[&str], asked: &[&str]) -> anyhow::Result<Drained> {
    for (call, choices) in choices.chunks(CALL).enumerate() {
        let tasks = choices.iter().zip(call * CALL..).map(|(choice, number)| {
            let meta = TaskMeta::raw(bench.plan.payload(number).clone());
            (names[choice.queue % names.len()], meta.priority(choice.priority))
        });
        bench.manager.create_or_find_tasks(tasks).await?;
    }
    bench.checkpoint().await;
    let meter = bench.meter().await?;
    let until = Until { calls: choices.len() as u64, window: bench.plan.watch };
    // A manager of its own, for what is learnt of the queues by one drain must not serve the next.
    let manager = bench.another().await?;
    let retains = drain::run(&manager, asked, until, &meter.progress()).await?;
    manager.close().await;
    let costs = meter.stop(retains.n).await?;
    verify(bench, names, choices, retains.n).await?;
    bench.forget_tasks().await?;
    Ok(Drained { retains, costs })
}

/// Offers tasks at a rate that a pool can bear. Returns how long they wait, and the longest wait of any queue.
async fn waits(bench: &Bench, names: &Arc<[String]>, rate: u32) -> anyhow::Result<[Figure; 2]> {
    let count = (bench.plan.watch.as_secs() * u64::from(rate)).clamp(1, bench.plan.most.into());
    let offered: Arc<[Choice]> = choices(bench.plan.queues, count).into();
    let pool = Process::start(bench, Role::Recorder).await?;
    let task = {
        let (plan, names, offered) = (bench.plan.clone(), Arc::clone(names), Arc::clone(&offered));
        move |number: u64| {
            let number = usize::try_from(number).unwrap_or_default();
            let Choice { queue, priority } = offered[number];
            let meta = TaskMeta::raw(plan.payload(number).clone());
            (names[queue].clone(), meta.priority(priority))
        }
    };
    let (borne, costs) = bear(bench, pool, Pace { per_second: rate, count }, task).await?;
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    verify(bench, &all, &offered, count).await?;
    let config = "waits at half that rate, a pool for any queue";
    let figure = Figure {
        seconds: Some(borne.took().as_secs_f64()),
        per_second: Some(borne.per_second()),
        ..Figure::new(Workload::Queues, config, count)
    };
    let waits = figure.timing(&borne.latencies(until_it_runs)).costing(costs).with_series(borne.series());
    let (queue, longest) = longest(&borne, &offered);
    report::note(&format!("  the longest wait: {:.2} ms, in {}", longest.as_secs_f64() * 1e3, names[queue]));
    let longest = Latencies::new(vec![longest]);
    let longest = Figure::new(Workload::Queues, "the longest wait of any queue", count).timing(&longest);
    Ok([waits, longest])
}

/// The queue of the task that waited longest, and how long.
fn longest(borne: &Borne, offered: &[Choice]) -> (usize, Duration) {
    let waits = borne.journeys().map(|journey| {
        let number = usize::try_from(journey.sent.number).unwrap_or_default();
        (offered[number].queue, Duration::from_nanos(until_it_runs(&journey)))
    });
    waits.max_by_key(|(_, wait)| *wait).unwrap_or_default()
}

/// Fails unless each queue has the tasks that were put into it, and so many of all are done, the others as they were created.
async fn verify(bench: &Bench, names: &[&str], offered: &[Choice], done: u64) -> anyhow::Result<()> {
    let mut missing: HashMap<String, u64> = HashMap::new();
    for choice in offered {
        *missing.entry(names[choice.queue % names.len()].to_owned()).or_default() += 1;
    }
    let mut released = 0;
    for row in bench.manager.list_queue_statuses().await? {
        let (queue, status, count) = (row.queue.as_str(), row.status, row.count);
        let known = count == 0 || matches!(status, Status::New | Status::Released);
        ensure!(known, "wrong count: queue {queue} has {count} tasks that are {status}");
        let left = missing.entry(queue.to_owned()).or_default();
        *left = left
            .checked_sub(count)
            .with_context(|| format!("wrong count: queue {queue} has too many tasks"))?;
        released += if status == Status::Released { count } else { 0 };
    }
    let lost: u64 = missing.values().sum();
    ensure!(
        lost == 0 && released == done,
        "wrong count: {released} of {done} tasks are done, {lost} are lost"
    );
    Ok(())
}
