//! What a [`Manager`] tells whoever watches over it.

use std::time::Duration;

use pgmill_schema::QueueName;
use pgmill_store::{MigrateError, Migrator};

use crate::error::QueueError;
use crate::manager::Manager;

/// How the database is, as far as it concerns pgmill.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatabaseHealth {
    /// The migrations that are missing: none if the database is up to date. Where some are, this program must not be used yet.
    pub missing_migrations: Vec<&'static str>,
    /// How many transactions ago the oldest snapshot was taken that is still held, by a session of this database, a standby, a
    /// prepared transaction or a replication slot. Rows that died since cannot be removed, and claims become slow after
    /// hundreds of thousands of them. 0 if none is held.
    pub oldest_xmin: u64,
    /// How long ago the oldest of these transactions began; replication slots do not tell.
    pub oldest_transaction: Duration,
    /// The connections to the server, of all databases and programs.
    pub connections: u64,
    /// How many there may be, without those that are reserved for superusers.
    pub connections_allowed: u64,
}

/// How a manager's pool of connections is used, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolUsage {
    /// How many connections it may have.
    pub allowed: usize,
    /// How many it has.
    pub open: usize,
    /// How many of them are in use.
    pub in_use: usize,
    /// How many calls wait for one.
    pub waiting: usize,
}

impl Manager {
    /// For how long the oldest task that waits has been due, in each queue of the namespace that has one, by queue.
    ///
    /// A task waits if a worker could have it now, or could if its queue were not paused: it is due, has not expired, has
    /// attempts left, and is not retained, or its lease has lapsed. What that costs does not depend on how many tasks there
    /// are, but on how many are retained before the first that waits: 20,000 of a queue and priority are passed over at most, and
    /// what waits behind more of them is left out.
    ///
    /// # Errors
    /// If the database fails.
    ///
    /// ```no_run
    /// # async fn example(manager: pgmill::Manager) -> Result<(), pgmill::QueueError> {
    /// for (queue, waited) in manager.oldest_waiting().await? {
    ///     println!("{queue}: {waited:?}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn oldest_waiting(&self) -> Result<Vec<(QueueName, Duration)>, QueueError> {
        Ok(self.shared.store.oldest_waiting(&self.namespace).await?)
    }

    /// How the database is: whether it is migrated, what holds back VACUUM, and how many connections it has.
    ///
    /// What sessions of other roles hold is seen only by a role that is a member of `pg_read_all_stats`, or a superuser.
    ///
    /// # Errors
    /// [`MigrateError::TooOld`] if the database is too new for this program; otherwise if the database fails, and a transient
    /// error if it cannot be reached.
    ///
    /// ```no_run
    /// # async fn example(manager: pgmill::Manager) -> Result<(), pgmill::MigrateError> {
    /// let health = manager.database_health().await?;
    /// let is_ready = health.missing_migrations.is_empty();
    /// # Ok(())
    /// # }
    /// ```
    pub async fn database_health(&self) -> Result<DatabaseHealth, MigrateError> {
        let missing_migrations = Migrator::new(&self.shared.store).missing().await?;
        let server = self.shared.store.database_health().await?;
        Ok(DatabaseHealth {
            missing_migrations,
            oldest_xmin: server.oldest_xmin,
            oldest_transaction: server.oldest_transaction,
            connections: server.connections,
            connections_allowed: server.connections_allowed,
        })
    }

    /// How this manager's connections are used now. Nothing is asked of the database. Connections beside the pool, such as
    /// the one that listens and those that extend leases, are not among them.
    #[must_use]
    pub fn pool_usage(&self) -> PoolUsage {
        let status = self.pool().status();
        PoolUsage {
            allowed: status.max_size,
            open: status.size,
            in_use: status.size.saturating_sub(status.available),
            waiting: status.waiting,
        }
    }
}
