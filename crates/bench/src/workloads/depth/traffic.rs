//! Tasks that are created at a steady rate, whether the queue keeps up or not, and drained as they come.
//!
//! ```text
//!   creator: every 20 ms as many as are due ──▶ queue ──▶ drainer: next_tasks(256) ──▶ release_task, each by itself
//!            at peak as many as keep a backlog
//! ```

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use pgmill::{Manager, Outcome, Retain, Status, TaskMeta};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::args::Plan;
use crate::bench::Bench;
use crate::measure::Latencies;

/// How often tasks are created.
const BEAT: Duration = Duration::from_millis(20);
/// The most tasks of one call.
const CALL: u64 = 500;
/// How many wait at peak.
const AHEAD: u64 = 4_000;
/// How many are retained and not yet released.
const SLOTS: usize = 1_024;
const BATCH: u32 = 256;
/// How long the drainer waits for an arrival before it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// At peak, as many as the queue can do.
const PEAK: u64 = u64::MAX;

/// What was done within one second of the traffic.
#[derive(Debug, Clone, Default)]
pub(super) struct Second {
    pub(super) released: u64,
    pub(super) retains: Vec<Duration>,
    pub(super) releases: Vec<Duration>,
}

/// A load on a queue.
pub(super) struct Traffic {
    book: Arc<Book>,
    creator: JoinHandle<anyhow::Result<()>>,
    drainer: JoinHandle<anyhow::Result<()>>,
    /// What the creator is told, and what the drainer is told after it.
    over: CancellationToken,
    drained: CancellationToken,
}

struct Book {
    started: Instant,
    /// Tasks a second, or `PEAK`.
    rate: AtomicU64,
    created: AtomicU64,
    released: AtomicU64,
    seconds: Mutex<Vec<Second>>,
}

impl Traffic {
    /// Starts it at peak.
    pub(super) fn start(bench: &Bench, queue: &'static str) -> Self {
        let book = Arc::new(Book {
            started: Instant::now(),
            rate: AtomicU64::new(PEAK),
            created: AtomicU64::new(0),
            released: AtomicU64::new(0),
            seconds: Mutex::new(Vec::new()),
        });
        let (over, drained) = (CancellationToken::new(), CancellationToken::new());
        let (manager, plan) = (bench.manager.clone(), bench.plan.clone());
        let creator = tokio::spawn(create(manager.clone(), plan, queue, Arc::clone(&book), over.clone()));
        let drainer = tokio::spawn(drain(manager, queue, Arc::clone(&book), drained.clone()));
        Self { book, creator, drainer, over, drained }
    }

    /// How many tasks are created a second from now on; `None`: as many as the queue can do.
    pub(super) fn set_rate(&self, rate: Option<f64>) {
        let rate = rate.map_or(PEAK, |rate| rate.max(1.0) as u64);
        self.book.rate.store(rate, Ordering::Relaxed);
    }

    /// Fails once it does not go on.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.creator.is_finished() && !self.drainer.is_finished(), "the traffic has broken off");
        Ok(())
    }

    /// How many seconds it has been going on for.
    pub(super) fn elapsed(&self) -> f64 {
        self.book.started.elapsed().as_secs_f64()
    }

    /// How many tasks wait, or are under way.
    pub(super) fn behind(&self) -> u64 {
        let created = self.book.created.load(Ordering::Relaxed);
        created.saturating_sub(self.book.released.load(Ordering::Relaxed))
    }

    /// What was done in each of these seconds since its start.
    pub(super) fn seconds(&self, seconds: Range<usize>) -> Vec<Second> {
        let noted = self.book.seconds.lock().unwrap_or_else(PoisonError::into_inner);
        seconds.map(|second| noted.get(second).cloned().unwrap_or_default()).collect()
    }

    /// Stops creating, and waits until all is released. Returns how many.
    pub(super) async fn stop(self) -> anyhow::Result<u64> {
        self.over.cancel();
        self.creator.await?.context("tasks could not be created")?;
        self.drained.cancel();
        self.drainer.await?.context("tasks could not be drained")?;
        Ok(self.book.released.load(Ordering::Relaxed))
    }
}

