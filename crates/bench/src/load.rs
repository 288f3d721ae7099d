//! Load that does not wait for whoever bears it: tasks are due to be created at fixed times, and every time is counted from
//! then. Where calls, or their producer, come late, that is part of what is measured, not left out of it.
//!
//! ```text
//!   producer: a time comes ──▶ create_task, beside those before it ──▶ Sent
//!   another process: its pool handles it ──▶ Handled, told at the end
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use pgmill::{Manager, Status, TaskMeta};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_blocking;

use crate::bench::Bench;
use crate::child::now;
use crate::costs::Costs;
use crate::dice::{Dice, SEED};
use crate::measure::{Latencies, per_second};
use crate::process::Process;
use crate::recorder::Handled;
use crate::series::{Kind, Series};

/// The most calls that are under way. A producer that has so many waits, which makes its next ones late.
const UNDER_WAY: usize = 20_000;
/// The shortest sleep of a producer: those that were due meanwhile are a little late.
const SHORTEST_SLEEP: Duration = Duration::from_micros(100);
/// How closely the depth is looked at for its peak.
const DEEPEST_INTERVAL: Duration = Duration::from_millis(10);
/// Of how many points its course over time is.
const PARTS: u32 = 60;
/// How often is asked whether all is done.
const LOOK: Duration = Duration::from_millis(100);
/// After how long without progress tasks are taken for lost.
const STALLED: Duration = Duration::from_secs(30);

/// How many tasks are created, and how many of them a second. Each at a random time within its part of the second, so that
/// nothing else that is periodic keeps step with them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) per_second: u32,
    pub(crate) count: u64,
}

/// A task that was created. Times are nanoseconds by the clock of the machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    /// Which of them it is, from 0.
    pub(crate) number: u64,
    pub(crate) id: u64,
    /// When it was to be created.
    pub(crate) due: u64,
    /// When its call was begun.
    pub(crate) called: u64,
}

/// What became of the tasks of a load.
#[derive(Debug)]
pub(crate) struct Borne {
    sent: Vec<Sent>,
    /// By id and attempt.
    handled: Vec<Handled>,
}

/// A task, and its attempts from the first to the one that did it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Journey<'a> {
    pub(crate) sent: &'a Sent,
    pub(crate) attempts: &'a [Handled],
}

/// Has tasks created at this pace, and awaits that the pool of the other process has done them all and ended. The costs are
/// those from the first task to the last, without what the pool has to tell at its end.
pub(crate) async fn bear(
    bench: &Bench,
    pool: Process,
    pace: Pace,
    task: impl FnMut(u64) -> (String, TaskMeta) + Send + 'static,
) -> anyhow::Result<(Borne, Costs)> {
    let before = done(bench).await?;
    bench.checkpoint().await;
    let meter = bench.meter().await?;
    let sent = offer(&bench.manager, pace, task).await?;
    all_done(bench, before + pace.count).await?;
    let costs = meter.stop(pace.count).await?;
    let told = pool.end().await?;
    let handled = told.iter().map(|line| Handled::parse(line)).collect::<anyhow::Result<_>>()?;
    Ok((Borne::new(sent, handled)?, costs))
}

/// Creates tasks at this pace.
async fn offer(
    manager: &Manager,
    pace: Pace,
    mut task: impl FnMut(u64) -> (String, TaskMeta) + Send + 'static,
) -> anyhow::Result<Vec<Sent>> {
    let (created, mut creating) = mpsc::unbounded_channel();
    let (runtime, manager) = (Handle::current(), manager.clone());
    // A thread, since the timers of the runtime are a millisecond late.
    let producer = spawn_blocking(move || {
        let room = Arc::new(Semaphore::new(UNDER_WAY));
        let mut dice = Dice::new(SEED);
        let (began, slot) = (now(), 1e9 / f64::from(pace.per_second));
        for number in 0..pace.count {
            let due = began + ((number as f64 + dice.unit()) * slot) as u64;
            sleep_until(due);
            let Ok(place) = runtime.block_on(Arc::clone(&room).acquire_owned()) else { return };
            if created.is_closed() {
                return;
            }
            let (queue, meta) = task(number);
            let (manager, created) = (manager.clone(), created.clone());
            let called = now();
            runtime.spawn(async move {
                let task = manager.create_task(&queue, meta).await;
                drop(place);
                // Whoever waited may have given up.
                let _ = created.send(task.map(|task| Sent { number, id: task.id, due, called }));
            });
        }
    });
    let mut sent = Vec::new();
    while let Some(created) = creating.recv().await {
        sent.push(created?);
    }
    producer.await.context("the producer failed")?;
    Ok(sent)
}

fn sleep_until(due: u64) {
    let ahead = Duration::from_nanos(due.saturating_sub(now()));
    if !ahead.is_zero() {
        std::thread::sleep(ahead.max(SHORTEST_SLEEP));
    }
}

/// How many tasks of the namespace are done.
async fn done(bench: &Bench) -> anyhow::Result<u64> {
    let rows = bench.manager.list_queue_statuses().await?;
    Ok(rows.iter().filter(|row| row.status == Status::Released).map(|row| row.count).sum())
}

