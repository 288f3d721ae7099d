//! Takes ticks, decides on cron tickers, and sees to the tasks that ticks make.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use pgmill_schema::{Namespace, Ticker, TickerName};
use pgmill_store::{ClaimTicks, CronDecision, StoreError, Tick, Undecided};
use tokio::sync::watch;

use super::clock::Clock;
use super::cron::Cron;
use crate::events::Change;
use crate::manager::Shared;
use crate::telemetry;

/// When to ask again for a ticker that somebody holds just now.
const HELD: Duration = Duration::from_millis(100);

/// What all that has to do with tickers shares in a process.
#[derive(Debug, Default)]
pub(crate) struct TickerState {
    pub(crate) clock: Clock,
    /// Counts the tickers that were created or changed here.
    changes: watch::Sender<u64>,
    /// Cron tickers that this process cannot decide on, and has said so.
    undecidable: Mutex<HashSet<i32>>,
}

impl TickerState {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, ..Self::default() }
    }

    /// A ticker may be due earlier than loops know.
    pub(crate) fn change(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Tells of changes from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Whether it has not been said of this ticker yet.
    fn is_news(&self, id: i32) -> bool {
        self.undecidable.lock().unwrap_or_else(PoisonError::into_inner).insert(id)
    }
}

/// One after another, the statements that take ticks.
pub(crate) struct Claimer {
    shared: Arc<Shared>,
    namespace: Option<Namespace>,
    names: Option<Vec<TickerName>>,
    limit: u32,
    /// About what the last statement left undecided.
    decisions: Vec<CronDecision>,
    /// They are all about rows that somebody holds.
    held: bool,
}

/// What a statement came to.
pub(crate) struct Claimed {
    /// Ticks for consumers. Those that made a task are not among them.
    pub(crate) ticks: Vec<Ticker>,
    /// When to ask again; `None` if nothing will be due.
    pub(crate) next: Option<Duration>,
}

impl Claimer {
    /// Of the tickers of a namespace; `None`: of those of all namespaces that have a target queue.
    pub(crate) fn new(
        shared: Arc<Shared>,
        namespace: Option<Namespace>,
        names: Option<Vec<TickerName>>,
        limit: u32,
    ) -> Self {
        Self { shared, namespace, names, limit, decisions: Vec::new(), held: false }
    }

    pub(crate) fn state(&self) -> &TickerState {
        &self.shared.tickers
    }

    /// Whether there are no connections any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.store.pool().is_closed()
    }

    /// How many ticks to take at most from now on.
    pub(crate) fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
    }

    /// Takes what is due, at most the limit.
    pub(crate) async fn claim(&mut self) -> Result<Claimed, StoreError> {
        let decisions = std::mem::take(&mut self.decisions);
        let sent: Vec<_> = decisions.iter().map(|decision| (decision.id, decision.seen)).collect();
        let limit = self.limit.saturating_sub(u32::try_from(decisions.len()).unwrap_or(u32::MAX));
        // Decisions about rows that somebody holds do not keep others from their tick.
        let limit = if self.held { limit.max(1) } else { limit };
        let claim = ClaimTicks {
            namespace: self.namespace.clone(),
            names: self.names.clone(),
            limit,
            lease: None,
            now: self.shared.tickers.clock.now(),
            decisions,
        };
        let claimed = self.shared.store.claim_ticks(&claim).await?;
        telemetry::ticks_taken(&claimed.ticks, claimed.now);
        self.decide(&claimed.undecided, claimed.now);
        let ticks: Vec<_> =
            claimed.ticks.into_iter().filter_map(|tick| self.settle(tick, claimed.now)).collect();
        // A decision that has to be sent again met a row that somebody holds.
        let held = |decision: &CronDecision| sent.contains(&(decision.id, decision.seen));
        self.held = !self.decisions.is_empty() && self.decisions.iter().all(held);
        let next = if self.decisions.is_empty() {
            claimed.next
        } else if self.held {
            Some(claimed.next.filter(|next| !next.is_zero() || !ticks.is_empty()).unwrap_or(HELD).min(HELD))
        } else {
            Some(Duration::ZERO)
        };
        Ok(Claimed { ticks, next })
    }

    fn decide(&mut self, undecided: &[Undecided], now: Timestamp) {
        let most = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let decisions = undecided.iter().filter_map(|undecided| {
            let decision = decision(undecided, now);
            if decision.is_none() && self.shared.tickers.is_news(undecided.id) {
                let Ticker { ticker, namespace, cron, time_zone, .. } = &undecided.ticker;
                tracing::warn!(
                    %namespace, %ticker, ?cron, ?time_zone,
                    "this process cannot tell when a cron ticker is due, and leaves it to others"
                );
            }
            decision
        });
        self.decisions = decisions.take(most).collect();
    }

    /// Wakes workers for the task that a tick made; returns the tick if it is one for consumers.
    fn settle(&self, tick: Tick, now: Timestamp) -> Option<Ticker> {
        let missing = tick.is_queue_missing();
        let task = tick.task.and_then(|task| u64::try_from(task).ok());
        let ticker = tick.ticker;
        let Some(queue) = ticker.queue else { return Some(ticker) };
        if missing {
            tracing::warn!(
                namespace = %ticker.namespace, ticker = %ticker.ticker, %queue,
                "a tick made no task: its queue does not exist"
            );
        } else {
            self.shared.floors.forget(&ticker.namespace, &queue);
            self.shared.wakes.wake(&ticker.namespace, &queue, Duration::ZERO);
            if let Some(task) = task {
                let change = Change::created(task, &ticker.namespace, &queue, now);
                self.shared.events.publish_change(&change);
            }
        }
        None
    }
}

fn decision(undecided: &Undecided, now: Timestamp) -> Option<CronDecision> {
    let Undecided { id, ticker } = undecided;
    let cron = Cron::parse(ticker.cron.as_deref()?, ticker.time_zone.as_deref()?).ok()?;
    let seen = ticker.next_at?;
    let decided = cron.decide(seen, now, ticker.policy, ticker.catch_up)?;
    Some(CronDecision { id: *id, seen, at: decided.at, next: decided.next, fire: decided.fire })
}
