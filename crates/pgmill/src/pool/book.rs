//! The book of a pool: what it holds, in which state, and who gets the slots. It does nothing by itself, so that it can be
//! kept under one lock, which is never held for long.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pgmill_schema::{Claim, QueueName};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::allotment;
use super::attempt::Attempt;
use super::ended::RunReport;
use super::lane::{Average, Lane, STALE};
use super::options::{Prefetch, Settings};
use crate::telemetry::Fate;

/// How many attempts may wait for their release, beside what runs and waits to run.
const UNRELEASED: usize = 1_024;
/// The most tasks that one claim brings.
const LARGEST_CLAIM: usize = 1_000;

/// Where an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Retained, without a slot.
    Waiting,
    /// In a slot.
    Running,
    /// Over, and its release is not yet committed.
    Releasing,
}

/// Why a handler was asked to come to an end. The last two say what becomes of the task if it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The database says that the attempt is over.
    Lost,
    /// The lease could not be extended, and is about to lapse.
    Lapsing,
    /// The task has expired.
    Expired,
    /// The pool stops.
    Stopping,
}

#[derive(Debug)]
struct Held {
    attempt: Arc<Attempt>,
    phase: Phase,
    /// How long the lease lasts at least.
    until: Instant,
    /// The same as the database tells it; what it tells again was not extended.
    told: Option<Timestamp>,
    cancelled: Option<(Why, Instant)>,
}

impl Held {
    /// Whether the lease lasts until the task expires. It is never extended beyond that.
    fn lasts(&self) -> bool {
        self.told.is_some() && self.told == self.attempt.task.dies_at
    }
}

/// Tasks that are to be asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask {
    pub(super) lane: usize,
    pub(super) count: usize,
}

/// A handler has come to its end in its slot.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) why: Option<Why>,
    pub(super) next: Option<Arc<Attempt>>,
}

/// What the watch over leases and deadlines found.
#[derive(Debug, Default)]
pub(super) struct Overdue {
    /// Handlers to ask to come to an end.
    pub(super) cancel: Vec<(Arc<Attempt>, Why)>,
    /// Handlers whose slots were taken from them.
    pub(super) given_up: Vec<(Arc<Attempt>, Why)>,
    /// Tasks that waited too long for a slot.
    pub(super) stale: Vec<Arc<Attempt>>,
    /// To be started in the slots that became free.
    pub(super) start: Vec<Arc<Attempt>>,
}

#[derive(Debug)]
pub(super) struct Book {
    workers: usize,
    lease: Duration,
    prefetch: Prefetch,
    lanes: Vec<Lane>,
    running: usize,
    held: HashMap<Claim, Held>,
    claim_time: Average,
    stopping: bool,
    report: RunReport,
}

impl Book {
    pub(super) fn new(settings: &Settings, lanes: Vec<Lane>) -> Self {
        Self {
            workers: settings.workers,
            lease: settings.lease,
            prefetch: settings.prefetch,
            lanes,
            running: 0,
            held: HashMap::new(),
            claim_time: Average::default(),
            stopping: false,
            report: RunReport::default(),
        }
    }

    pub(super) fn running(&self) -> usize {
        self.running
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether some lane has nothing to fetch as far as is known, so that it is worth waiting for news.
    pub(super) fn awaits_news(&self) -> bool {
        self.lanes.iter().any(|lane| !lane.wants)
    }

    /// Whether nothing is held and nothing is known to be had.
    pub(super) fn is_idle(&self) -> bool {
        self.held.is_empty() && self.lanes.iter().all(Lane::is_idle)
    }

    /// There may be tasks for the lanes that are chosen; `unprompted` if nobody told of them.
    pub(super) fn believe(&mut self, chosen: impl Fn(usize) -> bool, unprompted: bool) {
        let active = self.lanes.iter().filter(|lane| !lane.is_idle()).map(Lane::served);
        let least = active.min_by(f64::total_cmp);
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            if chosen(index) {
                lane.believe(least, unprompted);
            }
        }
    }

    /// What to ask the database for now.
    pub(super) fn plan(&mut self) -> Vec<Ask> {
        if self.stopping || self.lanes.iter().all(|lane| !lane.wants || lane.asking > 0) {
            return Vec::new();
        }
        let shares: Vec<_> =
            self.lanes.iter().map(|lane| lane.share(self.prefetch, self.workers, &self.claim_time)).collect();
        let asking: usize = self.lanes.iter().map(|lane| lane.asking).sum();
        let mut room = (2 * self.workers + UNRELEASED).saturating_sub(self.held.len() + asking);
        let counts = allotment::asks(self.workers, &shares);
        let mut asks = Vec::new();
        for (lane, count) in counts.into_iter().enumerate() {
            let count = count.min(room).min(LARGEST_CLAIM);
            if count > 0 {
                room -= count;
                self.lanes[lane].asking = count;
                asks.push(Ask { lane, count });
            }
        }
        asks
    }

