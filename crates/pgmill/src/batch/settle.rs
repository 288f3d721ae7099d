//! What a failure of a batch means, and what is done about it.
//!
//! ```text
//!   send ──▶ answered
//!    │ ▲
//!    │ └── contended: nothing has changed ── pause, as First
//!    │ └── lost: unknown ─────────────────── pause, as Again   until the limit: Unknown
//!    ├──▶ refused, one row: that row's error
//!    ├──▶ refused, many rows: halves, each on its own
//!    └──▶ any other error: all rows' error
//! ```
//!
//! Only an error that the server reports for the data of a row splits a batch: any other would come again for each half.

use std::time::{Duration, Instant as Clock};

use pgmill_store::{Sending, StoreError};
use tokio::time::Instant;

use crate::error::SharedStoreError;
use crate::telemetry::BatchMeters;

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How a batch ended that was not answered.
#[derive(Debug, Clone)]
pub(crate) enum Unsettled {
    /// The database refused the data of one of its rows, and this sending changed nothing.
    Refused(SharedStoreError, Sending),
    /// The database failed, and nothing has changed.
    Failed(SharedStoreError),
    /// It may have been committed.
    Unknown,
}

/// The pauses between sendings. Their limit begins with the first of them: what a sending takes until it is known to have
/// failed is not taken from the time in which it is asked about.
pub(crate) struct Pauses {
    limit: Duration,
    next: Duration,
    until: Option<Instant>,
}

impl Pauses {
    pub(crate) fn within(limit: Duration) -> Self {
        Self { limit, next: FIRST_PAUSE, until: None }
    }

    /// Waits before the next sending; `false` once the limit is reached.
    pub(crate) async fn pause(&mut self) -> bool {
        let now = Instant::now();
        let until = *self.until.get_or_insert(now + self.limit);
        if now + self.next > until {
            return false;
        }
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 2).min(LONGEST_PAUSE);
        true
    }

    /// Waits for what the next sending needs; `None` once the limit is reached.
    pub(crate) async fn wait_for<F: Future>(&self, what: F) -> Option<F::Output> {
        match self.until {
            Some(until) => tokio::time::timeout_at(until, what).await.ok(),
            None => Some(what.await),
        }
    }
}

/// Rows that are sent together, and can be sent again.
pub(crate) trait Batch: Sync {
    /// What each row is answered.
    type Answer: Send;

    fn meters(&self) -> &BatchMeters;

    fn rows(&self) -> usize;

    /// Sends all rows in one transaction.
    fn send(&self, sending: Sending) -> impl Future<Output = Result<Vec<Self::Answer>, StoreError>> + Send;
}

/// Calls that travel as batches of rows.
pub(crate) trait Rows: Sync {
    type Call: Send + Sync;
    type Answer: Send;

    fn meters(&self) -> &BatchMeters;

    /// Sends the rows of these calls in one transaction.
    fn send(
        &self,
        calls: &[Self::Call],
        sending: Sending,
    ) -> impl Future<Output = Result<Vec<Self::Answer>, StoreError>> + Send;

    /// Answers a call with what the database answered to this sending of it.
    fn answer(&self, call: Self::Call, end: Result<(Self::Answer, Sending), Unsettled>);
}

struct Part<'a, R: Rows> {
    rows: &'a R,
    calls: &'a [R::Call],
}

impl<R: Rows> Batch for Part<'_, R> {
    type Answer = R::Answer;

    fn meters(&self) -> &BatchMeters {
        self.rows.meters()
    }

    fn rows(&self) -> usize {
        self.calls.len()
    }

    async fn send(&self, sending: Sending) -> Result<Vec<R::Answer>, StoreError> {
        self.rows.send(self.calls, sending).await
    }
}

/// Sends a batch until its outcome is known or the limit is reached, and tells which sending was answered.
///
/// The limit begins when others are first in the way, and anew when the outcome becomes unknown.
///
/// An error without a connection is final unless an earlier sending is unknown: nothing was sent, and the caller decides
/// whether to wait.
pub(crate) async fn settle<B: Batch>(
    limit: Duration,
    mut sending: Sending,
    batch: &B,
) -> Result<(Vec<B::Answer>, Sending), Unsettled> {
    let mut pauses = Pauses::within(limit);
    let meters = batch.meters();
    loop {
        let sent = Clock::now();
        let answer = batch.send(sending).await;
        meters.sent(batch.rows(), sent.elapsed(), &answer);
        let error = match answer {
            Ok(answers) => {
                if sending == Sending::Again {
                    meters.settled(true);
                }
                return Ok((answers, sending));
            }
            Err(error) => error,
        };
        let again = match &error {
            StoreError::Lost(_) => {
                if sending == Sending::First {
                    sending = Sending::Again;
                    pauses = Pauses::within(limit);
                }
                true
            }
            StoreError::Contended(_) | StoreError::PartitionMissing(_) => true,
            StoreError::Refused(_) => return Err(Unsettled::Refused(error.into(), sending)),
            error => sending == Sending::Again && error.is_transient(),
        };
        if again && pauses.pause().await {
            meters.retried();
            continue;
        }
        return Err(match sending {
            Sending::First => Unsettled::Failed(error.into()),
            Sending::Again => {
                meters.settled(false);
                Unsettled::Unknown
            }
        });
    }
}

/// Settles calls row by row: a batch that the database refuses is split by halves, so that a bad row fails alone.
pub(crate) async fn settle_each<R: Rows>(
    limit: Duration,
    (calls, sending): (Vec<R::Call>, Sending),
    rows: &R,
) {
    let mut batches = vec![(calls, sending)];
    while let Some((mut calls, sending)) = batches.pop() {
        match settle(limit, sending, &Part { rows, calls: &calls }).await {
            Ok((answers, sending)) => {
                calls.into_iter().zip(answers).for_each(|(call, one)| rows.answer(call, Ok((one, sending))));
            }
            Err(Unsettled::Refused(_, sending)) if calls.len() > 1 => {
                let second = calls.split_off(calls.len() / 2);
                batches.push((second, sending));
                batches.push((calls, sending));
            }
            Err(end) => calls.into_iter().for_each(|call| rows.answer(call, Err(end.clone()))),
        }
    }
}
