//! Ticks: who takes which, and for how long nobody else gets the next one.

use std::time::Duration;

use jiff::Timestamp;
use pgmill_schema::{Namespace, Ticker, TickerName, from_micros, to_micros};

use crate::error::StoreError;
use crate::row::{Reader, corrupt};
use crate::statement::{CLAIM_TICKS, EXTEND_TICK, FINISH_TICK};
use crate::store::Store;

/// Which ticks to take.
#[derive(Debug, Clone, Default)]
pub struct ClaimTicks {
    /// Those of this namespace; `None`: of all tickers that have a target queue, in any namespace.
    pub namespace: Option<Namespace>,
    /// Only those of these tickers of the namespace.
    pub names: Option<Vec<TickerName>>,
    /// How many at most, apart from those that are decided on.
    pub limit: u32,
    /// Keeps others from the tickers that are taken.
    pub lease: Option<TickLease>,
    /// The time, in place of the database's.
    pub now: Option<Timestamp>,
    /// What was found out about cron tickers that an earlier call left undecided.
    pub decisions: Vec<CronDecision>,
}

/// Keeps others from a ticker for some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TickLease {
    /// Who has it: a random number.
    pub holder: i64,
    /// For how long.
    pub length: Duration,
}

/// A cron ticker that is due. When it ticks next cannot be told in SQL: the caller decides, and tells with its next call.
#[derive(Debug, Clone)]
pub struct Undecided {
    /// Its id.
    pub id: i32,
    /// The ticker. What is due is its `next_at`.
    pub ticker: Ticker,
}

/// What becomes of a cron ticker that was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CronDecision {
    /// The ticker's id.
    pub id: i32,
    /// The `next_at` that this was decided on. If it is another by now, somebody else took the tick.
    pub seen: Timestamp,
    /// The time of the tick.
    pub at: Timestamp,
    /// When the ticker is due next.
    pub next: Timestamp,
    /// Whether there is a tick at all: under some policies one is missed for good.
    pub fire: bool,
}

/// A tick that was taken. Nobody else gets it.
#[derive(Debug, Clone)]
pub struct Tick {
    /// The ticker, whose `timestamp` is the time of this tick.
    pub ticker: Ticker,
    /// The task that was made of it, if the ticker has a target queue that exists.
    pub task: Option<i64>,
}

impl Tick {
    /// Whether the tick was to make a task in a queue that does not exist.
    #[must_use]
    pub fn is_queue_missing(&self) -> bool {
        self.ticker.queue.is_some() && self.task.is_none()
    }
}

/// What a claim came to.
#[derive(Debug, Clone)]
pub struct ClaimedTicks {
    /// The ticks, by time.
    pub ticks: Vec<Tick>,
    /// Cron tickers that are due, by time; at most 100.
    pub undecided: Vec<Undecided>,
    /// The time of the claim.
    pub now: Timestamp,
    /// How long after the claim the next tick is due, apart from those undecided; `None` if there will be none.
    pub next: Option<Duration>,
}

impl Store {
    /// Takes ticks that are due. In the same statement their tickers move on, and those with a target queue make their task.
    ///
    /// # Errors
    /// Those of any statement. After [`StoreError::Lost`] the ticks may be taken, and then are lost, but for their tasks.
    pub async fn claim_ticks(&self, claim: &ClaimTicks) -> Result<ClaimedTicks, StoreError> {
        let decisions = &claim.decisions;
        let namespace = claim.namespace.as_ref().map(Namespace::as_str);
        let names: Option<Vec<&str>> =
            claim.names.as_ref().map(|names| names.iter().map(TickerName::as_str).collect());
        let rows = self
            .query(
                &CLAIM_TICKS,
                &[
                    &namespace,
                    &names,
                    &i32::try_from(claim.limit).unwrap_or(i32::MAX),
                    &claim.lease.map(|lease| to_micros(lease.length)),
                    &claim.lease.map(|lease| lease.holder),
                    &claim.now,
                    &decisions.iter().map(|decision| decision.id).collect::<Vec<_>>(),
                    &decisions.iter().map(|decision| decision.seen).collect::<Vec<_>>(),
                    &decisions.iter().map(|decision| decision.at).collect::<Vec<_>>(),
                    &decisions.iter().map(|decision| decision.next).collect::<Vec<_>>(),
                    &decisions.iter().map(|decision| decision.fire).collect::<Vec<_>>(),
                ],
            )
            .await?;
        let mut claimed =
            ClaimedTicks { ticks: Vec::new(), undecided: Vec::new(), now: Timestamp::UNIX_EPOCH, next: None };
        for row in rows.iter().map(Reader::of) {
            match row.get("kind")? {
                0_i16 => claimed.ticks.push(Tick { ticker: row.ticker()?, task: row.get("task_id")? }),
                1 => claimed.undecided.push(Undecided { id: row.get("id")?, ticker: row.ticker()? }),
                2 => {
                    claimed.now = row.get("clock")?;
                    claimed.next = row.get::<Option<i64>>("wait")?.map(from_micros);
                }
                kind => return Err(corrupt("kind", kind).unread()),
            }
        }
        Ok(claimed)
    }

    /// Ends the lease of a ticker, which is not due before `pause` has passed. Returns whether `holder` had it.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn finish_tick(
        &self,
        namespace: &Namespace,
        ticker: &TickerName,
        holder: i64,
        pause: Duration,
    ) -> Result<bool, StoreError> {
        let rows = self
            .query(&FINISH_TICK, &[&namespace.as_str(), &ticker.as_str(), &holder, &to_micros(pause)])
            .await?;
        Ok(!rows.is_empty())
    }

    /// Lets the lease of a ticker run for so long from now. Returns whether `holder` had it, and thus has it still.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn extend_tick(
        &self,
        namespace: &Namespace,
        ticker: &TickerName,
        holder: i64,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        let rows = self
            .query_again(&EXTEND_TICK, &[&namespace.as_str(), &ticker.as_str(), &holder, &to_micros(lease)])
            .await?;
        Ok(!rows.is_empty())
    }
}
