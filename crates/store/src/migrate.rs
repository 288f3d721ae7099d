//! Bringing a database to the schema this version works with.
//!
//! Each step is a transaction of its own, under an advisory transaction lock: processes that start at once take turns, and
//! a failure on the way, of whatever kind, leaves the steps before it, from which the next start goes on.
//!
//! ```text
//!   read the record ── nothing is missing ──▶ done, and nothing was locked
//!    │
//!    ▼   for each step that is missing
//!   BEGIN, lock, read the record again ── another process has applied it ──▶ next step
//!    │
//!    ├── applied, recorded, COMMIT ──▶ next step
//!    ├── a lock was not had within 100 ms: ROLLBACK, pause, again ── until the patience ends: Blocked, by whom
//!    └── cancelled, by an operator or by a limit that the step sets itself: Cancelled
//! ```
//!
//! The server may be at a step for as long as it takes, whatever limit the session has for statements.
//!
//! Workers go on meanwhile: a step that stands in line for a lock keeps all others out that come after it, and so stands
//! there for 100 ms at a time.

mod holder;
pub(crate) mod steps;
#[cfg(test)]
mod upgrades;

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_postgres::Transaction;

use crate::error::StoreError;
use crate::row::Reader;
use crate::session::{Params, run};
use crate::statement::{MIGRATION_BEGIN, MIGRATION_LIST, MIGRATION_LOCK, MIGRATION_RECORD, MIGRATION_SCHEMA};
use crate::store::Store;
use holder::Holders;
use steps::{MIGRATIONS, Migration, RECORD};

/// For how long a step is tried that others are in the way of.
const PATIENCE: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What a statement ends with that is cancelled, by somebody or by a limit of time.
const CANCELLED: &str = "57014";

/// Why a database was not brought up to date. Steps that were applied before the failure stay, and the next attempt goes on
/// from there; of the one that failed nothing stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// The database was migrated by a later version of pgmill, in a way this one cannot work with.
    #[error("the database needs pgmill {min_binary} or later, and this is {binary}: update this program")]
    TooOld {
        /// The oldest version that can work with the database.
        min_binary: String,
        /// This version.
        binary: &'static str,
    },

    /// The role may not create the schema `pgmill`.
    #[error(
        "the role may not create the schema pgmill: grant it CREATE on the database, or create the schema for it \
         with CREATE SCHEMA pgmill AUTHORIZATION its_name"
    )]
    Forbidden(#[source] StoreError),

    /// Others kept holding what a step needs a lock on. Older processes go on working.
    #[error(
        "migration {migration} did not get a lock that it needs, held by {holders}: end that session, or try again later"
    )]
    Blocked {
        /// The step.
        migration: &'static str,
        /// The sessions that hold locks on what is pgmill's, the longest first, as far as this role may see them.
        holders: String,
        /// What the last attempt ended with.
        #[source]
        source: Box<StoreError>,
    },

    /// Somebody cancelled a step, or it took longer than a limit that it sets itself. The sessions of migrations have no such
    /// limit.
    #[error(
        "migration {migration} was cancelled (SQLSTATE 57014), not kept waiting by a lock: somebody ended its statement. Nothing of it \
         is there, and the next start begins with it"
    )]
    Cancelled {
        /// The step.
        migration: &'static str,
        /// What it ended with.
        #[source]
        source: Box<StoreError>,
    },

    /// The database is not in UTF-8. It could not hold every text that a task may have, or could hold what cannot be read.
    #[error(
        "the database is encoded in {0}, and pgmill needs UTF8: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
    )]
    Encoding(String),

    /// There was no connection to be had, or a statement failed otherwise.
    #[error("the database could not be {}", if matches!(.0, StoreError::Unavailable(_)) { "reached" } else { "migrated" })]
    Store(#[from] StoreError),
}

impl MigrateError {
    /// Whether trying again later may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Blocked { .. } | Self::Cancelled { .. } => true,
            Self::TooOld { .. } | Self::Forbidden(_) | Self::Encoding(_) => false,
        }
    }
}

/// What a migration found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The version of the schema before; `None` if there was none.
    pub from: Option<i32>,
    /// The version of the schema now.
    pub to: i32,
    /// The names of the steps that were applied.
    pub applied: Vec<&'static str>,
}

/// Migrates a database.
#[derive(Debug)]
pub struct Migrator<'a> {
    store: &'a Store,
    steps: &'a [Migration],
    patience: Duration,
}

impl<'a> Migrator<'a> {
    /// For the database of this store.
    pub fn new(store: &'a Store) -> Self {
        Self { store, steps: MIGRATIONS, patience: PATIENCE }
    }

