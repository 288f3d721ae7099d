//! How many different things may be asked for at a time, where each costs something for as long as somebody asks for it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::ApiError;

/// Things that are asked for, of which there may be so many. How many ask for the same does not matter.
#[derive(Debug)]
pub(crate) struct Quota<K> {
    most: usize,
    asked: Arc<Mutex<HashMap<K, usize>>>,
}

/// That somebody asks for something, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share<K: Eq + Hash> {
    key: K,
    asked: Arc<Mutex<HashMap<K, usize>>>,
}

impl<K: Clone + Eq + Hash> Quota<K> {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, asked: Arc::default() }
    }

    /// # Errors
    /// 503 if it would be one too many.
    pub(crate) fn take(&self, key: &K) -> Result<Share<K>, ApiError> {
        let mut asked = lock(&self.asked);
        if asked.len() >= self.most && !asked.contains_key(key) {
            return Err(ApiError::too_many_waits());
        }
        *asked.entry(key.clone()).or_default() += 1;
        Ok(Share { key: key.clone(), asked: Arc::clone(&self.asked) })
    }
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut asked = lock(&self.asked);
        let Some(count) = asked.get_mut(&self.key) else { return };
        *count -= 1;
        if *count == 0 {
            asked.remove(&self.key);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_different_ones_and_each_as_often_as_somebody_likes() {
        let quota = Quota::new(2);
        let (a, again, b) = (quota.take(&"a").unwrap(), quota.take(&"a").unwrap(), quota.take(&"b").unwrap());
        assert!(quota.take(&"c").is_err());
        drop(a);
        assert!(quota.take(&"c").is_err(), "somebody asks for it still");
        drop(again);
        let c = quota.take(&"c").unwrap();
        drop((b, c));
        assert!(lock(&quota.asked).is_empty());
    }
}