    /// A claim failed: what was asked for is asked for again.
    pub(super) fn failed(&mut self, ask: Ask) {
        self.lanes[ask.lane].asking = 0;
    }

    /// Whether it is a claim without anybody having told of tasks.
    pub(super) fn take_unprompted(&mut self, ask: Ask) -> bool {
        std::mem::take(&mut self.lanes[ask.lane].unprompted)
    }

    /// A claim was answered. Returns what is to be started.
    pub(super) fn answered(
        &mut self,
        ask: Ask,
        took: Duration,
        attempts: Vec<Arc<Attempt>>,
    ) -> Vec<Arc<Attempt>> {
        self.claim_time.add(took);
        self.lanes[ask.lane].answered(attempts.len());
        for attempt in attempts {
            let held = Held {
                phase: Phase::Waiting,
                until: attempt.asked + self.lease,
                told: attempt.task.lease_until,
                cancelled: None,
                attempt: Arc::clone(&attempt),
            };
            self.held.insert(attempt.claim, held);
            self.lanes[ask.lane].waiting.push_back(attempt);
        }
        self.fill()
    }

    /// Gives the free slots to tasks that wait.
    fn fill(&mut self) -> Vec<Arc<Attempt>> {
        std::iter::from_fn(|| self.fill_one()).collect()
    }

    fn fill_one(&mut self) -> Option<Arc<Attempt>> {
        if self.stopping || self.running >= self.workers {
            return None;
        }
        let lane = match self.lanes.as_slice() {
            [only] => only.can_start().then_some(0),
            lanes => allotment::next_to_start(lanes.iter().enumerate()),
        }?;
        let attempt = self.lanes[lane].start()?;
        self.running += 1;
        if let Some(held) = self.held.get_mut(&attempt.claim) {
            held.phase = Phase::Running;
        }
        Some(attempt)
    }

    /// A handler has come to its end. `None` if its slot was taken from it before.
    pub(super) fn finish(&mut self, attempt: &Attempt, ran: Duration) -> Option<Finished> {
        let held = self.held.get_mut(&attempt.claim).filter(|held| held.phase == Phase::Running)?;
        held.phase = Phase::Releasing;
        let why = held.cancelled.map(|(why, _)| why);
        self.free_slot(attempt.lane);
        self.lanes[attempt.lane].run_time.add(ran);
        Some(Finished { why, next: self.fill_one() })
    }

    fn free_slot(&mut self, lane: usize) {
        self.running -= 1;
        self.lanes[lane].running -= 1;
    }

    /// The attempt is over for good. `false` if that was told before.
    pub(super) fn end(&mut self, attempt: &Attempt, fate: Fate) -> bool {
        let ended = self.held.remove(&attempt.claim).is_some();
        if ended {
            self.report.count(fate);
        }
        ended
    }

    pub(super) fn report(&self) -> RunReport {
        self.report
    }

    /// What the leases are to be extended for.
    pub(super) fn claims(&self) -> Vec<Claim> {
        self.held.keys().copied().collect()
    }

    /// The database has answered to an extension that was asked for at `asked`. Returns the running attempts that are lost,
    /// and the waiting ones.
    pub(super) fn extended(
        &mut self,
        answers: impl Iterator<Item = (Claim, Option<Timestamp>)>,
        asked: Instant,
    ) -> (Vec<Arc<Attempt>>, Vec<Arc<Attempt>>) {
        let (mut cancel, mut lost) = (Vec::new(), Vec::new());
        for (claim, answer) in answers {
            // What was released in the meantime is not held any more.
            let Some(held) = self.held.get_mut(&claim) else { continue };
            match (answer, held.phase) {
                (Some(_), _) if answer == held.told => {}
                (Some(_), _) => (held.until, held.told) = (asked + self.lease, answer),
                (None, Phase::Running) => {
                    let when = held.cancelled.map_or_else(Instant::now, |(_, when)| when);
                    held.cancelled = Some((Why::Lost, when));
                    cancel.push(Arc::clone(&held.attempt));
                }
                (None, Phase::Waiting) => {
                    held.phase = Phase::Releasing;
                    let lane = &mut self.lanes[held.attempt.lane];
                    lane.waiting.retain(|waiting| waiting.claim != claim);
                    lost.push(Arc::clone(&held.attempt));
                }
                // Whether its release still counts, the database decides.
                (None, Phase::Releasing) => {}
            }
        }
        (cancel, lost)
    }

