//! The tables of pgmill as far as the life of a task goes: what a statement sees, and what it leaves.
//!
//! Times are gone. What a statement asks of a time, whether it has come, is a state of the row, and that it comes is a step
//! of its own ([`Passing`](crate::Passing)). So every order of times is covered, and none is preferred.

/// A number that tells the retains of one task apart.
pub type Holder = i64;

/// What a retain hands out, and what every later statement about the attempt brings along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim {
    /// The task, by its place in [`Tables::entries`].
    pub task: usize,
    /// Its attempt.
    pub attempt: u8,
    /// Who retained it.
    pub holder: Holder,
}

/// The status of a task, as the counters have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// It waits, and no attempt was spent.
    New,
    /// It waits for another attempt.
    Retry,
    /// It is leased, be the lease lapsed or not.
    Retained,
    /// It is done.
    Released,
    /// It failed for good.
    Failed,
    /// Its time to live ran out.
    Expired,
    /// It was cancelled.
    Cancelled,
}

/// How an attempt ended that did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It failed, and another follows.
    Retry,
    /// It failed, and none follows.
    Failed,
    /// Its lease lapsed.
    Lapsed,
    /// It was given back.
    GivenBack,
    /// It was put off.
    Snoozed,
    /// It, or its task, was cancelled.
    Cancelled,
    /// What it put off to lies behind the end of the task's life.
    Expired,
}

/// A lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lease {
    /// `lease_until` is ahead.
    Running,
    /// `lease_until` has passed.
    Lapsed,
}

/// Where `dies_at` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Death {
    /// Null.
    Never,
    /// Ahead.
    Ahead,
    /// Passed.
    Past,
}

/// A row of `pgmill.task`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row {
    /// Retains so far.
    pub attempt: u8,
    /// Those of them that cost nothing.
    pub spared: u8,
    /// Attempts in all.
    pub retries: u8,
    /// Its lease, if it is retained.
    pub lease: Option<Lease>,
    /// Who retained it last.
    pub holder: Option<Holder>,
    /// Whether `run_at` has come.
    pub due: bool,
    /// Where its `dies_at` is.
    pub death: Death,
    /// Whether the lease began before the server was last started, and the server has not run for long enough since to
    /// take it for lapsed.
    pub spared_by_restart: bool,
}

impl Row {
    /// The attempts that were spent, the running one included.
    pub fn spent(&self) -> u8 {
        self.attempt - self.spared
    }

    /// Its status as the counters have it.
    pub fn status(&self) -> Status {
        match self.lease {
            Some(_) => Status::Retained,
            None if self.spent() == 0 => Status::New,
            None => Status::Retry,
        }
    }

    /// Whether a claim stands for the attempt that runs.
    pub fn is_held_by(&self, claim: Claim) -> bool {
        self.lease.is_some() && self.attempt == claim.attempt && self.holder == Some(claim.holder)
    }
}

/// A row of `pgmill.task_finished`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Finished {
    /// How it ended.
    pub status: Status,
    /// Its last attempt.
    pub attempt: u8,
    /// How many cost nothing.
    pub spared: u8,
    /// Who ended it.
    pub holder: Option<Holder>,
}

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// It was never created.
    Nowhere,
    /// In `pgmill.task`.
    Live(Row),
    /// In `pgmill.task_finished`.
    Finished(Finished),
    /// It ended, and was removed, or left no row.
    Removed,
}

/// A row of `pgmill.task_attempt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PastAttempt {
    /// Its number.
    pub attempt: u8,
    /// Who released it.
    pub holder: Option<Holder>,
    /// How it ended.
    pub outcome: Outcome,
}

/// All rows about one task.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// The task itself.
    pub place: Place,
    /// Its attempts that did not succeed, in their order.
    pub past: Vec<PastAttempt>,
    /// What `task_gone` has of it: attempt and holder of each end that left no row, in their order.
    pub receipts: Vec<(u8, Option<Holder>)>,
    /// Whether its creation was sent a second time (`enqueue_resent`).
    pub resent: bool,
}

impl Entry {
    /// A task that nobody has created.
    pub fn new() -> Self {
        Self { place: Place::Nowhere, past: Vec::new(), receipts: Vec::new(), resent: false }
    }

    /// Its row, while it lives.
    pub fn row(&self) -> Option<&Row> {
        match &self.place {
            Place::Live(row) => Some(row),
            _ => None,
        }
    }
}

impl Default for Entry {
    fn default() -> Self {
        Self::new()
    }
}

/// How many tasks the counters have in each status.
pub type Counts = [i8; 7];

/// What the tables have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tables {
    /// The tasks.
    pub entries: Vec<Entry>,
    /// The retries by an operator that took effect (`enqueue_resent`), in ascending order.
    pub flights: Vec<i64>,
    /// `task_count`.
    pub folded: Counts,
    /// The sums of `task_count_delta`.
    pub changes: Counts,
}

impl Tables {
    /// Empty tables with room for so many tasks.
    pub fn new(tasks: usize) -> Self {
        Self { entries: vec![Entry::new(); tasks], flights: Vec::new(), folded: [0; 7], changes: [0; 7] }
    }

    /// What the counters say.
    pub fn counted(&self) -> Counts {
        std::array::from_fn(|status| self.folded[status] + self.changes[status])
    }

    /// What they ought to say.
    pub fn recount(&self) -> Counts {
        let mut counts = [0; 7];
        for entry in &self.entries {
            match &entry.place {
                Place::Live(row) => counts[row.status() as usize] += 1,
                Place::Finished(finished) => counts[finished.status as usize] += 1,
                Place::Nowhere | Place::Removed => {}
            }
        }
        counts
    }

    pub(crate) fn count(&mut self, status: Status, by: i8) {
        self.changes[status as usize] += by;
    }
}
