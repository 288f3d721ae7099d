//! Runs the jobs of maintenance as they come due.
//!
//! ```text
//!   claim what is due ──▶ run each ──▶ finish: rest at least 20 × what it took ──▶ sleep until the next is due ──┐
//!    ▲                      └─ extend the leases every 5 s                                                       │
//!    └───────────────────────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Any number of processes does so; the statement that claims a job is what picks one of them. The lease keeps the others off
//! while it runs, for however long. When the process dies, the lease lapses after at most [`LEASE`], and the job runs elsewhere
//! when it is due next. An extension that finds the lease gone, since it could not be extended in time, stops the job: it
//! sends no further statement.

use std::collections::HashMap;
use std::time::Duration;

use pgmill_schema::{Namespace, TickerName};
use pgmill_store::{ClaimTicks, Store, StoreError, TickLease};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::ensure_partitions;
use super::job::{Job, JobReport};
use crate::outage::Outage;

const LEASE: Duration = Duration::from_secs(15);
const EXTEND_EVERY: Duration = Duration::from_secs(5);
/// How long a job rests for the time it took: it may take a twentieth.
const REST_RATIO: u32 = 20;
/// How long a job that has ended waits for others, to be finished in one statement with them.
const GATHER: Duration = Duration::from_secs(1);
/// How often to ask at least, and at most.
const LONGEST: Duration = Duration::from_secs(15);
const SHORTEST: Duration = Duration::from_millis(100);
/// How long giving back may take when it is told to stop.
const GOODBYE: Duration = Duration::from_millis(500);

/// A job under way, and what stops it before its next statement.
struct Running {
    id: Id,
    stop: CancellationToken,
}

pub(super) struct Runner {
    store: Store,
    namespace: Namespace,
    holder: i64,
    jobs: JoinSet<JobReport>,
    running: HashMap<Job, Running>,
    /// Jobs that have run, with how long they are to rest; not finished yet.
    ended: HashMap<Job, Duration>,
    /// The answer to a claim was lost: jobs may be leased that nobody runs.
    unknown: bool,
    claim_at: Instant,
    extend_at: Instant,
    finish_at: Instant,
    outage: Outage,
    outages: HashMap<Job, Outage>,
}

impl Runner {
    pub(super) fn new(store: Store) -> Self {
        let now = Instant::now();
        Self {
            store,
            namespace: Namespace::system(),
            holder: holder(),
            jobs: JoinSet::new(),
            running: HashMap::new(),
            ended: HashMap::new(),
            unknown: false,
            claim_at: now,
            extend_at: now,
            finish_at: now,
            outage: Outage::new("maintenance cannot be done"),
            outages: Job::ALL.map(|job| (job, Outage::new(job.failure()))).into(),
        }
    }

    /// Until the token is cancelled. What runs then is stopped, and given back.
    pub(super) async fn run(mut self, shutdown: &CancellationToken) {
        shutdown.run_until_cancelled(self.work()).await;
        self.running.drain().for_each(|(_, running)| running.stop.cancel());
        // Jobs that wait for an answer still have their connections: behind that answer, a goodbye would wait too.
        let goodbye = async {
            self.finish().await;
            self.store.return_jobs(self.holder, &[]).await
        };
        // If it fails, the leases lapse.
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    }

    async fn work(&mut self) {
        // At once, and not only when the hour is over: the program may not have run for days.
        if let Err(error) = ensure_partitions(&self.store).await {
            self.claim_at += self.outage.failed(&error);
        }
        while !self.store.pool().is_closed() {
            tokio::select! {
                Some(ended) = self.jobs.join_next_with_id() => match ended {
                    Ok((id, report)) => self.end(id, &report),
                    Err(error) => self.end_of_panic(&error),
                },
                () = sleep_until(self.finish_at), if !self.ended.is_empty() => self.finish().await,
                () = sleep_until(self.extend_at), if !self.running.is_empty() => self.extend().await,
                () = sleep_until(self.claim_at) => self.claim().await,
            }
        }
    }

    async fn claim(&mut self) {
        self.claim_at = Instant::now()
            + match self.try_claim().await {
                Ok(next) => {
                    self.outage.over();
                    next.unwrap_or(LONGEST).clamp(SHORTEST, LONGEST)
                }
                Err(error) => {
                    self.unknown |= matches!(error, StoreError::Lost(_));
                    self.outage.failed(&error)
                }
            };
    }

