//! Making the days of the history tables.

use crate::error::StoreError;
use crate::row::Reader;
use crate::statement::ENSURE_PARTITIONS;
use crate::store::Store;

impl Store {
    /// Makes the partitions of the history tables up to `ahead` days from now, and returns how many were missing.
    ///
    /// # Errors
    /// Those of any statement; [`StoreError::Contended`] if a lock was not had within 50 ms.
    pub async fn ensure_partitions(&self, ahead: i32) -> Result<u32, StoreError> {
        let rows = self.query_again(&ENSURE_PARTITIONS, &[&ahead]).await?;
        rows.first().map_or(Ok(0), |row| Reader::of(row).unsigned("ensure_partitions_v1"))
    }
}