impl Book {
    /// Notes something in the present second.
    fn note(&self, note: impl FnOnce(&mut Second)) {
        let second = usize::try_from(self.started.elapsed().as_secs()).unwrap_or_default();
        let mut seconds = self.seconds.lock().unwrap_or_else(PoisonError::into_inner);
        if seconds.len() <= second {
            seconds.resize_with(second + 1, Second::default);
        }
        note(&mut seconds[second]);
    }
}

/// So many seconds as one.
pub(super) struct Summary {
    pub(super) seconds: usize,
    pub(super) released: u64,
    pub(super) retains: Vec<Duration>,
    pub(super) releases: Vec<Duration>,
}

impl Summary {
    pub(super) fn of(seconds: &[Second]) -> Self {
        Self {
            seconds: seconds.len(),
            released: seconds.iter().map(|second| second.released).sum(),
            retains: seconds.iter().flat_map(|second| &second.retains).copied().collect(),
            releases: seconds.iter().flat_map(|second| &second.releases).copied().collect(),
        }
    }

    pub(super) fn per_second(&self) -> f64 {
        self.released as f64 / self.seconds.max(1) as f64
    }

    pub(super) fn retain_p50(&self) -> Option<f64> {
        Latencies::new(self.retains.clone()).percentile(50)
    }
}

async fn create(
    manager: Manager,
    plan: Plan,
    queue: &str,
    book: Arc<Book>,
    over: CancellationToken,
) -> anyhow::Result<()> {
    let mut due = 0.0;
    let mut last = Instant::now();
    while !over.is_cancelled() {
        let rate = book.rate.load(Ordering::Relaxed);
        let passed = last.elapsed();
        last = Instant::now();
        if rate == PEAK {
            let behind =
                book.created.load(Ordering::Relaxed).saturating_sub(book.released.load(Ordering::Relaxed));
            due = if behind < AHEAD { CALL as f64 } else { 0.0 };
        } else {
            due += rate as f64 * passed.as_secs_f64();
        }
        let count = (due as u64).min(CALL);
        if count > 0 {
            let metas: Vec<_> =
                (0..count as usize).map(|task| TaskMeta::raw(plan.payload(task).clone())).collect();
            manager.create_tasks(queue, metas).await?;
            book.created.fetch_add(count, Ordering::Relaxed);
            due -= count as f64;
        }
        // One that is behind does not wait.
        if due < 1.0 && rate != PEAK {
            tokio::time::sleep(BEAT.saturating_sub(last.elapsed())).await;
        } else if count == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    Ok(())
}

async fn drain(
    manager: Manager,
    queue: &str,
    book: Arc<Book>,
    drained: CancellationToken,
) -> anyhow::Result<()> {
    let slots = Arc::new(Semaphore::new(SLOTS));
    let mut running = JoinSet::new();
    let mut arrivals = manager.arrivals(&[queue])?;
    loop {
        let last = drained.is_cancelled();
        let mut free = Arc::clone(&slots).acquire_many_owned(BATCH).await?;
        let started = Instant::now();
        let found = manager.next_tasks("bench", &[queue], Retain::new().count(BATCH as usize)).await?;
        let took = started.elapsed();
        book.note(|second| second.retains.push(took));
        while let Some(ended) = running.try_join_next() {
            ended??;
        }
        if found.is_empty() {
            let left = book.created.load(Ordering::Relaxed) - book.released.load(Ordering::Relaxed);
            if last && left == 0 {
                return Ok(());
            }
            drop(free);
            // Whoever waits for an arrival may miss the last of them.
            let _ = tokio::time::timeout(LOOK_AGAIN, arrivals.wait()).await;
            continue;
        }
        for task in found {
            let slot = free.split(1);
            let (manager, book) = (manager.clone(), Arc::clone(&book));
            running.spawn(async move {
                let started = Instant::now();
                let released = manager.release_task(&task, Outcome::done_empty()).await?;
                let took = started.elapsed();
                drop(slot);
                ensure!(released.status == Status::Released, "task {} is {}", released.id, released.status);
                book.released.fetch_add(1, Ordering::Relaxed);
                book.note(|second| {
                    second.released += 1;
                    second.releases.push(took);
                });
                Ok(())
            });
        }
    }
}
