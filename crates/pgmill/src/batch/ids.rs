//! Task ids, reserved in blocks so that they are known before a statement is sent.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use pgmill_store::{Store, StoreError};

const FIRST_BLOCK: usize = 64;
const LARGEST_BLOCK: usize = 4_096;

/// The ids this process has reserved and not used. Blocks grow as they are used up, so that a busy process asks seldom
/// and an idle one leaves few behind.
pub(crate) struct Ids {
    store: Store,
    free: Mutex<VecDeque<i64>>,
    /// The size of the next block; held while a block is asked for, so that one caller asks for all.
    block: tokio::sync::Mutex<usize>,
}

impl Ids {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, free: Mutex::default(), block: tokio::sync::Mutex::new(FIRST_BLOCK) }
    }

    /// So many ids, in ascending order.
    pub(crate) async fn take(&self, count: usize) -> Result<Vec<i64>, StoreError> {
        loop {
            if let Some(ids) = self.take_free(count) {
                return Ok(ids);
            }
            let mut block = self.block.lock().await;
            if let Some(ids) = self.take_free(count) {
                return Ok(ids);
            }
            let wanted = i32::try_from(count.max(*block)).unwrap_or(i32::MAX);
            let reserved = self.store.reserve_ids(wanted).await?;
            self.free().extend(reserved);
            *block = (*block * 2).min(LARGEST_BLOCK);
        }
    }

    fn take_free(&self, count: usize) -> Option<Vec<i64>> {
        let mut free = self.free();
        (free.len() >= count).then(|| free.drain(..count).collect())
    }

    fn free(&self) -> std::sync::MutexGuard<'_, VecDeque<i64>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
