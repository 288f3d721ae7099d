//! The jobs, and what is told of a run of one.

use std::time::{Duration, Instant};

use pgmill_store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use super::{Maintained, fold, orphans, partitions, prune, sweep};
use crate::telemetry;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Job {
    Sweep,
    Fold,
    Prune,
    Orphans,
    Partitions,
}

impl Job {
    pub(super) const ALL: [Self; 5] = [Self::Sweep, Self::Fold, Self::Prune, Self::Orphans, Self::Partitions];

    /// The name of its ticker.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sweep => "sweep",
            Self::Fold => "fold",
            Self::Prune => "prune",
            Self::Orphans => "orphans",
            Self::Partitions => "partitions",
        }
    }

    /// What to say when it fails.
    pub(super) fn failure(self) -> &'static str {
        match self {
            Self::Sweep => "the maintenance job sweep fails",
            Self::Fold => "the maintenance job fold fails",
            Self::Prune => "the maintenance job prune fails",
            Self::Orphans => "the maintenance job orphans fails",
            Self::Partitions => "the maintenance job partitions fails",
        }
    }

    pub(super) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|job| job.name() == name)
    }

    /// Runs it. Once `stop` is cancelled, it ends before its next statement.
    pub(super) async fn run(self, store: &Store, stop: &CancellationToken) -> Result<Maintained, StoreError> {
        match self {
            Self::Sweep => sweep::run(store, stop).await,
            Self::Fold => fold::run(store, stop).await,
            Self::Prune => prune::run(store, stop).await,
            Self::Orphans => orphans::run(store, stop).await,
            Self::Partitions => partitions::run(store, stop).await,
        }
    }
}

/// A run of a job: the one place where it is known what it took, and what it came to.
#[derive(Debug)]
pub(super) struct JobReport {
    pub(super) job: Job,
    pub(super) took: Duration,
    pub(super) result: Result<Maintained, StoreError>,
}

impl JobReport {
    /// Runs a job.
    pub(super) async fn of(job: Job, store: &Store, stop: &CancellationToken) -> Self {
        let started = Instant::now();
        let result = job.run(store, stop).await;
        Self { job, took: started.elapsed(), result }
    }

    /// Counts the run, and logs one that went well. Failures are logged once for each outage, by who knows whether it is one.
    pub(super) fn tell(&self) {
        telemetry::job_ended(self.job.name(), self.took, self.result.is_ok());
        if let Ok(done) = &self.result {
            let (job, took) = (self.job.name(), self.took);
            tracing::debug!(job, ?took, ?done, "ran the job {job}");
            if done.postponed > 0 {
                tracing::info!(
                    job,
                    "the job {job} left something to the next time: a lock was not to be had"
                );
            }
        }
    }
}
