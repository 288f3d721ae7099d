//! The live feed of changes of tasks.
//!
//! ```text
//!   committed here: created, retained, released, …          committed in another process, or by pgmill.create_task
//!        │ publish                                                │
//!        ├──────────────▶ desk: those who watch here ◀────────────┤ LISTEN pgmill_event, while anybody watches here
//!        │                 │ held for 50 ms, and sorted by time   │
//!        │                 ▼                                      │
//!        │                Events::next                            │
//!        ▼                                                        │
//!   outbox: gathered for 10 ms ──▶ tell_watchers_v1 ──NOTIFY──▶ watchers of other processes
//!            └─ nobody watches: a look a second, while tasks change, is all
//!
//!   watching, of a namespace:
//!     uncovered ──listener heard, watcher row committed, 1 s──▶ covered ──every 10 s: row renewed──┐
//!        ▲                                                       │  ▲                             │
//!        │    listener gone, or row past its 30 s: a gap         │  └─────────────────────────────┘
//!        └───────────────────────────────────────────────────────┘  covered again: Lost is told
//! ```
//!
//! - `desk`: who watches in this process, and what. It hands out; who does not fetch in time is dropped, and harms nobody.
//! - `audience`: those who watch one namespace, filed by what they want.
//! - `outbox`: tells other processes, by a statement of its own after the commit (see `wakes` for why), of namespaces that
//!   they watch, which each answer tells for a second. While nothing changes no statement is sent.
//! - `watching`: keeps a `watcher` row for each namespace that is watched here, and knows whether others tell of theirs.
//! - `subscriber`: what one who watches holds in hand.
//!
//! **What is lost, and when it is told.** A change that finds the desk or the outbox full is counted, and told as
//! [`EventItem::Lost`] with the number. What others changed while this process could not hear them is told as `Lost` without
//! one, once it hears them again. Not told is what others changed before they knew that somebody watches, for up to a second
//! ([`Events::ready`] waits for that), and a notice that a crash took with it, along with the listener: that is a gap then.
//!
//! **Order.** The changes of one task are told in order, if what told of them took less than 50 ms longer for one than for the
//! other. For its two latest statements may have been answered to two threads, or to two processes.

mod audience;
mod desk;
mod outbox;
mod subscriber;
mod watching;

use std::sync::Arc;

use jiff::Timestamp;
use pgmill_schema::{Namespace, QueueName, Status, Task, TaskEvent};
use pgmill_store::{Store, Told};

use crate::home::Home;
use desk::Desk;
use outbox::Outbox;
use watching::Watching;

pub use subscriber::{EventItem, Events};

/// For how long it holds what was answered of who watches: so long it may take until changes are told to a new one.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_secs(1);

/// Tells of changes of tasks, here and elsewhere.
pub(crate) struct Feed {
    store: Store,
    /// What this process is called among those that watch.
    process: i64,
    home: Home,
    desk: Desk,
    /// Tells other processes, unless that is not wanted.
    outbox: Option<Outbox>,
    watching: Watching,
}

/// A change of a task that is committed.
pub(crate) struct Change<'a> {
    pub(crate) id: u64,
    pub(crate) namespace: &'a Namespace,
    pub(crate) queue: &'a QueueName,
    pub(crate) status: Status,
    pub(crate) attempt: u32,
    pub(crate) worker: Option<&'a str>,
    pub(crate) at: Timestamp,
}

impl Change<'_> {
    /// Tasks are born so.
    pub(crate) fn created<'a>(
        id: u64,
        namespace: &'a Namespace,
        queue: &'a QueueName,
        at: Timestamp,
    ) -> Change<'a> {
        Change { id, namespace, queue, status: Status::New, attempt: 0, worker: None, at }
    }
}

impl Feed {
    /// Must be called within a tokio runtime.
    pub(crate) fn new(store: Store, process: i64, tell_others: bool) -> Self {
        Self {
            store,
            process,
            home: Home::current(),
            desk: Desk::new(),
            outbox: tell_others.then(Outbox::new),
            watching: Watching::default(),
        }
    }

    /// The task is now what it is here, and that is committed: it was retained, or made due at once. To be called once for
    /// each change.
    pub(crate) fn publish(self: &Arc<Self>, task: &Task) {
        let at = if task.status == Some(Status::Retained) { task.started_at } else { task.delayed_at };
        self.publish_at(task, at.unwrap_or(task.created_at));
    }

    /// The same for a change at this time: a task does not tell when its attempt has ended.
    pub(crate) fn publish_at(self: &Arc<Self>, task: &Task, at: Timestamp) {
        let Some(status) = task.status else { return };
        let (namespace, queue, worker) = (&task.namespace, &task.queue, task.worker.as_deref());
        self.publish_change(&Change {
            id: task.id,
            namespace,
            queue,
            status,
            attempt: task.attempt,
            worker,
            at,
        });
    }

    pub(crate) fn publish_change(self: &Arc<Self>, change: &Change<'_>) {
        let here = self.desk.wants(change.namespace);
        let elsewhere = self.outbox.as_ref().filter(|outbox| outbox.wants(change.namespace));
        if !here && elsewhere.is_none() {
            return;
        }
        let event = Arc::new(TaskEvent {
            id: change.id,
            namespace: change.namespace.clone(),
            queue: change.queue.clone(),
            status: change.status,
            attempt: change.attempt,
            worker: change.worker.map(str::to_owned),
            at: change.at,
        });
        if here && self.desk.put(&event) {
            self.hand_out();
        }
        if elsewhere.is_some_and(|outbox| outbox.put(event)) {
            self.tell_others();
        }
    }

    /// So many tasks of the namespace may have changed, of which it is not known how.
    pub(crate) fn lose(self: &Arc<Self>, namespace: &Namespace, count: u64) {
        if count == 0 {
            return;
        }
        if self.desk.wants(namespace) && self.desk.lose(namespace, Some(count)) {
            self.hand_out();
        }
        let elsewhere = self.outbox.as_ref().filter(|outbox| outbox.wants(namespace));
        if elsewhere.is_some_and(|outbox| outbox.lose(namespace, count)) {
            self.tell_others();
        }
    }

    /// Another process told of changes, or a transaction.
    pub(crate) fn hear(self: &Arc<Self>, told: Told) {
        if told.from == Some(self.process) || !self.desk.wants(&told.namespace) {
            return;
        }
        let mut begin = told.lost > 0 && self.desk.lose(&told.namespace, Some(told.lost));
        for event in told.events {
            begin |= self.desk.put(&Arc::new(event));
        }
        if begin {
            self.hand_out();
        }
    }

    /// Tells of all that is still to be told, and of nothing after that.
    pub(crate) async fn close(&self) {
        if let Some(outbox) = &self.outbox {
            outbox.close().await;
        }
        self.desk.close().await;
        self.watching.change();
    }

    fn hand_out(self: &Arc<Self>) {
        self.home.runtime().spawn(desk::hand_out(Arc::clone(self)));
    }

    fn tell_others(self: &Arc<Self>) {
        self.home.runtime().spawn(outbox::tell(Arc::clone(self)));
    }
}
