//! Those who watch one namespace, filed by what they want, so that a change is held against the filters of those alone whom it
//! may be for: thousands may watch, each a task or a queue of its own.

use std::collections::{BTreeSet, HashMap};

use pgmill_schema::{EventFilter, QueueName, TaskEvent};

/// Values by number, each filed with the filter that goes with it: under its ids if it names any, or else under its queues,
/// or else under neither.
pub(super) struct Audience<T> {
    all: HashMap<u64, (EventFilter, T)>,
    by_id: HashMap<u64, BTreeSet<u64>>,
    by_queue: HashMap<QueueName, BTreeSet<u64>>,
    by_neither: BTreeSet<u64>,
}

impl<T> Default for Audience<T> {
    fn default() -> Self {
        Self {
            all: HashMap::new(),
            by_id: HashMap::new(),
            by_queue: HashMap::new(),
            by_neither: BTreeSet::new(),
        }
    }
}

impl<T> Audience<T> {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The number must be a new one.
    pub(super) fn insert(&mut self, number: u64, filter: EventFilter, value: T) {
        for id in &filter.ids {
            self.by_id.entry(*id).or_default().insert(number);
        }
        if filter.ids.is_empty() {
            for queue in &filter.queues {
                self.by_queue.entry(queue.clone()).or_default().insert(number);
            }
            if filter.queues.is_empty() {
                self.by_neither.insert(number);
            }
        }
        self.all.insert(number, (filter, value));
    }

    pub(super) fn remove(&mut self, number: u64) {
        let Some((filter, _)) = self.all.remove(&number) else { return };
        for id in &filter.ids {
            unfile(&mut self.by_id, id, number);
        }
        for queue in &filter.queues {
            unfile(&mut self.by_queue, queue, number);
        }
        self.by_neither.remove(&number);
    }

    /// Those whom a change is for, or all.
    pub(super) fn numbers(&self, change: Option<&TaskEvent>) -> Vec<u64> {
        let Some(change) = change else { return self.all.keys().copied().collect() };
        let filed = [self.by_id.get(&change.id), self.by_queue.get(&change.queue), Some(&self.by_neither)];
        let wants = |number: &u64| self.all.get(number).is_some_and(|(filter, _)| filter.matches(change));
        filed.into_iter().flatten().flatten().copied().filter(wants).collect()
    }

    pub(super) fn get(&self, number: u64) -> Option<&T> {
        self.all.get(&number).map(|(_, value)| value)
    }
}

fn unfile<K: std::hash::Hash + Eq>(files: &mut HashMap<K, BTreeSet<u64>>, key: &K, number: u64) {
    if let Some(numbers) = files.get_mut(key) {
        numbers.remove(&number);
        if numbers.is_empty() {
            files.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use pgmill_schema::{Namespace, Status};

    use super::*;

    fn queue(name: &str) -> QueueName {
        QueueName::new(name).unwrap()
    }

    fn change(id: u64, name: &str, status: Status) -> TaskEvent {
        TaskEvent {
            id,
            namespace: Namespace::new("app").unwrap(),
            queue: queue(name),
            status,
            attempt: 0,
            worker: None,
            at: Timestamp::UNIX_EPOCH,
        }
    }

    fn filters() -> Vec<EventFilter> {
        let new = EventFilter::new;
        vec![
            new(),
            new().status(Status::Failed),
            new().queue(queue("a")),
            new().queue(queue("a")).queue(queue("b")).queue(queue("a")).status(Status::New),
            new().id(1),
            new().id(1).id(2).id(1).queue(queue("b")),
        ]
    }

    #[test]
    fn those_whom_a_change_is_for_are_those_whose_filter_it_matches_each_once() {
        let mut audience = Audience::default();
        for (number, filter) in (0..).zip(filters()) {
            audience.insert(number, filter, ());
        }
        for (id, name, status) in
            [(1, "a", Status::New), (2, "b", Status::New), (3, "b", Status::Failed), (3, "c", Status::New)]
        {
            let change = change(id, name, status);
            let mut found = audience.numbers(Some(&change));
            found.sort_unstable();
            let expected: Vec<u64> =
                (0..).zip(filters()).filter(|(_, filter)| filter.matches(&change)).map(|it| it.0).collect();
            assert_eq!(found, expected, "{change:?}");
        }
        assert_eq!(audience.numbers(None).len(), 6);
    }

    #[test]
    fn who_leaves_leaves_nothing_behind() {
        let mut audience = Audience::default();
        for (number, filter) in (0..).zip(filters()) {
            audience.insert(number, filter, ());
        }
        (0..6).for_each(|number| audience.remove(number));
        assert!(audience.is_empty() && audience.by_id.is_empty());
        assert!(audience.by_queue.is_empty() && audience.by_neither.is_empty());
    }
}
