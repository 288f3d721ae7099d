use comfy_table::Row;
use pgmill::{Queue, Status, Ttl};
use pgmill_client::QueueCounts;
use serde::{Serialize, Serializer};

use super::{Listed, Show};
use crate::style::{count, duration, number, optional, parts, row, table, text, time};

/// A queue, and for people how many tasks it has, where the server tells.
#[derive(Debug)]
pub(crate) struct QueueView {
    pub(crate) queue: Queue,
    pub(crate) tasks: Option<QueueCounts>,
}

/// To programs it is the queue alone.
impl Serialize for QueueView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.queue.serialize(serializer)
    }
}

impl Show for QueueView {
    fn show(&self) -> String {
        let Some(tasks) = &self.tasks else { return self.queue.show() };
        format!("{}\n\n{}", self.queue.show(), tasks.show())
    }
}

impl Show for Queue {
    fn show(&self) -> String {
        parts([
            ("queue", text(&self.queue)),
            ("namespace", text(&self.namespace)),
            ("ttl", duration(ttl(self.ttl))),
            ("retries", text(self.retries)),
            ("retry delay", duration(Some(self.retry_delay))),
            ("backoff", text(self.backoff)),
            ("max retry delay", duration(Some(self.max_retry_delay))),
            ("retention", duration(Some(self.retention))),
            ("retention failed", duration(Some(self.retention_failed))),
            ("lease", duration(Some(self.lease))),
            ("paused", time(self.paused_at)),
        ])
    }
}

impl Listed for Queue {
    const HEAD: &'static [&'static str] = &["QUEUE", "TTL", "RETRIES", "RETRY DELAY", "LEASE", "PAUSED"];

    fn row(&self) -> Row {
        row([
            text(&self.queue),
            duration(ttl(self.ttl)),
            number(self.retries.into()),
            duration(Some(self.retry_delay)),
            duration(Some(self.lease)),
            time(self.paused_at),
        ])
    }
}

fn ttl(ttl: Ttl) -> Option<std::time::Duration> {
    ttl.duration()
}

impl Show for QueueCounts {
    fn show(&self) -> String {
        let mut table = table(Self::HEAD);
        table.add_row(self.row());
        table.trim_fmt()
    }
}

impl Listed for QueueCounts {
    const HEAD: &'static [&'static str] =
        &["QUEUE", "NEW", "RETRY", "RETAINED", "RELEASED", "FAILED", "EXPIRED", "CANCELLED", "PAUSED"];

    fn row(&self) -> Row {
        let counts = Status::ALL.iter().map(|status| count(*status, self.tasks.of(*status)));
        let paused = optional(self.paused_at.map(|_| "paused"));
        row([text(&self.queue)].into_iter().chain(counts).chain([paused]))
    }
}
