//! What producers create, and how they go on when a call fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pgmill::TaskMeta;
use tokio_util::sync::CancellationToken;

use super::{Job, MORTAL, RoleArgs};
use crate::check::ORDERED;
use crate::dice::Dice;
use crate::history::{Answer, Event, Ran, Wanted, Writer};

/// How often a call with keys is made anew until it is answered.
const TRIES: usize = 30;
const PAUSE: Duration = Duration::from_millis(100);
/// One bulk in so many is large enough to travel by COPY.
const LARGE_ONE_IN: u64 = 15;
const LARGE: u64 = 1_000;

/// Somebody who creates tasks, by one way or another.
pub(super) trait Maker: Clone + Send + Sync + 'static {
    fn create(&self, queue: &str, metas: Vec<TaskMeta>) -> impl Future<Output = Answer> + Send;
}

/// What one loop of a producer creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goods {
    Single,
    Keyed,
    Bulk {
        most: u64,
        large: bool,
    },
    Ordered,
    /// What is to be done soon or not at all.
    Mortal,
}

impl Goods {
    fn queue(self) -> &'static str {
        match self {
            Self::Single => "work",
            Self::Keyed => "keyed",
            Self::Bulk { .. } => "bulk",
            Self::Ordered => ORDERED,
            Self::Mortal => MORTAL,
        }
    }

    fn count(self, dice: &mut Dice) -> u64 {
        match self {
            Self::Bulk { large: true, .. } if dice.between(0, LARGE_ONE_IN) == 0 => LARGE,
            Self::Bulk { most, .. } => dice.between(2, most + 1),
            _ => 1,
        }
    }
}

/// What the loops of a producer share.
#[derive(Debug, Clone)]
pub(super) struct Supply {
    pub(super) name: String,
    pub(super) history: Writer,
    pub(super) over: CancellationToken,
    seed: u64,
    steady: bool,
    calls: Arc<AtomicU64>,
}

impl Supply {
    pub(super) fn new(args: &RoleArgs, history: Writer, over: CancellationToken) -> Self {
        let RoleArgs { name, seed, steady, .. } = args.clone();
        Self { name, history, over, seed, steady, calls: Arc::default() }
    }

    /// Creates one after the other, about so many tasks in a second.
    pub(super) async fn run(self, maker: impl Maker, goods: Goods, number: usize, rate: u64) {
        let part = format!("{}-{number}", self.name);
        let mut dice = Dice::for_part(self.seed, &part);
        // What expires would be missing from a rate.
        let goods = if self.steady && goods == Goods::Mortal { Goods::Single } else { goods };
        // Not all at once, so that a rate is as even as it can be.
        let mut next = tokio::time::Instant::now() + Duration::from_millis(37 * number as u64);
        for n in 0_u64.. {
            if self.over.run_until_cancelled(tokio::time::sleep_until(next)).await.is_none() {
                return;
            }
            let count = if self.steady { 1 } else { goods.count(&mut dice) };
            let job = |at| self.job(goods, format!("{part}-{n}-{at}"), &mut dice);
            let jobs = (0..count).map(job).collect::<Vec<_>>();
            let priority = if dice.percent(30) { 4 } else { 5 };
            self.create(&maker, goods, priority, &jobs).await;
            // Large ones are beside the rate. What was missed in an outage is not made up for.
            let pause = Duration::from_millis(1_000 * count.min(20) / rate.max(1));
            next = (next + pause).max(tokio::time::Instant::now());
        }
    }

    fn job(&self, goods: Goods, mark: String, dice: &mut Dice) -> Job {
        if self.steady {
            return Job { mark, ms: 5, fails: 0, end: Ran::Done };
        }
        let end = match dice.between(0, 100) {
            0..2 => Ran::Failed,
            2..5 => Ran::Snoozed,
            _ => Ran::Done,
        };
        let fails = if dice.percent(8) { 1 } else { 0 };
        // Some outlast a lease, which must be extended meanwhile.
        let ms = match dice.between(0, 100) {
            // There is but one worker for them.
            _ if goods == Goods::Ordered => dice.between(0, 10),
            0 => dice.between(1_500, 3_000),
            1..11 => dice.between(100, 500),
            _ => dice.between(0, 20),
        };
        Job { mark, ms, fails, end }
    }

    async fn create(&self, maker: &impl Maker, goods: Goods, priority: u8, jobs: &[Job]) {
        let keyed = goods == Goods::Keyed;
        let tries = if keyed { TRIES } else { 1 };
        for _ in 0..tries {
            let call = self.calls.fetch_add(1, Ordering::Relaxed);
            let tasks = jobs.iter().map(|job| Wanted { mark: job.mark.clone(), keyed }).collect();
            let metas: Vec<_> = jobs.iter().filter_map(|job| meta(job, priority, keyed)).collect();
            self.history.note(Event::Asked { call, queue: goods.queue().to_owned(), priority, tasks });
            let answer = maker.create(goods.queue(), metas).await;
            let created = matches!(answer, Answer::Created(_));
            self.history.note(Event::Answered { call, answer });
            if created {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn meta(job: &Job, priority: u8, keyed: bool) -> Option<TaskMeta> {
    let meta = TaskMeta::json(job).ok()?.priority(priority);
    Some(if keyed { meta.key(&job.mark) } else { meta })
}
