//! Keeps the leases of everything the worker holds, until each is released.
//!
//! All of them are extended in one call. A lease counts from before the call that asked for it, so that it ends here
//! no later than in the database, whatever the clocks say.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use pgmill::{Claim, Manager};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::worker::Interrupt;
use crate::worker::outage::Outage;

/// The leases that are held.
#[derive(Debug)]
pub(super) struct Leases {
    length: Duration,
    held: Mutex<HashMap<Claim, Lease>>,
}

#[derive(Debug)]
struct Lease {
    until: Instant,
    /// The same as the database tells it; what it tells again was not extended.
    told: Option<Timestamp>,
    running: Option<Running>,
}

/// What has to stop when the lease is lost.
#[derive(Debug)]
struct Running {
    interrupt: Interrupt,
    lost: CancellationToken,
}

/// One lease, which is kept until this is dropped.
#[derive(Debug)]
pub(super) struct Holding<'a> {
    leases: &'a Leases,
    claim: Claim,
    lost: CancellationToken,
}

impl Leases {
    pub(super) fn new(length: Duration) -> Self {
        Self { length, held: Mutex::default() }
    }

    /// The length of a lease.
    pub(super) fn length(&self) -> Duration {
        self.length
    }

    /// Keeps the lease of a task that was asked for at `asked`; `interrupt` is told when it is lost while the task runs.
    pub(super) fn hold(
        &self,
        claim: Claim,
        told: Option<Timestamp>,
        asked: Instant,
        interrupt: &Interrupt,
    ) -> Holding<'_> {
        let lost = CancellationToken::new();
        let running = Some(Running { interrupt: interrupt.clone(), lost: lost.clone() });
        self.held().insert(claim, Lease { until: asked + self.length, told, running });
        Holding { leases: self, claim, lost }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held().is_empty()
    }

    /// Extends the leases, and stops what has lost its own.
    pub(super) async fn keep(&self, manager: &Manager) {
        tokio::join!(self.extend(manager), self.expire());
    }

    async fn extend(&self, manager: &Manager) {
        let period = self.length / 3;
        let mut beats = interval_at(Instant::now() + period, period);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut outage = Outage::new("leases cannot be extended");
        loop {
            beats.tick().await;
            let claims: Vec<Claim> = self.held().keys().copied().collect();
            if claims.is_empty() {
                continue;
            }
            let asked = Instant::now();
            // A call that hangs must not keep the next one from being tried in time.
            match timeout(period, manager.extend_leases(&claims, Some(self.length))).await {
                Ok(Ok(answers)) => {
                    outage.over();
                    for (claim, answer) in claims.into_iter().zip(answers) {
                        self.answered(claim, answer, asked);
                    }
                }
                Ok(Err(error)) => {
                    outage.failed(&error);
                }
                Err(elapsed) => {
                    outage.failed(&elapsed);
                }
            }
        }
    }

    fn answered(&self, claim: Claim, answer: Option<Timestamp>, asked: Instant) {
        let mut held = self.held();
        // A task that was released in the meantime is not held any more.
        let Some(lease) = held.get_mut(&claim) else { return };
        if answer.is_none() {
            lease.lose();
        } else if answer != lease.told {
            (lease.until, lease.told) = (asked + self.length, answer);
        }
    }

    /// A lease that could not be extended in time ends here as it does in the database.
    async fn expire(&self) {
        loop {
            let now = Instant::now();
            let mut next = now + self.length / 3;
            for lease in self.held().values_mut().filter(|lease| lease.running.is_some()) {
                if lease.until <= now {
                    lease.lose();
                } else {
                    next = next.min(lease.until);
                }
            }
            sleep_until(next).await;
        }
    }

    /// A panic while the table was held leaves it as true as before.
    fn held(&self) -> MutexGuard<'_, HashMap<Claim, Lease>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// What has run to its end has nothing to stop: whether its release still counts, the database decides.
    fn lose(&mut self) {
        if let Some(Running { interrupt, lost }) = self.running.take() {
            lost.cancel();
            interrupt.soon.cancel();
        }
    }
}

impl Holding<'_> {
    /// The task has run to its end, and only waits for its release. Tells whether the lease was kept.
    pub(super) fn finish(&self) -> bool {
        if let Some(lease) = self.leases.held().get_mut(&self.claim) {
            lease.running = None;
        }
        !self.lost.is_cancelled()
    }
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        self.leases.held().remove(&self.claim);
    }
}
