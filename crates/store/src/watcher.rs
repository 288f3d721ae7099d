//! Who watches tasks change, and what they are told.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pgmill_schema::{Namespace, QueueName, Status, TaskEvent, to_micros};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::row::{Reader, corrupt};
use crate::statement::{TELL_WATCHERS, WATCH};
use crate::store::Store;

/// A notice must have less than 8,000 bytes. What the names of fields take is left.
const LONGEST_NOTICE: usize = 7_700;

/// What a process tells those who watch a namespace.
#[derive(Debug, Clone)]
pub struct News {
    /// The namespace.
    pub namespace: Namespace,
    /// Changes that are committed. Only those of this namespace may be among them.
    pub events: Vec<Arc<TaskEvent>>,
    /// How many it has left out before them.
    pub lost: u64,
}

/// What those who watch a namespace are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The process that tells; `None` where a transaction does.
    pub from: Option<i64>,
    /// The namespace.
    pub namespace: Namespace,
    /// Changes that are committed.
    pub events: Vec<TaskEvent>,
    /// How many were left out before them.
    pub lost: u64,
}

/// A change as it travels: the id, the place of the queue, the status, the attempt, the place of the worker, the time in
/// microseconds.
type Change = (u64, usize, i16, u32, Option<usize>, i64);

/// A notice as it travels. Names are told once, and meant by their places.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Wire {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<i64>,
    ns: String,
    #[serde(default)]
    queues: Vec<QueueName>,
    #[serde(default)]
    workers: Vec<Option<String>>,
    #[serde(default)]
    events: Vec<Change>,
    #[serde(default)]
    lost: u64,
}

impl Store {
    /// Has `process` told of changes in these namespaces and no others, for so long. With none it is told no more.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn watch(
        &self,
        process: i64,
        namespaces: &[Namespace],
        told_for: Duration,
    ) -> Result<(), StoreError> {
        let namespaces: Vec<&str> = namespaces.iter().map(Namespace::as_str).collect();
        self.query_again(&WATCH, &[&process, &namespaces, &to_micros(told_for)]).await.map(drop)
    }

    /// Tells processes other than `process` of changes that are committed, in namespaces that they watch, and returns which
    /// those are. With no news that is all it does.
    ///
    /// # Errors
    /// Those of any statement. After [`StoreError::Lost`] they may or may not have been told.
    pub async fn tell_watchers(&self, process: i64, news: &[News]) -> Result<Vec<Namespace>, StoreError> {
        let (mut namespaces, mut notices) = (Vec::new(), Vec::new());
        for one in news {
            let packed = pack(process, one)?;
            namespaces.extend(packed.iter().map(|_| one.namespace.as_str()));
            notices.extend(packed);
        }
        let rows = self.query(&TELL_WATCHERS, &[&process, &namespaces, &notices]).await?;
        let row = rows.first().ok_or_else(|| StoreError::unexpected("tell_watchers answered nothing"))?;
        let watched: Vec<&str> = Reader::of(row).get("tell_watchers_v1")?;
        watched.into_iter().map(|ns| Namespace::from_stored(ns).map_err(|_| corrupt("ns", ns))).collect()
    }
}

/// As many notices as it takes.
pub(crate) fn pack(process: i64, news: &News) -> Result<Vec<String>, StoreError> {
    let mut notices = Vec::new();
    let mut notice = Packing::new(process, news, news.lost);
    for event in &news.events {
        if notice.bytes + Packing::most_bytes(event) > LONGEST_NOTICE {
            let next = Packing::new(process, news, 0);
            notices.push(std::mem::replace(&mut notice, next).text()?);
        }
        notice.add(event);
    }
    notices.push(notice.text()?);
    Ok(notices)
}

/// A notice that is being written.
struct Packing<'a> {
    wire: Wire,
    /// At most so long it is.
    bytes: usize,
    queues: HashMap<&'a QueueName, usize>,
    workers: HashMap<&'a str, usize>,
}

impl<'a> Packing<'a> {
    fn new(process: i64, news: &News, lost: u64) -> Self {
        let wire = Wire { from: Some(process), ns: news.namespace.to_string(), lost, ..Wire::default() };
        Self { wire, bytes: 0, queues: HashMap::new(), workers: HashMap::new() }
    }

