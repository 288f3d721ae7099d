//! One connection for one statement.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Object};
use futures_util::future;
use tokio::time::timeout;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{GenericClient, Row};

use crate::abandoned::Canceller;
use crate::error::StoreError;
use crate::statement::{POOLER_BEGIN, POOLER_COMMIT, Statement};

pub(crate) type Params<'a> = [&'a (dyn ToSql + Sync)];

/// A connection out of the pool. A statement that misses its deadline takes its connection with it: nobody else gets
/// one on which an answer is still due.
pub(crate) struct Session {
    pub(crate) connection: Object,
    pooler: bool,
}

impl Session {
    pub(crate) fn new(connection: Object, pooler: bool) -> Self {
        Self { connection, pooler }
    }

    /// Runs a statement in a transaction of its own, and returns its rows once it is committed.
    ///
    /// Directly, it is a prepared statement. Behind a pooler it goes unnamed, between BEGIN and COMMIT, all three sent
    /// before the first answer is awaited: one round trip. They are on their way at the first poll, so that a caller
    /// that goes away leaves no transaction open.
    pub(crate) async fn query(
        self,
        statement: &Statement,
        params: &Params<'_>,
        deadline: Duration,
    ) -> Result<Vec<Row>, StoreError> {
        let answer = query_on(&self.connection, self.pooler, statement, params);
        let Ok(rows) = timeout(deadline, answer).await else {
            drop(Object::take(self.connection));
            return Err(StoreError::deadline());
        };
        rows
    }

    /// As [`query`](Self::query), for a statement that changes nothing and that nobody needs once its caller is gone.
    pub(crate) async fn look_up(
        self,
        statement: &Statement,
        params: &Params<'_>,
        deadline: Duration,
        canceller: &Canceller,
    ) -> Result<Vec<Row>, StoreError> {
        let connection = Arc::new(self.connection);
        // Dropped first, of the two.
        let guard = canceller.guard(&connection);
        let answer = timeout(deadline, query_on(&connection, self.pooler, statement, params)).await;
        guard.answered();
        let Ok(rows) = answer else {
            drop(Arc::into_inner(connection).map(Object::take));
            return Err(StoreError::deadline());
        };
        rows
    }
}

/// Runs a statement in a transaction of its own on a connection that is not given back after it.
pub(crate) async fn query_on(
    connection: &ClientWrapper,
    pooler: bool,
    statement: &Statement,
    params: &Params<'_>,
) -> Result<Vec<Row>, StoreError> {
    if pooler {
        return query_pooled(connection, statement, params).await;
    }
    let prepared = connection.prepare_typed_cached(statement.text, statement.types).await?;
    Ok(connection.query(&prepared, params).await?)
}

async fn query_pooled(
    connection: &ClientWrapper,
    statement: &Statement,
    params: &Params<'_>,
) -> Result<Vec<Row>, StoreError> {
    let typed: Vec<(&(dyn ToSql + Sync), Type)> =
        params.iter().copied().zip(statement.types.iter().cloned()).collect();
    let (begun, rows, committed) = future::join3(
        connection.batch_execute(POOLER_BEGIN),
        connection.query_typed(statement.text, &typed),
        connection.batch_execute(POOLER_COMMIT),
    )
    .await;
    begun?;
    let rows = rows?;
    committed?;
    Ok(rows)
}

/// Runs a statement on a connection, or in a transaction, that somebody else opened. Unnamed, so that it leaves nothing
/// behind on a connection which may lead through a pooler.
pub(crate) async fn run(
    client: &impl GenericClient,
    statement: &Statement,
    params: &Params<'_>,
) -> Result<Vec<Row>, StoreError> {
    let typed: Vec<_> = params.iter().copied().zip(statement.types.iter().cloned()).collect();
    Ok(client.query_typed(statement.text, &typed).await?)
}
