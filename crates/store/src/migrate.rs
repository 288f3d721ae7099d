//! Bringing a database to the schema this version works with.
//!
//! All that is missing is applied in one transaction, under an advisory transaction lock: processes that start at once
//! wait for one of them to migrate, and a failure on the way leaves the database as it was.

use tokio_postgres::Transaction;

use crate::error::StoreError;
use crate::row::Reader;
use crate::session::{Params, run};
use crate::statement::{MIGRATION_LIST, MIGRATION_LOCK, MIGRATION_RECORD, MIGRATION_SCHEMA};
use crate::store::Store;

/// One step of the schema.
struct Migration {
    version: i32,
    name: &'static str,
    /// The oldest version of pgmill that can work with the database after this step.
    min_binary: &'static str,
    sql: &'static str,
}

const RECORD: &str = include_str!("../migrations/0000_migration.sql");

macro_rules! migrations {
    ($($version:literal $name:literal $min_binary:literal;)*) => {
        &[$(Migration {
            version: $version,
            name: $name,
            min_binary: $min_binary,
            sql: include_str!(concat!("../migrations/", $name, ".sql")),
        }),*]
    };
}

const MIGRATIONS: &[Migration] = migrations! {
    1 "0001_tables" "0.1.0";
    2 "0002_ensure_partitions" "0.1.0";
    3 "0003_enqueue" "0.1.0";
    4 "0004_retain" "0.1.0";
    5 "0005_release" "0.1.0";
    6 "0006_extend" "0.1.0";
    7 "0007_create_task" "0.1.0";
    8 "0008_views" "0.1.0";
    9 "0009_maintenance" "0.1.0";
    10 "0010_delete_queue" "0.1.0";
    11 "0011_tickers" "0.1.0";
    12 "0012_jobs" "0.1.0";
    13 "0013_waiter" "0.1.0";
    14 "0014_tokens" "0.1.0";
    15 "0015_watcher" "0.1.0";
    16 "0016_interventions" "0.1.0";
    17 "0017_oldest_waiting" "0.1.0";
    18 "0018_release_done" "0.1.0";
    19 "0019_retain_one" "0.1.0";
    20 "0020_list_tasks" "0.1.0";
    21 "0021_check_queues" "0.1.0";
};

/// The versions, names and texts of all steps.
pub(crate) fn steps() -> (Vec<i32>, Vec<&'static str>, Vec<&'static str>) {
    let versions = MIGRATIONS.iter().map(|step| step.version).collect();
    let names = MIGRATIONS.iter().map(|step| step.name).collect();
    (versions, names, MIGRATIONS.iter().map(|step| step.sql).collect())
}

/// Why a database was not migrated. It is as it was before.
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

    /// There was no connection to be had, or a statement failed otherwise.
    #[error("the database could not be {}", if matches!(.0, StoreError::Unavailable(_)) { "reached" } else { "migrated" })]
    Store(#[from] StoreError),
}

impl MigrateError {
    /// Whether trying again later may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
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
}

impl<'a> Migrator<'a> {
    /// For the database of this store.
    pub fn new(store: &'a Store) -> Self {
        Self { store }
    }

    /// The names of the steps that are missing. The database is only read.
    ///
    /// # Errors
    /// [`MigrateError::TooOld`] if it was migrated by a later version that this one cannot work with;
    /// [`MigrateError::Store`] if there was no answer.
    pub async fn missing(&self) -> Result<Vec<&'static str>, MigrateError> {
        let mut session = self.store.session().await?;
        let transaction = session.connection.transaction().await.map_err(StoreError::from)?;
        let applied = applied(&transaction).await?;
        up_to_date(&applied)?;
        let missing =
            MIGRATIONS.iter().filter(|step| applied.iter().all(|(version, _)| *version != step.version));
        Ok(missing.map(|step| step.name).collect())
    }

    /// Applies what is missing. Safe to call from any number of processes at once, and at every start: a database that
    /// is up to date is only read.
    ///
    /// # Errors
    /// [`MigrateError`]. The database is then as it was.
    pub async fn run(&self) -> Result<Migrated, MigrateError> {
        let mut session = self.store.session().await?;
        let transaction = session.connection.transaction().await.map_err(StoreError::from)?;
        let applied = applied(&transaction).await?;
        if let Some(migrated) = up_to_date(&applied)? {
            return Ok(migrated);
        }
        run(&*transaction, &MIGRATION_LOCK, &[]).await?;
        transaction.batch_execute(RECORD).await.map_err(forbidden)?;
        let migrated = apply(&transaction).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        for name in &migrated.applied {
            tracing::info!(migration = name, "applied migration {name}");
        }
        Ok(migrated)
    }
}

/// What the record says: versions, and the oldest binary each allows.
async fn applied(transaction: &Transaction<'_>) -> Result<Vec<(i32, String)>, StoreError> {
    let rows = run(transaction, &MIGRATION_SCHEMA, &[]).await?;
    let exists: bool = rows.first().map_or(Ok(false), |row| Reader::of(row).get("recorded"))?;
    if !exists {
        return Ok(Vec::new());
    }
    let rows = run(transaction, &MIGRATION_LIST, &[]).await?;
    rows.iter().map(Reader::of).map(|row| Ok((row.get("version")?, row.get("min_binary")?))).collect()
}

fn up_to_date(applied: &[(i32, String)]) -> Result<Option<Migrated>, MigrateError> {
    let min_binary = applied.iter().map(|(_, min_binary)| min_binary).max_by_key(|text| version(text));
    if let Some(min_binary) = min_binary.filter(|text| version(text) > version(BINARY)) {
        return Err(MigrateError::TooOld { min_binary: min_binary.clone(), binary: BINARY });
    }
    let newest = applied.iter().map(|(version, _)| *version).max();
    let complete = MIGRATIONS.iter().all(|step| applied.iter().any(|(version, _)| *version == step.version));
    Ok(newest.filter(|_| complete).map(|to| Migrated { from: Some(to), to, applied: Vec::new() }))
}

async fn apply(transaction: &Transaction<'_>) -> Result<Migrated, MigrateError> {
    // Another process may have migrated while this one waited for the lock.
    let before = applied(transaction).await?;
    if let Some(migrated) = up_to_date(&before)? {
        return Ok(migrated);
    }
    let mut names = Vec::new();
    for step in MIGRATIONS.iter().filter(|step| before.iter().all(|(version, _)| *version != step.version)) {
        transaction.batch_execute(step.sql).await.map_err(StoreError::from)?;
        let record: &Params<'_> = &[&step.version, &step.name, &step.min_binary, &step.sql];
        run(transaction, &MIGRATION_RECORD, record).await?;
        names.push(step.name);
    }
    let from = before.iter().map(|(version, _)| *version).max();
    let to = MIGRATIONS.iter().map(|step| step.version).chain(from).max().unwrap_or(0);
    Ok(Migrated { from, to, applied: names })
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
