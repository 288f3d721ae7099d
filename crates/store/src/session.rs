//! One connection for one statement.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Object, Transaction};
use futures_util::future::{self, MaybeDone, maybe_done};
use tokio::time::timeout;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{GenericClient, IsolationLevel, Row};

use crate::abandoned::Canceller;
use crate::error::StoreError;
use crate::statement::{LOOK_LIMIT, POOLER_BEGIN, POOLER_BEGIN_READING, POOLER_COMMIT, Statement};

pub(crate) type Params<'a> = [&'a (dyn ToSql + Sync)];

/// The longest limit of a statement that the server knows, in milliseconds.
const LONGEST_LIMIT: u128 = i32::MAX as u128;
/// How long after its limit the server may take to say that a statement took too long.
const PATIENCE: Duration = Duration::from_secs(5);

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

    /// Opens a transaction for several statements. Read committed, whatever is the default of the session: who waits for a lock
    /// is to see what was committed meanwhile.
    pub(crate) async fn transaction(&mut self) -> Result<Transaction<'_>, StoreError> {
        let builder = self.connection.build_transaction();
        Ok(builder.isolation_level(IsolationLevel::ReadCommitted).read_only(false).start().await?)
    }

    /// As [`transaction`](Self::transaction), for statements that only read: a standby has no others.
    pub(crate) async fn reading(&mut self) -> Result<Transaction<'_>, StoreError> {
        let builder = self.connection.build_transaction();
        Ok(builder.isolation_level(IsolationLevel::ReadCommitted).read_only(true).start().await?)
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

    /// As [`query`](Self::query), for a statement that only reads and that nobody needs once its caller is gone.
    pub(crate) async fn look_up(
        self,
        statement: &Statement,
        params: &Params<'_>,
        limit: Limit,
        canceller: &Canceller,
    ) -> Result<Vec<Row>, StoreError> {
        let connection = Arc::new(self.connection);
        // Dropped first, of the two.
        let guard = canceller.guard(&connection);
        let asked = async {
            match limit {
                Limit::Own(limit) => query_within(&connection, statement, params, limit).await,
                Limit::Session(_) if self.pooler => {
                    query_between(&connection, POOLER_BEGIN_READING, statement, params).await
                }
                Limit::Session(_) => query_on(&connection, false, statement, params).await,
            }
        };
        let answer = timeout(limit.deadline(), asked).await;
        guard.answered();
        let Ok(rows) = answer else {
            close(connection);
            return Err(StoreError::deadline());
        };
        rows
    }
}

/// For how long a statement is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limit {
    /// By the server for as long as the session says, and by us for so long.
    Session(Duration),
    /// By the server for so long, whatever the session says.
    Own(Duration),
}

impl Limit {
    fn deadline(self) -> Duration {
        match self {
            Self::Session(deadline) => deadline,
            // It is the server that is to end it.
            Self::Own(limit) => limit.saturating_add(PATIENCE),
        }
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Vec<Row>, StoreError>> + Send>>;

/// A statement that was sent behind another one. Dropped, it may be run all the same, and nobody hears of its answer.
pub(crate) struct Behind(Pin<Box<MaybeDone<Answer>>>);

impl Behind {
    /// Waits for its answer.
    pub(crate) async fn answer(mut self) -> Result<Vec<Row>, StoreError> {
        self.0.as_mut().await;
        self.0
            .as_mut()
            .take_output()
            .unwrap_or_else(|| Err(StoreError::unexpected("an answer was taken twice")))
    }
}

impl Session {
    /// As [`query`](Self::query), with another statement right behind it: sent with the first one, and run when that is
    /// committed, or has failed. What the first one is answered is returned at once. Directly only: a pooler may have each
    /// of them run on another connection.
    pub(crate) async fn query_then(
        self,
        (first, params): (&Statement, &Params<'_>),
        (second, owned): (&Statement, Vec<Box<dyn ToSql + Sync + Send>>),
        deadline: Duration,
    ) -> Result<(Vec<Row>, Behind), StoreError> {
        let connection = Arc::new(self.connection);
        let prepared = connection.prepare_typed_cached(first.text, first.types);
        let Ok(prepared) = timeout(deadline, prepared).await else {
            close(connection);
            return Err(StoreError::deadline());
        };
        let first = prepared?;
        let below = Arc::clone(&connection);
        let (text, types) = (second.text, second.types);
        let answer: Answer = Box::pin(async move {
            let params: Vec<&(dyn ToSql + Sync)> = owned.iter().map(|param| &**param as _).collect();
            let answer = async {
                // Once for each connection, and behind the first statement as well, which it is not to keep waiting.
                let second = below.prepare_typed_cached(text, types).await?;
                below.query(&second, &params).await
            };
            match timeout(deadline, answer).await {
                Ok(rows) => Ok(rows?),
                Err(_) => {
                    close(below);
                    Err(StoreError::deadline())
                }
            }
        });
        let mut behind = Behind(Box::pin(maybe_done(answer)));
        let rows = {
            let mut rows = pin!(timeout(deadline, connection.query(&first, params)));
            let mut sent = false;
            poll_fn(|cx| {
                let rows = rows.as_mut().poll(cx);
                // A statement is sent when it is polled for the first time.
                if !std::mem::replace(&mut sent, true) {
                    let _ = behind.0.as_mut().poll(cx);
                }
                rows
            })
            .await
        };
        match rows {
            Ok(rows) => Ok((rows?, behind)),
            Err(_) => {
                drop(behind);
                close(connection);
                Err(StoreError::deadline())
            }
        }
    }
}

/// Closes a connection on which an answer is still due, unless another statement on it has still to find that out.
fn close(connection: Arc<Object>) {
    if let Some(connection) = Arc::into_inner(connection) {
        drop(Object::take(connection));
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
        return query_between(connection, POOLER_BEGIN, statement, params).await;
    }
    let prepared = connection.prepare_typed_cached(statement.text, statement.types).await?;
    Ok(connection.query(&prepared, params).await?)
}

/// Runs a statement between what opens a transaction and COMMIT.
async fn query_between(
    connection: &ClientWrapper,
    begin: &str,
    statement: &Statement,
    params: &Params<'_>,
) -> Result<Vec<Row>, StoreError> {
    let typed = typed(statement, params);
    let (begun, rows, committed) = future::join3(
        connection.batch_execute(begin),
        connection.query_typed(statement.text, &typed),
        connection.batch_execute(POOLER_COMMIT),
    )
    .await;
    begun?;
    let rows = rows?;
    committed?;
    Ok(rows)
}

/// The same with a limit of its own for the server.
async fn query_within(
    connection: &ClientWrapper,
    statement: &Statement,
    params: &Params<'_>,
    limit: Duration,
) -> Result<Vec<Row>, StoreError> {
    // 0 would be no limit.
    let millis = limit.as_millis().clamp(1, LONGEST_LIMIT).to_string();
    let (limit, typed) = (typed(&LOOK_LIMIT, &[&millis]), typed(statement, params));
    let (begun, limited, rows, committed) = future::join4(
        connection.batch_execute(POOLER_BEGIN_READING),
        connection.query_typed(LOOK_LIMIT.text, &limit),
        connection.query_typed(statement.text, &typed),
        connection.batch_execute(POOLER_COMMIT),
    )
    .await;
    begun?;
    limited?;
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
    Ok(client.query_typed(statement.text, &typed(statement, params)).await?)
}

/// The parameters, each with its type.
fn typed<'a>(statement: &Statement, params: &Params<'a>) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    params.iter().copied().zip(statement.types.iter().cloned()).collect()
}
