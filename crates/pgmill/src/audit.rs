//! What a [`Manager`] does with the audit.

use pgmill_schema::{AuditEntry, AuditFilter, AuditMeta, AuditMetaError, List, ListRequestError};
use pgmill_store::StoreError;

use crate::manager::Manager;

/// Why the audit could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// An entry that cannot be recorded.
    #[error(transparent)]
    Meta(#[from] AuditMetaError),
    /// A page beyond the largest number.
    #[error(transparent)]
    Page(#[from] ListRequestError),
    /// The database failed. If the connection was lost ([`StoreError::Lost`]), the entry may have been recorded.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AuditError {
    /// Whether trying again later may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
    }
}

impl Manager {
    /// Records that somebody changed something. To be called once that is done.
    ///
    /// The manager itself records nothing: who did it is known to its caller only. The server does so for what is done over
    /// HTTP, and the command line for what it does to tokens. Entries are kept for 90 days.
    ///
    /// # Errors
    /// [`AuditError::Meta`] says what is allowed.
    ///
    /// ```no_run
    /// # async fn example(manager: pgmill::Manager) -> Result<(), Box<dyn std::error::Error>> {
    /// use pgmill::AuditMeta;
    ///
    /// let queue = manager.pause_queue("emails").await?;
    /// let done = AuditMeta::new("alice", "pause_queue", queue.queue.as_str()).namespace(queue.namespace);
    /// manager.record_audit(done).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn record_audit(&self, meta: AuditMeta) -> Result<(), AuditError> {
        meta.validate()?;
        self.shared.store.record_audit(&meta).await?;
        Ok(())
    }

    /// What was recorded within the last 90 days, in all namespaces, newest first.
    ///
    /// # Errors
    /// If the page lies beyond 2^63, or the database fails.
    pub async fn list_audit(&self, filter: AuditFilter) -> Result<List<AuditEntry>, AuditError> {
        filter.page.validate()?;
        Ok(self.shared.store.list_audit(&filter).await?)
    }
}
