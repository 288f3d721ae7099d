//! Changes of tasks, as they happen.

use pgmill_schema::{EventFilter, TaskEvent};
use serde::Deserialize;

use crate::call::Call;
use crate::feed::{Signal, Subscription};
use crate::{Client, Error, Message};

/// What a stream of changes tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The server listens from now on. It comes first, and again after each loss of the connection: what changed before it
    /// is to be found in the lists only.
    Listening,
    /// A task has another status.
    Task(TaskEvent),
    /// So many changes were left out, for there were too many; 0 if it is not known how many.
    Lost(u64),
    /// The server closes the connection, for this reason; usually because changes were not read as fast as they came.
    Dropped(String),
}

#[derive(Deserialize)]
struct Lost {
    count: u64,
}

#[derive(Deserialize)]
struct Dropped {
    reason: String,
}

impl Change {
    fn read(message: &Message) -> Option<Result<Change, Error>> {
        match message.event.as_str() {
            "task" => Some(message.decode().map(Change::Task)),
            "lost" => Some(message.decode().map(|Lost { count }| Change::Lost(count))),
            "dropped" => Some(message.decode().map(|Dropped { reason }| Change::Dropped(reason))),
            _ => None,
        }
    }
}

impl Client {
    /// The changes of tasks that fit this filter, as they happen. It is not a log: who must not miss a change reads the lists
    /// after each [`Change::Listening`], [`Change::Lost`] and [`Change::Dropped`].
    pub fn events(&self, filter: &EventFilter) -> Subscription<Change> {
        let call = Call::get(&["event"]).query_all("queue", &filter.queues);
        let call = call.query_all("status", &filter.statuses).query_all("id", &filter.ids);
        Subscription::new(self, call, |signal| match signal {
            Signal::Connected => Some(Ok(Change::Listening)),
            Signal::Message(message) => Change::read(&message),
            Signal::Reconnecting(_) => None,
        })
    }
}
