//! The audit: who changed what.

use pgmill_schema::{AuditEntry, AuditFilter, AuditMeta, Json, List, Namespace};
use tokio_postgres::types::ToSql;

use crate::error::StoreError;
use crate::queues::{limit, offset};
use crate::row::{Reader, corrupt, page};
use crate::statement::{LIST_AUDIT, PRUNE_AUDIT, RECORD_AUDIT};
use crate::store::Store;

impl Store {
    /// Records what was done, and returns the number of the entry. `meta` must be valid.
    ///
    /// It is sent again if the connection was lost meanwhile: better that an entry is there twice than not at all.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn record_audit(&self, meta: &AuditMeta) -> Result<u64, StoreError> {
        let token_id = meta.token_id.map(|id| i64::try_from(id).unwrap_or(i64::MAX));
        let namespace = meta.namespace.as_ref().map(Namespace::as_str);
        let detail = meta.detail.as_ref().map(Json::as_str);
        let params: [&(dyn ToSql + Sync); 7] =
            [&meta.actor, &token_id, &namespace, &meta.action, &meta.target, &meta.request_id, &detail];
        let rows = self.query_again(&RECORD_AUDIT, &params).await?;
        let row = rows.first().ok_or_else(|| StoreError::unexpected("record_audit answered nothing"))?;
        Reader::of(row).id()
    }

    /// What was recorded within the last 90 days, newest first.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn list_audit(&self, filter: &AuditFilter) -> Result<List<AuditEntry>, StoreError> {
        let (offset, limit) = (offset(&filter.page), limit(&filter.page));
        let rows = self.look_up(&LIST_AUDIT, &[&filter.action, &filter.target, &offset, &limit]).await?;
        page(&rows, entry)
    }

    /// Deletes up to `limit` entries that are older than 90 days. Returns how many there were.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn prune_audit(&self, limit: i32) -> Result<u64, StoreError> {
        let rows = self.query_again(&PRUNE_AUDIT, &[&limit]).await?;
        rows.first().map_or(Ok(0), |row| Reader::of(row).count("pruned"))
    }
}

/// A row of `audit`.
fn entry(row: &Reader<'_>) -> Result<AuditEntry, StoreError> {
    let token_id: Option<i64> = row.get("token_id")?;
    let namespace: Option<&str> = row.get("ns")?;
    let unsigned = |id: i64| u64::try_from(id).map_err(|_| corrupt("token_id", id));
    Ok(AuditEntry {
        id: row.id()?,
        at: row.get("at")?,
        actor: row.get("actor")?,
        token_id: token_id.map(unsigned).transpose()?,
        namespace: namespace.map(Namespace::from_stored).transpose().map_err(|_| corrupt("ns", namespace))?,
        action: row.get("action")?,
        target: row.get("target")?,
        request_id: row.get("request_id")?,
        detail: row.json("detail")?,
    })
}
