//! What there is to watch, told without reading the backlog.

use std::time::Duration;

use pgmill_schema::{Namespace, QueueName};

use crate::error::StoreError;
use crate::row::Reader;
use crate::statement::{DATABASE_HEALTH, OLDEST_WAITING};
use crate::store::Store;

/// What holds back VACUUM, and how many connections there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerHealth {
    /// How many transactions ago the oldest snapshot was taken that is still held, by a session, a prepared transaction or a
    /// replication slot. Rows that died since cannot be removed. 0 if none is held.
    pub oldest_xmin: u64,
    /// How long ago the oldest of them began; slots do not tell.
    pub oldest_transaction: Duration,
    /// The connections to the server, of all databases.
    pub connections: u64,
    /// How many there may be, without those that are reserved.
    pub connections_allowed: u64,
}

/// How many due tasks of a queue and priority are passed over on the way to the first that nobody holds.
pub(crate) const REACH: i32 = 20_000;

impl Store {
    /// For how long the oldest task that could be retained has been due, in each queue of the namespace that has one, by
    /// queue. Of each priority, no more than 20,000 retained tasks are passed over on the way to it.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn oldest_waiting(
        &self,
        namespace: &Namespace,
    ) -> Result<Vec<(QueueName, Duration)>, StoreError> {
        let rows = self.look_up(&OLDEST_WAITING, &[&namespace.as_str(), &REACH]).await?;
        let read = |row: Reader<'_>| Ok((row.queue_name()?, Duration::from_micros(row.count("waited")?)));
        rows.iter().map(Reader::of).map(read).collect()
    }

    /// What holds back VACUUM in this database, and how many connections the server has.
    ///
    /// Of sessions of other roles only a member of `pg_read_all_stats` sees what they hold.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn database_health(&self) -> Result<ServerHealth, StoreError> {
        let rows = self.look_up(&DATABASE_HEALTH, &[]).await?;
        let row = rows.first().ok_or_else(|| StoreError::unexpected("database_health answered nothing"))?;
        let row = Reader::of(row);
        Ok(ServerHealth {
            oldest_xmin: row.count("oldest_xmin")?,
            oldest_transaction: Duration::from_micros(row.count("oldest_transaction")?),
            connections: row.count("connections")?,
            connections_allowed: row.count("connections_allowed")?,
        })
    }
}