    /// The numbers of a change, and its names where they are new.
    fn most_bytes(event: &TaskEvent) -> usize {
        NUMBERS + escaped(event.queue.as_str()) + event.worker.as_deref().map_or(0, escaped)
    }

    fn add(&mut self, event: &'a TaskEvent) {
        self.bytes += NUMBERS;
        let Self { wire, bytes, queues, workers } = self;
        let queue = *queues.entry(&event.queue).or_insert_with(|| {
            *bytes += escaped(event.queue.as_str());
            wire.queues.push(event.queue.clone());
            wire.queues.len() - 1
        });
        let worker = event.worker.as_deref().map(|worker| {
            *workers.entry(worker).or_insert_with(|| {
                *bytes += escaped(worker);
                wire.workers.push(Some(worker.to_owned()));
                wire.workers.len() - 1
            })
        });
        let (status, at) = (event.status.code(), event.at.as_microsecond());
        wire.events.push((event.id, queue, status, event.attempt, worker, at));
    }

    fn text(self) -> Result<String, StoreError> {
        serde_json::to_string(&self.wire).map_err(|error| StoreError::unexpected(error.to_string()))
    }
}

/// The numbers of a change with all that is between them, at most: 20 + 4 + 1 + 10 + 4 + 17 digits.
const NUMBERS: usize = 64;

/// At most so many bytes a name has in JSON. It has no control characters, which would take six.
fn escaped(name: &str) -> usize {
    2 * name.len() + 3
}

/// What a notice tells; `None` if it is none of pgmill's.
pub(crate) fn read(payload: &str) -> Option<Told> {
    let Wire { from, ns, queues, workers, events, lost } = serde_json::from_str(payload).ok()?;
    let namespace = Namespace::from_stored(&ns).ok()?;
    let events = events.into_iter().map(|(id, queue, status, attempt, worker, at)| {
        let worker = match worker {
            Some(worker) => workers.get(worker)?.clone(),
            None => None,
        };
        Some(TaskEvent {
            id,
            namespace: namespace.clone(),
            queue: queues.get(queue)?.clone(),
            status: Status::from_code(status)?,
            attempt,
            worker,
            at: Timestamp::from_microsecond(at).ok()?,
        })
    });
    let events = events.collect::<Option<_>>()?;
    Some(Told { from, namespace, events, lost })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: u64, worker: Option<String>) -> Arc<TaskEvent> {
        Arc::new(TaskEvent {
            id,
            namespace: Namespace::new("app").unwrap(),
            queue: QueueName::new(&format!("queue-{}", id % 7)).unwrap(),
            status: Status::ALL[usize::try_from(id % 7).unwrap()],
            attempt: u32::MAX,
            worker,
            at: Timestamp::from_microsecond(1_900_000_000_123_456).unwrap(),
        })
    }

    #[test]
    fn what_is_told_is_what_is_read_in_notices_that_postgresql_takes() {
        let mut events: Vec<_> =
            (0..1_000).map(|id| event(u64::MAX - id, Some(format!("worker {}", id % 3)))).collect();
        events.extend((0..100).map(|id| event(id, Some("\"\\".repeat(127) + &id.to_string()))));
        events.push(event(5, None));
        let news = News { namespace: Namespace::new("app").unwrap(), events: events.clone(), lost: 17 };
        let notices = pack(i64::MAX, &news).unwrap();
        assert!(notices.len() < 30, "{} notices", notices.len());
        assert!(notices.iter().all(|notice| notice.len() < 7_950));
        let told: Vec<Told> = notices.iter().map(|notice| read(notice).unwrap()).collect();
        assert!(told.iter().all(|one| one.from == Some(i64::MAX) && one.namespace == news.namespace));
        assert_eq!(told.iter().map(|one| one.lost).sum::<u64>(), 17);
        let read: Vec<_> = told.into_iter().flat_map(|one| one.events).map(Arc::new).collect();
        assert_eq!(read, events);
    }

    #[test]
    fn what_is_none_of_pgmills_is_not_read() {
        for payload in ["", "somebody else's", "{}", r#"{"ns":"app","events":[[1,0,0,0,null,0]]}"#] {
            assert_eq!(read(payload), None, "{payload}");
        }
    }
}
