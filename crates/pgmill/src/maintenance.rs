//! What keeps the database in order while it works.
//!
//! Five jobs, each a file of its own, each safe to run in any number of processes at once, and each to be called by hand:
//!
//! | job | every | what it does |
//! |---|---|---|
//! | `sweep` | 10 s | ends live tasks that nobody can retain any more |
//! | `fold` | 10 s | folds the count changes that every batch appends, and begins their table anew when it has grown |
//! | `prune` | 1 min | removes history past its retention, keys that are held no longer, old repetitions of enqueues, the audit of 90 days ago |
//! | `orphans` | 1 min | deletes what queues that are gone have left |
//! | `partitions` | 1 h | makes the days of the history tables ahead of time |
//!
//! There is no leader: the jobs are tickers of the namespace `pgmill`, and `runner` takes them as they come due.

mod fold;
mod job;
mod orphans;
mod partitions;
mod prune;
mod runner;
mod sweep;

use std::ops::AddAssign;

use pgmill_store::StoreError;
use tokio_util::sync::CancellationToken;

use crate::manager::Manager;

use job::{Job, JobReport};
pub(crate) use partitions::ensure_partitions;
use runner::Runner;

/// How many rows one statement of a job looks at: few enough to be done in a moment.
const STRETCH: i32 = 10_000;

/// What maintenance did: one job, or all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Maintained {
    /// Tasks past `dies_at` that were ended.
    pub expired: u64,
    /// Tasks whose lease lapsed on their last attempt, and that were ended.
    pub failed: u64,
    /// Live tasks of deleted queues whose rows were removed.
    pub orphaned: u64,
    /// Partitions that were made.
    pub partitions: u32,
    /// Days of history that were dropped: one for each table.
    pub dropped: u32,
    /// Days of finished tasks that were written anew, without those past their retention.
    pub rewritten: u32,
    /// Finished tasks past their retention that were deleted one by one.
    pub pruned: u64,
    /// Idempotency keys that no task held any longer.
    pub keys: u64,
    /// Entries of the audit older than 90 days.
    pub audit: u64,
    /// Tokens that were revoked, or expired, more than 90 days ago.
    pub tokens: u64,
    /// Changes that were folded into the counters.
    pub folded: u64,
    /// Steps that were left to the next time, for a lock was not to be had at once.
    pub postponed: u32,
}

impl AddAssign for Maintained {
    fn add_assign(&mut self, other: Self) {
        self.expired += other.expired;
        self.failed += other.failed;
        self.orphaned += other.orphaned;
        self.partitions += other.partitions;
        self.dropped += other.dropped;
        self.rewritten += other.rewritten;
        self.pruned += other.pruned;
        self.keys += other.keys;
        self.audit += other.audit;
        self.tokens += other.tokens;
        self.folded += other.folded;
        self.postponed += other.postponed;
    }
}

impl Manager {
    /// Maintains the database, and makes the tasks of tickers with a target queue, for all namespaces, until the token is
    /// cancelled; then returns within a second. An error is logged once for each outage, and does not end it.
    ///
    /// Let a few processes do so, at least one: of those that run at the same time, one takes each job, and when it dies the
    /// others take over within the interval of the job and 15 s. A job takes at most a twentieth of its time.
    ///
    /// ```no_run
    /// # async fn example(manager: pgmill::Manager) {
    /// use tokio_util::sync::CancellationToken;
    ///
    /// let shutdown = CancellationToken::new();
    /// let maintaining = tokio::spawn({
    ///     let (manager, shutdown) = (manager.clone(), shutdown.clone());
    ///     async move { manager.run(shutdown).await }
    /// });
    /// // … what the program is for …
    /// shutdown.cancel();
    /// maintaining.await.expect("no panic");
    /// # }
    /// ```
    pub async fn run(&self, shutdown: CancellationToken) {
        let runner = Runner::new(self.shared.store.clone());
        tokio::join!(runner.run(&shutdown), self.fire_tickers(&shutdown));
    }

    /// Runs every job of maintenance once, whoever else does, for the queues of all namespaces.
    ///
    /// [`run`](Self::run) does so by itself, and is what a program wants; this is for tests and for programs that run
    /// only now and then.
    ///
    /// # Errors
    /// The first error of the database; what was done by then stays done.
    pub async fn maintain(&self) -> Result<Maintained, StoreError> {
        let mut done = self.ensure_partitions().await?;
        done += self.sweep().await?;
        done += self.remove_orphans().await?;
        done += self.prune().await?;
        done += self.fold_counts().await?;
        Ok(done)
    }

    /// Ends the live tasks that nobody can retain any more: those past `dies_at`, and those whose lease lapsed on their last
    /// attempt. Of all namespaces, in one walk.
    ///
    /// # Errors
    /// The first error of the database; what was done by then stays done.
    pub async fn sweep(&self) -> Result<Maintained, StoreError> {
        self.run_job(Job::Sweep).await
    }

    /// Folds the count changes that batches have appended into the counters. Counts are the same before and after.
    ///
    /// # Errors
    /// The first error of the database; what was done by then stays done.
    pub async fn fold_counts(&self) -> Result<Maintained, StoreError> {
        self.run_job(Job::Fold).await
    }

    /// Removes history that is past its retention: finished tasks, attempts, and keys that no task holds any longer. Of all
    /// namespaces. And what the audit recorded, or which tokens were revoked or expired, more than 90 days ago.
    ///
    /// Retention is a minimum. What a queue keeps for a day or more leaves with its UTC day, once the whole day is past
    /// it; what it keeps for less, and all of a queue that was deleted, leaves as soon as it may. Attempts are kept, from
    /// their end on, as long as the queue keeps its tasks that keeps them longest.
    ///
    /// # Errors
    /// The first error of the database; what was done by then stays done. A lock that is not to be had at once is none: its
    /// step is counted as [`postponed`](Maintained::postponed).
    pub async fn prune(&self) -> Result<Maintained, StoreError> {
        self.run_job(Job::Prune).await
    }

    /// Makes the partitions of the history tables for the next seven days.
    ///
    /// # Errors
    /// The first error of the database. A lock that is not to be had within a few seconds is none: that is counted as
    /// [`postponed`](Maintained::postponed), for there are days of time.
    pub async fn ensure_partitions(&self) -> Result<Maintained, StoreError> {
        self.run_job(Job::Partitions).await
    }

    /// Deletes the live tasks, keys and counts of queues that are gone. (Their history is pruned.)
    ///
    /// # Errors
    /// The first error of the database; what was done by then stays done.
    pub async fn remove_orphans(&self) -> Result<Maintained, StoreError> {
        self.run_job(Job::Orphans).await
    }

    async fn run_job(&self, job: Job) -> Result<Maintained, StoreError> {
        let report = JobReport::of(job, &self.shared.store, &CancellationToken::new()).await;
        report.tell();
        report.result
    }
}
