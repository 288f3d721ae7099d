//! What the checks of a database look at: one method and one statement for each subject. What to think of it is the business of
//! whoever asks.

mod drift;
mod facts;

use std::time::Duration;

use crate::error::StoreError;
use crate::migrate;
use crate::monitor::REACH;
use crate::row::Reader;
use crate::statement::{
    CHECK_COUNTS, CHECK_HOLDERS, CHECK_JOBS, CHECK_MIGRATIONS, CHECK_PARTITIONS, CHECK_PRIVILEGES,
    CHECK_QUEUES, CHECK_SCHEMA, CHECK_SERVER, CHECK_VACUUM, Statement,
};
use crate::store::Store;

pub use drift::Drift;
pub use facts::{
    DayHorizon, Holder, JobState, Lack, MigrationState, Miscount, OddMigration, QueueState, ServerFacts,
    TableState,
};

/// At how many due tasks of a queue and priority a look at leases is taken.
const SCAN: i32 = 500;

impl Store {
    /// What the server is, and how it is set up.
    ///
    /// # Errors
    /// Those of any statement, as of all that follow here.
    pub async fn check_server(&self) -> Result<ServerFacts, StoreError> {
        let facts = self.check(&CHECK_SERVER, server_facts).await?;
        facts.into_iter().next().ok_or_else(|| StoreError::unexpected("check_server answered nothing"))
    }

    /// What the role may not do and pgmill has to, what is essential first.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn check_privileges(&self) -> Result<Vec<Lack>, StoreError> {
        let read =
            |row: &Reader<'_>| Ok(Lack { privilege: row.get("lacks")?, essential: row.get("essential")? });
        self.check(&CHECK_PRIVILEGES, read).await
    }

    /// How the schema differs from what this version makes; what is missing first.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn check_schema(&self) -> Result<Vec<Drift>, StoreError> {
        let found = self.check(&CHECK_SCHEMA, drift::object).await?;
        Ok(drift::from_expected(&found.into_iter().collect()))
    }

    /// The migrations that are not as this version has them.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn check_migrations(&self) -> Result<Vec<OddMigration>, StoreError> {
        let (versions, names, texts) = migrate::steps::all();
        let rows = self.look_up(&CHECK_MIGRATIONS, &[&versions, &names, &texts]).await?;
        let read = |row: Reader<'_>| {
            let name = row.get("name")?;
            let state = match row.get("state")? {
                0_i16 => MigrationState::Missing,
                1 => MigrationState::Newer,
                _ => MigrationState::Changed,
            };
            Ok(OddMigration { name, state })
        };
        rows.iter().map(Reader::of).map(read).collect()
    }

    /// How far VACUUM is behind in each table, where most is dead first.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn check_vacuum(&self) -> Result<Vec<TableState>, StoreError> {
        let read = |row: &Reader<'_>| {
            Ok(TableState {
                name: row.get("name")?,
                live: row.count("live")?,
                dead: row.count("dead")?,
                trigger: row.count("trigger")?,
                vacuumed: since(row, "since")?,
                enabled: row.get("enabled")?,
            })
        };
        self.check(&CHECK_VACUUM, read).await
    }

    /// Who holds back VACUUM in this database, those first that hold back most transactions, ten at most.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn check_holders(&self) -> Result<Vec<Holder>, StoreError> {
        let read = |row: &Reader<'_>| {
            Ok(Holder {
                kind: row.get("kind")?,
                pid: row.get("pid")?,
                who: row.get("who")?,
                query: row.get("query")?,
                xids: row.count("xids")?,
                held: since(row, "held")?,
            })
        };
        self.check(&CHECK_HOLDERS, read).await
    }

    /// How far ahead the days of history are made.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn check_partitions(&self) -> Result<Vec<DayHorizon>, StoreError> {
        let read = |row: &Reader<'_>| Ok(DayHorizon { table: row.get("name")?, days: row.unsigned("days")? });
        self.check(&CHECK_PARTITIONS, read).await
    }

    /// How long the jobs of maintenance have been due.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn check_jobs(&self) -> Result<Vec<JobState>, StoreError> {
        let read = |row: &Reader<'_>| {
            let every = Duration::from_micros(row.count("every")?);
            Ok(JobState {
                name: row.get("name")?,
                every,
                overdue: Duration::from_micros(row.count("overdue")?),
            })
        };
        self.check(&CHECK_JOBS, read).await
    }

    /// Every queue of all namespaces. What that costs does not depend on how many tasks there are.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn check_queues(&self) -> Result<Vec<QueueState>, StoreError> {
        let rows = self.look_up(&CHECK_QUEUES, &[&SCAN, &REACH]).await?;
        rows.iter().map(Reader::of).map(|row| queue_state(&row)).collect()
    }

    /// Where the counters are not what the tables hold. Reads every task and all history, for which the server has `limit` rather
    /// than the 30 s of other statements.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn check_counts(&self, limit: Duration) -> Result<Vec<Miscount>, StoreError> {
        let rows = self.look_up_within(&CHECK_COUNTS, &[], limit).await?;
        let read = |row: Reader<'_>| {
            let (queue, counted, held) = (row.get("name")?, row.get("counted")?, row.get("held")?);
            Ok(Miscount { queue, status: row.status()?, counted, held })
        };
        rows.iter().map(Reader::of).map(read).collect()
    }

    pub(crate) async fn check<T>(
        &self,
        statement: &Statement,
        read: impl Fn(&Reader<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        self.look_up(statement, &[]).await?.iter().map(|row| read(&Reader::of(row))).collect()
    }
}

