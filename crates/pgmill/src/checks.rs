//! Looks at all that has to be well for tasks to travel, and says what to do where it is not.
//!
//! - `report`: what is told, a [`Check`] for each thing that was looked at.
//! - `run`: looks, one statement after the other, each for no longer than a limit.
//! - `server`, `schema`, `vacuum`, `queues`: what to think of what was seen. Pure, so that what cannot be brought about in a test can be
//!   made up.
//! - `notices`: whether notices arrive.
//!
//! **What the verdicts mean.** `fail`: tasks cannot be created or worked on, or what was acknowledged may be lost. `warn`: it goes on, but
//! slower, later, or not for long. `skipped`: it could not be looked at, and why. What [`Manager::check_ready`] looks at fails only
//! where the process can be of no use: whoever sends requests by it would else take all of them away for what is no reason.

mod notices;
mod queues;
mod report;
mod run;
mod schema;
mod server;
mod vacuum;

use std::time::Duration;

use pgmill_schema::{hours, minutes, seconds};

use crate::manager::Manager;
use run::Run;

pub use report::{Check, Checkup, Verdict};

/// What counts as long.
///
/// ```
/// use pgmill::{CheckOptions, minutes};
///
/// let options = CheckOptions::new().stuck_after(minutes(10));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckOptions {
    limit: Duration,
    old_transaction: Duration,
    stuck_after: Duration,
    recount: bool,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self { limit: seconds(5), old_transaction: minutes(10), stuck_after: hours(1), recount: false }
    }
}

impl CheckOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How long the database may take for each look. Default 5 s. What takes longer is told, and the next look begins.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// From when on a transaction that holds back VACUUM is told as too old. Default 10 min.
    #[must_use]
    pub fn old_transaction(mut self, age: Duration) -> Self {
        self.old_transaction = age;
        self
    }

    /// For how long a task may be due, or its lease have lapsed, until its queue is told as stuck. Default 1 h.
    #[must_use]
    pub fn stuck_after(mut self, time: Duration) -> Self {
        self.stuck_after = time;
        self
    }

    /// Whether to count all tasks and all history, and hold the counters against it. Default `false`, for that takes as long as
    /// it takes to read them: raise the [`limit`](Self::limit) with it. For this look it is the limit of the server too, which
    /// gives other statements 30 s.
    #[must_use]
    pub fn recount(mut self, recount: bool) -> Self {
        self.recount = recount;
        self
    }
}

impl Manager {
    /// Looks at all that has to be well: the connection, the server and its settings, the role's privileges, the schema, VACUUM and
    /// who holds it back, notices, and the queues of all namespaces. Nothing is changed. What it costs does not depend on how many
    /// tasks there are.
    ///
    /// There is always an answer: what cannot be looked at is a check like the others, and says so. It takes
    /// [`limit`](CheckOptions::limit) for each look at most, and with no connection no longer than one.
    ///
    /// ```no_run
    /// # async fn example(manager: pgmill::Manager) {
    /// use pgmill::{CheckOptions, Verdict};
    ///
    /// let checkup = manager.check(&CheckOptions::new()).await;
    /// for check in checkup.checks.iter().filter(|check| check.verdict >= Verdict::Warn) {
    ///     println!("{}: {}", check.name, check.seen);
    /// }
    /// # }
    /// ```
    pub async fn check(&self, options: &CheckOptions) -> Checkup {
        Run::new(self, options).all().await
    }

    /// The part of [`check`](Self::check) that can be asked for all the time: it reads catalogues and statistics alone, and opens
    /// no connection. Left out are `migrations`, `schema`, `notify`, `stuck`, `failing` and `unused`. It fails only
    /// where this process can do no work; what else fails is a warning here.
    pub async fn check_ready(&self, options: &CheckOptions) -> Checkup {
        Run::new(self, options).ready().await
    }
}