/// Waits until so many are.
async fn all_done(bench: &Bench, count: u64) -> anyhow::Result<()> {
    let (mut last, mut moved) = (0, Instant::now());
    loop {
        let done = done(bench).await?;
        if done == count {
            return Ok(());
        }
        if done != last {
            (last, moved) = (done, Instant::now());
        }
        ensure!(moved.elapsed() < STALLED, "wrong count: {done} of {count} tasks are done, and no more come");
        tokio::time::sleep(LOOK).await;
    }
}

impl Borne {
    /// Fails unless each task was done exactly once, after attempts that are numbered without a gap.
    fn new(mut sent: Vec<Sent>, mut handled: Vec<Handled>) -> anyhow::Result<Self> {
        sent.sort_unstable_by_key(|sent| sent.id);
        handled.sort_unstable_by_key(|handled| (handled.id, handled.attempt));
        let borne = Self { sent, handled };
        let mut tasks = 0;
        for Journey { sent, attempts } in borne.journeys() {
            tasks += 1;
            let id = sent.id;
            ensure!(
                attempts.iter().all(|it| it.id == id),
                "wrong count: task {id} was not created or not handled"
            );
            let numbered = attempts.iter().zip(1..).all(|(it, number)| it.attempt == number);
            let done = attempts.iter().filter(|it| it.done).count();
            ensure!(numbered && done == 1, "wrong count: task {id} was done {done} times: {attempts:?}");
        }
        ensure!(tasks == borne.sent.len(), "wrong count: {tasks} of {} tasks were handled", borne.sent.len());
        Ok(borne)
    }

    /// By id.
    pub(crate) fn journeys(&self) -> impl Iterator<Item = Journey<'_>> {
        let handled = self.handled.chunk_by(|one, next| one.id == next.id);
        self.sent.iter().zip(handled).map(|(sent, attempts)| Journey { sent, attempts })
    }

    /// What this says of each.
    pub(crate) fn latencies(&self, of: impl Fn(&Journey<'_>) -> u64) -> Latencies {
        Latencies::new(self.journeys().map(|journey| Duration::from_nanos(of(&journey))).collect())
    }

    /// From the first that was due to the last that was done.
    pub(crate) fn took(&self) -> Duration {
        let first = self.sent.iter().map(|sent| sent.due).min().unwrap_or_default();
        let last = self.handled.iter().map(|handled| handled.recorded).max().unwrap_or_default();
        Duration::from_nanos(last.saturating_sub(first))
    }

    pub(crate) fn per_second(&self) -> f64 {
        per_second(self.sent.len() as u64, self.took())
    }

    /// The most tasks that had been due and were not done.
    pub(crate) fn deepest(&self) -> u64 {
        self.over_time(DEEPEST_INTERVAL)
            .map(|(_, due, done)| due.saturating_sub(done))
            .max()
            .unwrap_or_default()
    }

    /// How many were done a second, and how many had been due and were not done, over time.
    pub(crate) fn series(&self) -> [Series; 2] {
        let counts: Vec<_> = self.over_time(self.took() / PARTS).collect();
        let rates: Vec<_> = counts.iter().map(|(at, _, done)| (*at, *done)).collect();
        let depths = counts.iter().map(|(at, due, done)| (*at, due.saturating_sub(*done) as f64));
        [Series::rates(&rates), Series::new(Kind::Depth, depths.collect())]
    }

    /// The seconds since the first was due, and how many had been due and done by then, each interval.
    fn over_time(&self, interval: Duration) -> impl Iterator<Item = (f64, u64, u64)> {
        let mut due: Vec<u64> = self.sent.iter().map(|sent| sent.due).collect();
        let mut done: Vec<u64> = self.handled.iter().filter(|it| it.done).map(|it| it.recorded).collect();
        due.sort_unstable();
        done.sort_unstable();
        let by = |times: &[u64], until: u64| times.partition_point(|at| *at <= until) as u64;
        let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1);
        let first = due.first().copied().unwrap_or_default();
        let intervals = done.last().copied().unwrap_or_default().saturating_sub(first).div_ceil(interval);
        (0..=intervals).map(move |passed| {
            let until = first + passed * interval;
            ((passed * interval) as f64 / 1e9, by(&due, until), by(&done, until))
        })
    }
}

/// From when it was to be created until its handler began.
pub(crate) fn until_it_runs(journey: &Journey<'_>) -> u64 {
    journey.attempts.first().map_or(0, |first| first.started.saturating_sub(journey.sent.due))
}

/// From when it was to be created until it was known to be done.
pub(crate) fn until_it_is_done(journey: &Journey<'_>) -> u64 {
    journey.attempts.last().map_or(0, |last| last.recorded.saturating_sub(journey.sent.due))
}

/// How late the producer was.
pub(crate) fn lateness(journey: &Journey<'_>) -> u64 {
    journey.sent.called.saturating_sub(journey.sent.due)
}