fn server_facts(row: &Reader<'_>) -> Result<ServerFacts, StoreError> {
    let is_on = |column| Ok::<_, StoreError>(row.get::<Option<&str>>(column)? == Some("on"));
    let word = |column| Ok::<_, StoreError>(row.get::<Option<String>>(column)?.unwrap_or_default());
    let millis = |column| {
        let millis = row.get::<Option<i64>>(column)?.and_then(|millis| u64::try_from(millis).ok());
        Ok::<_, StoreError>(millis.filter(|millis| *millis > 0).map(Duration::from_millis))
    };
    Ok(ServerFacts {
        version: row.unsigned("version")?,
        version_name: row.get("version_name")?,
        in_recovery: row.get("in_recovery")?,
        clock: row.time("clock")?,
        notify_queue: row.get("notify_queue")?,
        frozen_age: row.count("frozen_age")?,
        multixact_age: row.count("multixact_age")?,
        connections: row.count("connections")?,
        connections_allowed: row.count("connections_allowed")?,
        sees_all: row.get("sees_all")?,
        isolation: word("isolation")?,
        read_only: is_on("read_only")?,
        synchronous_commit: word("synchronous_commit")?,
        fsync: is_on("fsync")?,
        full_page_writes: is_on("full_page_writes")?,
        autovacuum: is_on("autovacuum")?,
        track_counts: is_on("track_counts")?,
        idle_session: millis("idle_session")?,
        idle_in_transaction: millis("idle_in_transaction")?,
        whole_transaction: millis("whole_transaction")?,
    })
}

fn queue_state(row: &Reader<'_>) -> Result<QueueState, StoreError> {
    Ok(QueueState {
        name: format!("{}/{}", row.get::<&str>("ns")?, row.get::<&str>("queue")?),
        live: row.count("live")?,
        done: row.count("done")?,
        failed: row.count("failed")?,
        seen: row.get("seen")?,
        paused: since(row, "paused")?,
        waited: since(row, "waited")?,
        lapsed: since(row, "lapsed")?,
        lapses: row.count("lapses")?,
        held: row.get("held")?,
        asked: row.get("asked")?,
        ticked: row.get("ticked")?,
        keeps: row.get("keeps")?,
    })
}

/// A duration that a row may have, in microseconds; one before its time is none.
fn since(row: &Reader<'_>, column: &str) -> Result<Option<Duration>, StoreError> {
    let micros: Option<i64> = row.get(column)?;
    Ok(micros.map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0))))
}
