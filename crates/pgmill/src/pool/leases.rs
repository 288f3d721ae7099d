//! Keeps the leases of everything that the pool holds, until each release is committed; and stops what has lost its own.
//!
//! One call extends them all. A lease counts from before the call that asked for it, so that it ends here no later than
//! in the database, whatever the clocks say. The calls go over a connection that is kept for them, so that handlers which
//! use up the pool of connections do not keep them waiting.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use pgmill_schema::{Claim, to_micros};
use pgmill_store::{Reserved, StoreError};
use tokio::time::{Instant, sleep_until, timeout};

use super::attempt::warn_dropped;
use super::book::{Overdue, Why};
use super::ended::End;
use super::engine::Engine;
use crate::outage::Outage;

/// How many leases one statement extends.
const CHUNK: usize = 10_000;
/// How often it is looked for what is overdue.
const WATCH: Duration = Duration::from_millis(50);
/// How long before a lease lapses its handler is asked to end, at most; less for short leases.
const MARGIN: Duration = Duration::from_secs(2);

impl<S: Send + Sync + 'static> Engine<S> {
    /// Extends the leases three times in their length, and more often while that fails.
    pub(super) async fn keep_leases(self: Arc<Self>) {
        let lease = self.settings.lease;
        let mut connection = self.common.manager.shared.store.reserve();
        // Now, while there are connections to be had.
        drop(timeout(lease / 6, connection.connect()).await);
        let mut outage = Outage::new("leases cannot be extended");
        let mut next = Instant::now() + lease / 3;
        loop {
            sleep_until(next).await;
            let asked = Instant::now();
            next = match self.extend(&mut connection).await {
                Ok(()) => {
                    outage.over();
                    asked + lease / 3
                }
                Err(error) => Instant::now() + outage.failed(&error).min(lease / 12),
            };
        }
    }

    async fn extend(self: &Arc<Self>, connection: &mut Reserved) -> Result<(), StoreError> {
        let lease = self.settings.lease;
        let claims = self.book().claims();
        for chunk in claims.chunks(CHUNK) {
            let leases: Vec<(Claim, Option<i64>)> =
                chunk.iter().map(|claim| (*claim, Some(to_micros(lease)))).collect();
            let asked = Instant::now();
            let namespace = self.common.manager.namespace();
            let answers = connection.extend(namespace, &leases, lease / 6).await;
            self.meters.extended(answers.is_ok());
            let answers = answers?;
            let (cancel, lost) = self.book().extended(chunk.iter().copied().zip(answers), asked);
            for attempt in cancel {
                attempt.lease_lost();
                attempt.token.cancel();
            }
            for attempt in lost {
                warn_dropped(&attempt, "its lease was lost before it was started");
                self.end(&attempt, None, &End::Lost, Duration::ZERO);
            }
        }
        Ok(())
    }

    /// Stops what has expired or is about to lapse, and takes the slots of those who do not stop, until the pool is over.
    ///
    /// On a thread of its own, for a handler that blocks its thread must not keep this from being done. It also wakes the
    /// runtime: if the thread that a handler blocks is the one which waited for the network and for timers, no other
    /// thread takes its place until there is something to do for it.
    pub(super) fn watch(self: &Arc<Self>, over: &mpsc::Receiver<Infallible>) {
        let margin = MARGIN.min(self.settings.lease / 10);
        while over.recv_timeout(WATCH) == Err(RecvTimeoutError::Timeout) {
            let overdue = {
                let mut book = self.book();
                if book.is_empty() {
                    continue;
                }
                book.overdue(Instant::now(), margin, self.settings.cancel_grace)
            };
            self.spawn(std::future::ready(()));
            let Overdue { cancel, given_up, stale, start } = overdue;
            for (attempt, why) in cancel {
                if why == Why::Lapsing {
                    attempt.lease_lost();
                }
                attempt.token.cancel();
            }
            if !given_up.is_empty() {
                self.tell(true);
            }
            for (attempt, why) in given_up {
                self.given_up(attempt, why);
            }
            for attempt in stale {
                self.give_back(attempt);
            }
            for attempt in start {
                self.start(attempt);
            }
        }
    }
}
