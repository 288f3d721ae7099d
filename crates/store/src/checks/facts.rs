//! What is found, as it is told.

use std::time::Duration;

use jiff::Timestamp;
use pgmill_schema::Status;

/// What a server is, and how it is set up for this role and database.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerFacts {
    /// The version as a number: 150004 is 15.4.
    pub version: u32,
    /// The version as it is called.
    pub version_name: String,
    /// Whether it is a standby, which cannot be written to.
    pub in_recovery: bool,
    /// What its clock said when it answered.
    pub clock: Timestamp,
    /// How full the queue of notifications is, of 1.
    pub notify_queue: f64,
    /// How many transactions ago the oldest row was written that is not frozen.
    pub frozen_age: u64,
    /// The same in multixacts.
    pub multixact_age: u64,
    /// The connections to the server, of all databases.
    pub connections: u64,
    /// How many there may be, without those that are reserved.
    pub connections_allowed: u64,
    /// Whether this role sees what sessions of others hold.
    pub sees_all: bool,
    /// `default_transaction_isolation`, as all that follow for a session that sets nothing.
    pub isolation: String,
    /// Whether transactions are read-only unless they say otherwise.
    pub read_only: bool,
    /// `synchronous_commit`.
    pub synchronous_commit: String,
    /// Whether what is committed is forced to the disk.
    pub fsync: bool,
    /// Whether pages are written whole after a checkpoint.
    pub full_page_writes: bool,
    /// Whether VACUUM runs by itself.
    pub autovacuum: bool,
    /// Whether it is counted what VACUUM goes by.
    pub track_counts: bool,
    /// How long a session may do nothing; `None`: as long as it likes.
    pub idle_session: Option<Duration>,
    /// How long a transaction may do nothing.
    pub idle_in_transaction: Option<Duration>,
    /// How long a transaction may take.
    pub whole_transaction: Option<Duration>,
}

/// Something that the role may not do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lack {
    /// The privilege, and on what.
    pub privilege: String,
    /// Whether tasks need it; otherwise maintenance and management do.
    pub essential: bool,
}

/// A migration that is not as this version has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OddMigration {
    /// Its name.
    pub name: String,
    /// In which way.
    pub state: MigrationState,
}

/// What can be odd about a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MigrationState {
    /// It was not applied.
    Missing,
    /// A newer version applied it.
    Newer,
    /// It was applied with another text.
    Changed,
}

/// How far VACUUM is behind in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableState {
    /// Its name.
    pub name: String,
    /// Rows that are not dead, as far as the statistics know.
    pub live: u64,
    /// Rows that are dead.
    pub dead: u64,
    /// After how many dead ones VACUUM begins by itself.
    pub trigger: u64,
    /// How long ago it was vacuumed last; `None`: never since the statistics began.
    pub vacuumed: Option<Duration>,
    /// Whether VACUUM may run by itself.
    pub enabled: bool,
}

/// Somebody who holds back VACUUM.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// `session`, `standby`, `prepared transaction` or `replication slot`.
    pub kind: String,
    /// The process of the server that it is.
    pub pid: Option<i32>,
    /// The role, the program and the state; or the name of the transaction or the slot.
    pub who: String,
    /// The last statement of a session.
    pub query: Option<String>,
    /// For how many transactions.
    pub xids: u64,
    /// For how long; slots do not tell.
    pub held: Option<Duration>,
}

/// How far ahead the days of a history table are made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DayHorizon {
    /// The table.
    pub table: String,
    /// For how many days from today on without a gap, up to 60; 0: today is missing.
    pub days: u32,
}

/// A job of maintenance.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobState {
    /// Its name.
    pub name: String,
    /// How often it runs.
    pub every: Duration,
    /// For how long it has been due.
    pub overdue: Duration,
}

/// A counter that is not what the tables hold.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Miscount {
    /// The namespace and the name of the queue.
    pub queue: String,
    /// Of the tasks in this state, as it is stored.
    pub status: Status,
    /// How many there are by the counters.
    pub counted: i64,
    /// How many there are.
    pub held: i64,
}

/// A queue, as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueState {
    /// Its namespace and its name.
    pub name: String,
    /// Tasks that wait or run.
    pub live: u64,
    /// Tasks that were done yesterday or today.
    pub done: u64,
    /// Tasks that failed for good yesterday or today.
    pub failed: u64,
    /// Whether there is a task, or the history of one.
    pub seen: bool,
    /// For how long it has been paused.
    pub paused: Option<Duration>,
    /// For how long the oldest task has been due that a worker could have.
    pub waited: Option<Duration>,
    /// How long ago the first lease lapsed whose task has not been taken since.
    pub lapsed: Option<Duration>,
    /// How many there are of these, of those tasks that were looked at.
    pub lapses: u64,
    /// Whether a worker holds a task of it.
    pub held: bool,
    /// Whether a process waits for its tasks.
    pub asked: bool,
    /// Whether a ticker makes tasks in it.
    pub ticked: bool,
    /// Whether tasks that are done are kept for a while.
    pub keeps: bool,
}
