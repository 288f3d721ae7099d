//! Handles that each queue has of its own.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use pgmill_schema::{Namespace, QueueName};

/// Made when a queue is met for the first time, and kept: a look-up is all that a task costs. There are as many as queues
/// in which tasks were met.
#[derive(Debug)]
pub(super) struct ByQueue<T> {
    make: fn(&str, &str) -> T,
    known: RwLock<HashMap<Namespace, HashMap<QueueName, Arc<T>>>>,
    /// The one that was met last, which mostly is the next one too: to compare two names takes a tenth of hashing them.
    last: RwLock<Option<(Namespace, QueueName, Arc<T>)>>,
}

impl<T> ByQueue<T> {
    /// With how to make the handles of a queue, by namespace and name.
    pub(super) fn new(make: fn(&str, &str) -> T) -> Self {
        Self { make, known: RwLock::default(), last: RwLock::new(None) }
    }

    pub(super) fn of(&self, namespace: &Namespace, queue: &QueueName) -> Arc<T> {
        if let Some((last_namespace, last_queue, found)) =
            &*self.last.read().unwrap_or_else(PoisonError::into_inner)
            && last_queue == queue
            && last_namespace == namespace
        {
            return Arc::clone(found);
        }
        let found = self.find(namespace, queue);
        // Whoever else looks has no reason to wait for this.
        if let Ok(mut last) = self.last.try_write() {
            *last = Some((namespace.clone(), queue.clone(), Arc::clone(&found)));
        }
        found
    }

    fn find(&self, namespace: &Namespace, queue: &QueueName) -> Arc<T> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(namespace).and_then(|queues| queues.get(queue)) {
            return Arc::clone(found);
        }
        drop(known);
        // Outside of the lock, for a recorder may do whatever it likes. Made twice, both are the same to it.
        let made = Arc::new((self.make)(namespace.as_str(), queue.as_str()));
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(namespace.clone()).or_default().entry(queue.clone()).or_insert(made))
    }
}