    /// The names of the steps that are missing. The database is only read.
    ///
    /// # Errors
    /// [`MigrateError::TooOld`] if it was migrated by a later version that this one cannot work with;
    /// [`MigrateError::Store`] if there was no answer.
    pub async fn missing(&self) -> Result<Vec<&'static str>, MigrateError> {
        let record = self.record().await?;
        record.check()?;
        Ok(self.steps.iter().filter(|step| !record.has(step)).map(|step| step.name).collect())
    }

    /// Applies what is missing, step by step. Safe to call from any number of processes at once, at every start, and while
    /// others work: a database that is up to date is only read.
    ///
    /// A step that does not get a lock within 100 ms is tried again, for a minute. Once it has its locks it may take as long as it
    /// takes: the limit of a session for statements does not hold for it.
    ///
    /// # Errors
    /// [`MigrateError`]. Steps that were applied before stay.
    pub async fn run(&self) -> Result<Migrated, MigrateError> {
        let before = self.record().await?;
        before.check()?;
        let mut applied = Vec::new();
        for step in self.steps.iter().filter(|step| !before.has(step)) {
            if self.apply(step).await? {
                tracing::info!(migration = step.name, "applied migration {}", step.name);
                applied.push(step.name);
            }
        }
        let from = before.newest();
        let to = self.steps.iter().map(|step| step.version).chain(from).max().unwrap_or(0);
        Ok(Migrated { from, to, applied })
    }

    async fn record(&self) -> Result<Record, MigrateError> {
        let mut session = self.store.session().await?;
        let transaction = session.reading().await?;
        Record::read(&transaction).await
    }

    /// Applies a step, unless another process has. Returns whether this one did.
    async fn apply(&self, step: &Migration) -> Result<bool, MigrateError> {
        let until = Instant::now() + self.patience;
        let mut pause = FIRST_PAUSE;
        loop {
            let source = match self.try_apply(step).await {
                Err(MigrateError::Store(error)) if error.sqlstate() == Some(CANCELLED) => {
                    return Err(MigrateError::Cancelled { migration: step.name, source: error.into() });
                }
                Err(MigrateError::Store(error @ StoreError::Contended(_))) => error,
                end => return end,
            };
            let holders = Holders::of(self.store).await.to_string();
            if Instant::now() + pause > until {
                return Err(MigrateError::Blocked { migration: step.name, holders, source: source.into() });
            }
            tracing::warn!(migration = step.name, holders, "migration {} waits for a lock", step.name);
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn try_apply(&self, step: &Migration) -> Result<bool, MigrateError> {
        let mut session = self.store.session().await?;
        let transaction = session.transaction().await?;
        transaction.batch_execute(MIGRATION_BEGIN).await.map_err(StoreError::from)?;
        run(&*transaction, &MIGRATION_LOCK, &[]).await?;
        // Before the record is looked at, for it locks it: the lock above does not make this session hear of a table that
        // another one has made meanwhile.
        transaction.batch_execute(RECORD).await.map_err(forbidden)?;
        // Another process may have migrated, and be a later version.
        let record = Record::read(&transaction).await?;
        record.check()?;
        if record.has(step) {
            return Ok(false);
        }
        transaction.batch_execute(step.sql).await.map_err(StoreError::from)?;
        let recorded: &Params<'_> = &[&step.version, &step.name, &step.min_binary, &step.sql];
        run(&*transaction, &MIGRATION_RECORD, recorded).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        Ok(true)
    }
}

/// What the database says was applied: versions, and the oldest binary each allows.
struct Record(Vec<(i32, String)>);

impl Record {
    async fn read(transaction: &Transaction<'_>) -> Result<Self, MigrateError> {
        let rows = run(transaction, &MIGRATION_SCHEMA, &[]).await?;
        let row = rows.first().map(Reader::of).ok_or_else(|| StoreError::unexpected("no answer"))?;
        let encoding: String = row.get("encoding")?;
        if encoding != "UTF8" {
            return Err(MigrateError::Encoding(encoding));
        }
        if !row.get::<bool>("recorded")? {
            return Ok(Self(Vec::new()));
        }
        let rows = run(transaction, &MIGRATION_LIST, &[]).await?;
        let rows = rows.iter().map(Reader::of);
        let rows = rows.map(|row| Ok((row.get("version")?, row.get("min_binary")?)));
        Ok(Self(rows.collect::<Result<_, StoreError>>()?))
    }

    fn has(&self, step: &Migration) -> bool {
        self.0.iter().any(|(version, _)| *version == step.version)
    }

    fn newest(&self) -> Option<i32> {
        self.0.iter().map(|(version, _)| *version).max()
    }

    /// Whether this version can work with the database.
    fn check(&self) -> Result<(), MigrateError> {
        let min_binary = self.0.iter().map(|(_, min_binary)| min_binary).max_by_key(|text| version(text));
        match min_binary.filter(|text| version(text) > version(BINARY)) {
            Some(min_binary) => Err(MigrateError::TooOld { min_binary: min_binary.clone(), binary: BINARY }),
            None => Ok(()),
        }
    }
}

const BINARY: &str = env!("CARGO_PKG_VERSION");

/// The three numbers of a version; what is not a number counts as 0.
fn version(text: &str) -> [u64; 3] {
    let mut numbers = text.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
    [(); 3].map(|()| numbers.next().unwrap_or(0))
}

fn forbidden(error: tokio_postgres::Error) -> MigrateError {
    let error = StoreError::from(error);
    match error.sqlstate() {
        Some("42501") => MigrateError::Forbidden(error),
        _ => MigrateError::Store(error),
    }
}
