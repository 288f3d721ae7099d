//! A connection that is kept for what must not wait until others give theirs back.

use std::fmt;
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Object};
use jiff::Timestamp;
use pgmill_schema::{Claim, Namespace};
use tokio::time::timeout;

use crate::error::StoreError;
use crate::release::Extension;
use crate::session::query_on;
use crate::statement::EXTEND;
use crate::store::Store;

/// A connection taken out of the pool for good, made by [`Store::reserve`]. The pool may open another in its place, so that
/// one more is open than the pool may have. When it breaks, the next call takes another one.
pub struct Reserved {
    store: Store,
    connection: Option<ClientWrapper>,
}

impl Reserved {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, connection: None }
    }

    /// Takes the connection out of the pool, unless it is there already.
    ///
    /// # Errors
    /// If none can be had.
    pub async fn connect(&mut self) -> Result<(), StoreError> {
        if self.connection.as_ref().is_none_or(|connection| connection.is_closed()) {
            self.connection = Some(Object::take(self.store.session().await?.connection));
        }
        Ok(())
    }

    /// As [`Store::extend`], within so much time, which includes that for another connection.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn extend(
        &mut self,
        namespace: &Namespace,
        leases: &[(Claim, Option<i64>)],
        deadline: Duration,
    ) -> Result<Vec<Option<Timestamp>>, StoreError> {
        let extension = Extension::of(leases);
        let rows = timeout(deadline, async {
            self.connect().await?;
            // Back in its place only after the answer: nobody is to use one on which an answer is still due.
            let connection = self.connection.take().ok_or_else(StoreError::closed)?;
            let namespace = namespace.as_str();
            let params = extension.params(&namespace);
            let rows = query_on(&connection, self.store.is_pooler(), &EXTEND, &params).await?;
            self.connection = Some(connection);
            Ok(rows)
        })
        .await
        .unwrap_or_else(|_| Err(StoreError::deadline()))?;
        extension.read(&rows)
    }
}

impl fmt::Debug for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserved").field("store", &self.store).finish_non_exhaustive()
    }
}