    /// Finds what has to be stopped by now: asks it to end, and takes the slots of those who did not in time.
    pub(super) fn overdue(&mut self, now: Instant, margin: Duration, grace: Duration) -> Overdue {
        let mut overdue = Overdue::default();
        for held in self.held.values_mut().filter(|held| held.phase == Phase::Running) {
            match held.cancelled {
                Some((why, when)) => {
                    if why != Why::Stopping && when + grace <= now {
                        held.phase = Phase::Releasing;
                        overdue.given_up.push((Arc::clone(&held.attempt), why));
                    }
                }
                None => {
                    let why = if held.attempt.deadline.is_some_and(|deadline| deadline <= now) {
                        Why::Expired
                    } else if held.until <= now + margin && !held.lasts() {
                        Why::Lapsing
                    } else {
                        continue;
                    };
                    held.cancelled = Some((why, now));
                    overdue.cancel.push((Arc::clone(&held.attempt), why));
                }
            }
        }
        for (attempt, _) in &overdue.given_up {
            self.free_slot(attempt.lane);
        }
        overdue.start = self.fill();
        overdue.stale = self.take_waiting(|attempt| attempt.arrived + STALE <= now);
        overdue
    }

    /// Takes waiting attempts out, to be given back, and does not expect their lane to be a fast one any more.
    fn take_waiting(&mut self, taken: impl Fn(&Attempt) -> bool) -> Vec<Arc<Attempt>> {
        let mut all = Vec::new();
        for lane in &mut self.lanes {
            let before = all.len();
            // In the order of arrival: the oldest are in front.
            while lane.waiting.front().is_some_and(|attempt| taken(attempt)) {
                all.extend(lane.waiting.pop_front());
            }
            if all.len() > before {
                lane.run_time.set(STALE);
            }
        }
        for attempt in &all {
            if let Some(held) = self.held.get_mut(&attempt.claim) {
                held.phase = Phase::Releasing;
            }
        }
        all
    }

    /// From now on nothing is started. Returns what waits to be.
    pub(super) fn stop(&mut self) -> Vec<Arc<Attempt>> {
        self.stopping = true;
        self.take_waiting(|_| true)
    }

    /// The pool asks all handlers to come to an end.
    pub(super) fn cancel_running(&mut self) -> Vec<CancellationToken> {
        let now = Instant::now();
        let running = self.held.values_mut().filter(|held| held.phase == Phase::Running);
        running
            .map(|held| {
                held.cancelled.get_or_insert((Why::Stopping, now));
                held.attempt.token.clone()
            })
            .collect()
    }

    /// Takes the slots of all handlers that still run.
    pub(super) fn give_up_running(&mut self) -> Vec<(Arc<Attempt>, Why)> {
        let running = self.held.values_mut().filter(|held| held.phase == Phase::Running);
        let given_up: Vec<_> = running
            .map(|held| {
                held.phase = Phase::Releasing;
                (Arc::clone(&held.attempt), held.cancelled.map_or(Why::Stopping, |(why, _)| why))
            })
            .collect();
        for (attempt, _) in &given_up {
            self.free_slot(attempt.lane);
        }
        given_up
    }

    /// Everything that is held.
    pub(super) fn all(&self) -> Vec<Arc<Attempt>> {
        self.held.values().map(|held| Arc::clone(&held.attempt)).collect()
    }
}

/// Which lane serves a queue.
pub(super) fn serves(queues: &[QueueName], queue: &QueueName) -> bool {
    queues.is_empty() || queues.contains(queue)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::options::QueueOptions;

    fn book() -> Book {
        let settings = Settings { workers: 4, ..Settings::default() };
        Book::new(&settings, vec![Lane::new(&QueueOptions::new(), 4)])
    }

    #[test]
    fn an_empty_answer_is_followed_by_no_other_claim_until_there_are_news() {
        let mut book = book();
        let ask = book.plan().remove(0);
        assert_eq!(ask.count, 4);
        assert!(book.plan().is_empty(), "one is under way");
        assert!(book.answered(ask, Duration::ZERO, Vec::new()).is_empty());
        assert!(book.plan().is_empty() && book.is_idle());
        book.believe(|_| true, false);
        assert_eq!(book.plan().len(), 1);
    }

    /// The claim may have looked before the task came that the news are about.
    #[test]
    fn news_that_come_while_a_claim_is_under_way_outlast_its_empty_answer() {
        let mut book = book();
        let ask = book.plan().remove(0);
        book.believe(|_| true, false);
        book.answered(ask, Duration::ZERO, Vec::new());
        assert_eq!(book.plan().len(), 1);
    }

    #[test]
    fn a_claim_that_failed_is_made_again() {
        let mut book = book();
        let ask = book.plan().remove(0);
        book.failed(ask);
        assert_eq!(book.plan().len(), 1);
    }

    #[test]
    fn a_pool_that_stops_asks_for_nothing() {
        let mut book = book();
        book.stop();
        assert!(book.plan().is_empty());
    }
}
