//! One registration: a queue, or several that share a handler, and what the pool holds of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::allotment::Share;
use super::attempt::Attempt;
use super::options::{Prefetch, QueueOptions};

/// The weight of the latest value in an average.
const LATEST: f64 = 0.1;
/// How long a task may wait for a slot before it is given back: then the tasks before it take longer than expected.
pub(super) const STALE: Duration = Duration::from_secs(1);
/// Tasks that take longer than this have no reserve: the pause until the next one is fetched is short beside them.
const SHORT: Duration = Duration::from_millis(10);
/// So many tasks are more than next to nothing, however many were asked for: others may have had the rest in their hands.
const MANY: usize = 16;
/// How many tasks are kept in reserve for each slot at most.
const DEEPEST: f64 = 2.0;

/// A running average of durations, in seconds.
#[derive(Debug, Default)]
pub(super) struct Average(Option<f64>);

impl Average {
    pub(super) fn add(&mut self, value: Duration) {
        let value = value.as_secs_f64();
        self.0 = Some(self.0.map_or(value, |average| average + (value - average) * LATEST));
    }

    /// Forgets what was before.
    pub(super) fn set(&mut self, value: Duration) {
        self.0 = Some(value.as_secs_f64());
    }
}

#[derive(Debug)]
pub(super) struct Lane {
    weight: u32,
    concurrency: usize,
    pub(super) running: usize,
    pub(super) waiting: VecDeque<Arc<Attempt>>,
    pub(super) asking: usize,
    /// Whether there may be tasks in the database.
    pub(super) wants: bool,
    /// News came while a claim was under way, which need not have seen what they are about.
    news: bool,
    /// Only because it was time to look: nobody told of them.
    pub(super) unprompted: bool,
    served: f64,
    /// How long its tasks take.
    pub(super) run_time: Average,
}

impl Lane {
    pub(super) fn new(options: &QueueOptions, workers: usize) -> Self {
        Self {
            weight: options.weight,
            concurrency: options.concurrency.unwrap_or(workers).min(workers),
            running: 0,
            waiting: VecDeque::new(),
            asking: 0,
            wants: true,
            news: false,
            unprompted: false,
            served: 0.0,
            run_time: Average::default(),
        }
    }

    pub(super) fn share(&self, prefetch: Prefetch, workers: usize, claim_time: &Average) -> Share {
        let depth = match prefetch {
            Prefetch::None => 0.0,
            // What would only be given back is not fetched.
            Prefetch::UpTo(_) if self.run_time.0.is_some_and(|run| run >= STALE.as_secs_f64()) => 0.0,
            Prefetch::UpTo(count) => count as f64 / workers as f64,
            Prefetch::Adaptive => self.depth(claim_time),
        };
        Share {
            weight: self.weight,
            concurrency: self.concurrency,
            running: self.running,
            waiting: self.waiting.len(),
            asking: self.asking,
            wants: self.wants,
            may_ask: self.asking == 0,
            depth,
            served: self.served,
        }
    }

    /// As many tasks for a slot as it runs while more are fetched.
    fn depth(&self, claim_time: &Average) -> f64 {
        match (self.run_time.0, claim_time.0) {
            (Some(run), Some(claim)) if run < SHORT.as_secs_f64() => (claim / run.max(1e-9)).min(DEEPEST),
            _ => 0.0,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        !self.wants && self.running == 0 && self.waiting.is_empty() && self.asking == 0
    }

    pub(super) fn can_start(&self) -> bool {
        !self.waiting.is_empty() && self.running < self.concurrency
    }

    pub(super) fn served(&self) -> f64 {
        self.served
    }

    /// How much it will have been served with one task more.
    pub(super) fn served_next(&self) -> f64 {
        self.served + 1.0 / f64::from(self.weight)
    }

    /// Takes the task that is to be started next.
    pub(super) fn start(&mut self) -> Option<Arc<Attempt>> {
        let next = self.waiting.pop_front()?;
        self.running += 1;
        self.served = self.served_next();
        Some(next)
    }

    /// There may be tasks again. Idle time earns nothing: who was idle starts where those are who were not.
    pub(super) fn believe(&mut self, least_served: Option<f64>, unprompted: bool) {
        self.unprompted = unprompted && !self.wants;
        if self.is_idle()
            && let Some(least) = least_served
        {
            self.served = self.served.max(least);
        }
        self.wants = true;
        self.news = self.asking > 0;
    }

    /// A claim was answered with so many tasks. Where there was next to nothing, it is waited for news; somebody else may
    /// have had the others in their hands just then.
    pub(super) fn answered(&mut self, found: usize) {
        self.wants = std::mem::take(&mut self.news) || found * 2 >= self.asking || found >= MANY;
        self.asking = 0;
    }
}