    async fn try_claim(&mut self) -> Result<Option<Duration>, StoreError> {
        if self.unknown {
            let mine: Vec<&str> =
                self.running.keys().chain(self.ended.keys()).map(|job| job.name()).collect();
            self.store.return_jobs(self.holder, &mine).await?;
            self.unknown = false;
        }
        let names = Job::ALL.iter().filter_map(|job| TickerName::new(job.name()).ok()).collect();
        let claim = ClaimTicks {
            namespace: Some(self.namespace.clone()),
            names: Some(names),
            limit: u32::MAX,
            lease: Some(TickLease { holder: self.holder, length: LEASE }),
            now: None,
            decisions: Vec::new(),
        };
        let claimed = self.store.claim_ticks(&claim).await?;
        if self.running.is_empty() {
            self.extend_at = Instant::now() + EXTEND_EVERY;
        }
        for tick in claimed.ticks {
            if let Some(job) = Job::of_name(tick.ticker.ticker.as_str()) {
                self.start(job);
            }
        }
        Ok(claimed.next)
    }

    fn start(&mut self, job: Job) {
        // Whether or not it was finished, the lease is a new one.
        self.ended.remove(&job);
        let store = self.store.clone();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let handle = self.jobs.spawn(async move { JobReport::of(job, &store, &stopped).await });
        // One that this runner still runs lost its lease, or there would be none to claim.
        if let Some(stale) = self.running.insert(job, Running { id: handle.id(), stop }) {
            stale.stop.cancel();
        }
    }

    fn end(&mut self, id: Id, report: &JobReport) {
        report.tell();
        if self.running.get(&report.job).is_none_or(|running| running.id != id) {
            return;
        }
        if let Some(outage) = self.outages.get_mut(&report.job) {
            match &report.result {
                Ok(_) => outage.over(),
                Err(error) => drop(outage.failed(error)),
            }
        }
        self.rest(report.job, report.took * REST_RATIO);
    }

    /// A defect in a job ends that run, and nothing else.
    fn end_of_panic(&mut self, error: &JoinError) {
        let panicked = self.running.iter().find(|(_, running)| running.id == error.id()).map(|(job, _)| *job);
        if let Some(job) = panicked {
            tracing::error!(job = job.name(), "the job {} panicked", job.name());
            self.rest(job, Duration::ZERO);
        }
    }

    fn rest(&mut self, job: Job, pause: Duration) {
        self.running.remove(&job);
        self.ended.insert(job, pause);
        self.finish_at = if self.running.is_empty() {
            Instant::now()
        } else if self.ended.len() == 1 {
            Instant::now() + GATHER
        } else {
            self.finish_at
        };
    }

    async fn finish(&mut self) {
        let jobs: Vec<_> = self.ended.iter().map(|(job, pause)| (job.name(), *pause)).collect();
        if jobs.is_empty() {
            return;
        }
        match self.store.finish_jobs(self.holder, &jobs).await {
            Ok(next) => {
                self.ended.clear();
                let next = next.unwrap_or(LONGEST).clamp(SHORTEST, LONGEST);
                self.claim_at = self.claim_at.min(Instant::now() + next);
            }
            Err(error) => self.finish_at = Instant::now() + self.outage.failed(&error),
        }
    }

    async fn extend(&mut self) {
        self.extend_at = Instant::now() + EXTEND_EVERY;
        let running: Vec<Job> = self.running.keys().copied().collect();
        for job in running {
            let Ok(name) = TickerName::new(job.name()) else { continue };
            match self.store.extend_tick(&self.namespace, &name, self.holder, LEASE).await {
                Ok(true) => {}
                Ok(false) => {
                    if let Some(running) = self.running.remove(&job) {
                        running.stop.cancel();
                    }
                    tracing::warn!(
                        job = job.name(),
                        "the lease of the job {} was lost, and its run stopped",
                        job.name()
                    );
                }
                Err(error) => {
                    let _ = self.outage.failed(&error);
                }
            }
        }
    }
}

/// A random number, so that no two runs are taken for one another.
fn holder() -> i64 {
    // Without the operating system's random numbers there is nothing to tell holders apart by.
    let random = getrandom::u64().expect("the operating system has random numbers");
    i64::try_from(random >> 1).unwrap_or(i64::MAX)
}
