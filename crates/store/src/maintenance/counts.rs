//! Folding count changes into the counts.

use crate::error::StoreError;
use crate::row::Reader;
use crate::statement::{FOLD_COUNTS, ROTATE_COUNTS};
use crate::store::Store;

/// What a fold did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Folded {
    /// Changes that were folded into the counts.
    pub changes: u64,
    /// How many bytes the table of changes takes on disk, with what VACUUM has not removed.
    pub bytes: u64,
}

impl Store {
    /// Folds up to `limit` changes into the counts.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn fold_counts(&self, limit: i32) -> Result<Folded, StoreError> {
        let rows = self.query_again(&FOLD_COUNTS, &[&limit]).await?;
        let row = rows.first().ok_or_else(|| StoreError::unexpected("fold_counts answered nothing"))?;
        let row = Reader::of(row);
        Ok(Folded { changes: row.count("folded")?, bytes: row.count("bytes")? })
    }

    /// Folds all changes and begins their table anew. Returns how many there were.
    ///
    /// # Errors
    /// Those of any statement; [`StoreError::Contended`] if the table was not free within 50 ms, for a transaction that
    /// enqueued is still open. Nothing has changed then.
    pub async fn rotate_counts(&self) -> Result<u64, StoreError> {
        let rows = self.query_again(&ROTATE_COUNTS, &[]).await?;
        rows.first().map_or(Ok(0), |row| Reader::of(row).count("rotate_counts_v1"))
    }
}
