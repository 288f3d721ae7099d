//! Asks for ticks when the next one is due.
//!
//! ```text
//!   ask ──▶ hand out ──▶ rest until the next tick is due ──┐
//!    ▲                                                     │   a change of a ticker, and of a manual clock, ends the rest;
//!    └─────────────────────────────────────────────────────┘   an error makes it a pause
//! ```

use std::time::Duration;

use jiff::Timestamp;
use pgmill_schema::Ticker;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::claimer::{Claimer, TickerState};
use crate::outage::Outage;

/// How often at least a loop asks, unless it is told otherwise.
pub(super) const PERIOD: Duration = Duration::from_secs(15);
/// How often at least, whatever it is told.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) struct Puller {
    claimer: Claimer,
    outage: Outage,
    idle: Idle,
    rest: Rest,
    shutdown: CancellationToken,
}

/// What asking came to.
pub(super) enum Pulled {
    /// Ticks that were taken, if there were any.
    Ticks(Vec<Ticker>),
    /// The connections are closed.
    Closed,
    /// It was told to stop.
    Over,
}

/// How long not to ask.
enum Rest {
    Over,
    /// Until the next tick is due, or a ticker changes.
    Due(Option<Duration>),
    /// After an error, whatever happens.
    Failed(Duration),
}

impl Puller {
    /// `what` fails if it cannot be done, as a sentence.
    pub(super) fn new(
        what: &'static str,
        claimer: Claimer,
        period: Duration,
        shutdown: CancellationToken,
    ) -> Self {
        let idle = Idle::new(claimer.state(), period);
        Self { claimer, outage: Outage::new(what), idle, rest: Rest::Over, shutdown }
    }

    /// Whether more was due than was taken.
    pub(super) fn is_behind(&self) -> bool {
        matches!(self.rest, Rest::Due(Some(Duration::ZERO)))
    }

    /// Rests as long as is due, and asks once for so many ticks. May be dropped while it rests, and called again.
    pub(super) async fn pull(&mut self, limit: u32) -> Pulled {
        let rest = async {
            match self.rest {
                Rest::Over => {}
                Rest::Due(next) => self.idle.until(next).await,
                Rest::Failed(pause) => tokio::time::sleep(pause).await,
            }
        };
        self.shutdown.run_until_cancelled(rest).await;
        if self.shutdown.is_cancelled() {
            return Pulled::Over;
        }
        self.idle.look();
        self.claimer.set_limit(limit);
        match self.claimer.claim().await {
            Ok(claimed) => {
                self.outage.over();
                self.rest = Rest::Due(claimed.next);
                Pulled::Ticks(claimed.ticks)
            }
            Err(_) if self.claimer.is_closed() => Pulled::Closed,
            Err(error) => {
                self.rest = Rest::Failed(self.outage.failed(&error));
                Pulled::Ticks(Vec::new())
            }
        }
    }
}

/// Waits for the next tick to be due.
struct Idle {
    period: Duration,
    changes: watch::Receiver<u64>,
    /// Of a clock that is moved by hand.
    moves: Option<watch::Receiver<Timestamp>>,
    looked: Instant,
}

impl Idle {
    fn new(state: &TickerState, period: Duration) -> Self {
        let (changes, moves) = (state.changes(), state.clock.moves());
        Self { period: period.min(LONGEST), changes, moves, looked: Instant::now() }
    }

    /// The database is about to be asked: what changes from now on may change the answer.
    fn look(&mut self) {
        self.changes.mark_unchanged();
        if let Some(moves) = &mut self.moves {
            moves.mark_unchanged();
        }
        self.looked = Instant::now();
    }

    /// Until the next tick is due, reckoned from when the database was asked; a ticker was changed; a manual clock has moved;
    /// or the period is over.
    async fn until(&mut self, next: Option<Duration>) {
        if next == Some(Duration::ZERO) {
            return tokio::task::yield_now().await;
        }
        let wait = match &self.moves {
            // The time that the next one is due at is not one of the real clock.
            Some(_) => self.period,
            None => next.unwrap_or(self.period).min(self.period),
        };
        let moved = async {
            match &mut self.moves {
                Some(moves) => drop(moves.changed().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep_until(self.looked + wait) => {}
            _ = self.changes.changed() => {}
            () = moved => {}
        }
    }
}
