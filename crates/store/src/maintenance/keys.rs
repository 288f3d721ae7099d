//! Forgetting idempotency keys, and which enqueues were sent again.

use crate::error::StoreError;
use crate::row::Reader;
use crate::statement::{PRUNE_KEYS, PRUNE_RESENT};
use crate::store::Store;

/// A place in the idempotency keys: those up to it have been looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyPlace {
    queue_id: i32,
    key: String,
}

impl Store {
    /// Looks at up to `scan` idempotency keys after `place` (`None`: from the first on), and deletes those that no task
    /// holds any longer. Returns how many there were, and where to go on; `None` at the end.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn prune_keys(
        &self,
        place: Option<KeyPlace>,
        scan: i32,
    ) -> Result<(u64, Option<KeyPlace>), StoreError> {
        let KeyPlace { queue_id, key } = place.unwrap_or_default();
        let rows = self.query_again(&PRUNE_KEYS, &[&queue_id, &key, &scan]).await?;
        let row = rows.first().ok_or_else(|| StoreError::unexpected("prune_keys answered nothing"))?;
        let row = Reader::of(row);
        let queue_id: Option<i32> = row.get("queue_id")?;
        let place = match queue_id {
            Some(queue_id) => Some(KeyPlace { queue_id, key: row.get("key")? }),
            None => None,
        };
        Ok((row.count("pruned")?, place))
    }

    /// Forgets which enqueue statements were sent again more than a day ago.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn prune_resent(&self) -> Result<(), StoreError> {
        self.query_again(&PRUNE_RESENT, &[]).await.map(drop)
    }
}
