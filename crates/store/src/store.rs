//! The handle that everything in this crate hangs on.

use std::fmt;
use std::time::Duration;

use deadpool_postgres::Pool;
use tokio_postgres::Row;

use crate::abandoned::Canceller;
use crate::connect::{ConnectError, ConnectOptions};
use crate::error::StoreError;
use crate::reserved::Reserved;
use crate::session::{Limit, Params, Session};
use crate::statement::Statement;

/// How long a statement may take before its connection is closed and its outcome is unknown. Longer than the statement
/// timeout of a session (30 s), so that it is usually the server that ends a slow statement, with a known outcome.
const DEADLINE: Duration = Duration::from_secs(35);

/// PostgreSQL as pgmill sees it: one method for each statement in `sql/`.
///
/// Every method is one statement and so one transaction; [`copy_tasks`](Store::copy_tasks) alone is several in one
/// transaction. Cloning is cheap, and clones share the pool of connections.
#[derive(Clone)]
pub struct Store {
    pool: Pool,
    pooler: bool,
    deadline: Duration,
    canceller: Canceller,
}

impl Store {
    /// Makes a store with a pool of its own. No connection is opened yet.
    ///
    /// # Errors
    /// If the files of the TLS parameters are missing or of no use.
    pub fn open(options: &ConnectOptions) -> Result<Self, ConnectError> {
        let store = Self::from_pool(options.pool()?, options.is_pooler());
        Ok(Self { canceller: Canceller::of(options), ..store })
    }

    /// Makes a store on a pool that there is already. `pooler` tells that the pool leads to a pooler in transaction mode.
    ///
    /// The connections should have the session defaults that [`ConnectOptions::pool`] gives them.
    pub fn from_pool(pool: Pool, pooler: bool) -> Self {
        Self { pool, pooler, deadline: DEADLINE, canceller: Canceller::default() }
    }

    /// Sets how long a statement may take before its connection is closed. Default 35 s.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The pool of connections.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Whether statements are sent as a pooler in transaction mode needs them.
    pub fn is_pooler(&self) -> bool {
        self.pooler
    }

    /// A connection for oneself, beside the pool.
    pub fn reserve(&self) -> Reserved {
        Reserved::new(self.clone())
    }

    pub(crate) async fn session(&self) -> Result<Session, StoreError> {
        if self.pool.is_closed() {
            return Err(StoreError::closed());
        }
        Ok(Session::new(self.pool.get().await?, self.pooler))
    }

    pub(crate) async fn query(
        &self,
        statement: &Statement,
        params: &Params<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        self.session().await?.query(statement, params, self.deadline).await
    }

    /// As [`query`](Self::query), for a statement that changes nothing or the same again: sent a second time where the
    /// first was lost with its connection, as it is for every connection of a server that was restarted.
    pub(crate) async fn query_again(
        &self,
        statement: &Statement,
        params: &Params<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        match self.query(statement, params).await {
            Err(StoreError::Lost(_)) => self.query(statement, params).await,
            answer => answer,
        }
    }

    /// As [`query_again`](Self::query_again), for a statement that changes nothing. If its caller goes away, it is not run
    /// to its end for nobody.
    pub(crate) async fn look_up(
        &self,
        statement: &Statement,
        params: &Params<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        match self.look_up_once(statement, params).await {
            Err(StoreError::Lost(_)) => self.look_up_once(statement, params).await,
            answer => answer,
        }
    }

    async fn look_up_once(&self, statement: &Statement, params: &Params<'_>) -> Result<Vec<Row>, StoreError> {
        let session = self.session().await?;
        session.look_up(statement, params, Limit::Session(self.deadline), &self.canceller).await
    }

    /// As [`look_up`](Self::look_up), but once, and the server may be at it for so long, rather than for 30 s.
    pub(crate) async fn look_up_within(
        &self,
        statement: &Statement,
        params: &Params<'_>,
        limit: Duration,
    ) -> Result<Vec<Row>, StoreError> {
        self.session().await?.look_up(statement, params, Limit::Own(limit), &self.canceller).await
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("pooler", &self.pooler).field("status", &self.pool.status()).finish()
    }
}
