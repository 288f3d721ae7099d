//! What one who watches holds in hand.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pgmill_schema::{EventFilter, TaskEvent};
use tokio::sync::mpsc::{self, Receiver};
use tokio::time::sleep_until;

use super::desk::{Item, Subscriber};
use crate::manager::Manager;

/// How many changes wait for one who watches before it is dropped.
const BUFFER: usize = 1_024;

/// What [`Events::next`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventItem {
    /// A task has changed.
    Task(TaskEvent),
    /// Changes were left out here, at most so many; `None` where nobody knows how many, for this process could not hear the
    /// others. They may be of other tasks than those that the filter wants. Who must not miss a change reads the lists now.
    Lost(Option<u64>),
    /// What there was to tell was not fetched in time: this is the last item. Who goes on watches anew, and reads the lists.
    Dropped,
}

/// The changes of tasks of a namespace, as they happen. Made by [`Manager::events`].
///
/// It is no log: what changed before is not told, and what could not be told is only counted.
pub struct Events {
    manager: Manager,
    number: Option<u64>,
    items: Receiver<Item>,
    dropped: Arc<AtomicBool>,
    ended: bool,
}

impl Manager {
    /// Watches tasks of the namespace change: all that is created, retained and ended from now on, by this process or another
    /// one, by the SQL function `pgmill.create_task` or by the sweep. Not the deletion of a queue.
    ///
    /// A change is told once it is committed, within some 50 ms of this process and some 100 ms of another. What a caller's own
    /// transaction creates is told with its [`Wake`](crate::Wake). Up to 1,024 changes wait for whoever watches; who lets more
    /// come together is [dropped](EventItem::Dropped), and holds up nobody.
    ///
    /// Other processes tell this one on the connection on which it [listens](Self::is_listening), at the latest a second after
    /// somebody began to watch the namespace. While nobody watches, this costs a small statement a second in each process in
    /// which tasks change, and none where they do not.
    ///
    /// # Panics
    /// If called outside of a tokio runtime.
    ///
    /// ```no_run
    /// # async fn example(manager: pgmill::Manager) {
    /// use pgmill::{EventFilter, EventItem, Status};
    ///
    /// let mut events = manager.events(EventFilter::new().status(Status::Failed));
    /// while let Some(item) = events.next().await {
    ///     match item {
    ///         EventItem::Task(event) => println!("task {} has failed", event.id),
    ///         EventItem::Lost(_) => println!("some were left out: look at the list"),
    ///         item => println!("{item:?}"),
    ///     }
    /// }
    /// # }
    /// ```
    pub fn events(&self, filter: EventFilter) -> Events {
        self.events_buffered(filter, BUFFER)
    }

    /// As [`events`](Self::events), with so many changes that may wait, at least one.
    ///
    /// # Panics
    /// If called outside of a tokio runtime.
    pub fn events_buffered(&self, filter: EventFilter, buffer: usize) -> Events {
        let shared = &self.shared;
        shared.listening.begin(&shared.wakes);
        let (sender, items) = mpsc::channel(buffer.max(1));
        let dropped = Arc::new(AtomicBool::new(false));
        let subscriber = Subscriber { items: sender, dropped: Arc::clone(&dropped) };
        let subscribed = shared.events.desk.subscribe(&self.namespace, filter, subscriber);
        if let Some((_, begin)) = subscribed {
            if begin {
                shared.events.keep_watch();
            }
            shared.events.watching.change();
        }
        let number = subscribed.map(|(number, _)| number);
        Events { manager: self.clone(), number, items, dropped, ended: false }
    }
}

impl Events {
    /// The next item; `None` after [`EventItem::Dropped`], and when the manager is closed. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<EventItem> {
        match self.items.recv().await {
            Some(Item::Event(event)) => Some(EventItem::Task(Arc::unwrap_or_clone(event))),
            Some(Item::Lost(count)) => Some(EventItem::Lost(count)),
            None if std::mem::replace(&mut self.ended, true) => None,
            None => self.dropped.load(Ordering::Acquire).then_some(EventItem::Dropped),
        }
    }

    /// Whether changes made by other processes are told too, now. They are not in the first second, while the connection on
    /// which this process listens is lost, and where there is none to be had
    /// ([`ManagerBuilder::listen`](crate::ManagerBuilder::listen)).
    pub fn is_complete(&self) -> bool {
        self.manager.shared.events.watching.covers(&self.manager.namespace)
    }

    /// Waits until changes made by other processes are told too, and returns `true`; `false` at once where this process has
    /// no connection of its own to be told on, or the manager is closed. What is read after that is what the changes that
    /// are told go on from. Dropping the future loses nothing.
    pub async fn ready(&self) -> bool {
        let shared = &self.manager.shared;
        let mut coverage = shared.events.watching.coverage();
        while shared.listening.can_begin() && !self.items.is_closed() {
            let from = coverage.borrow_and_update().get(&self.manager.namespace).copied();
            match from {
                Some(_) if self.is_complete() => return true,
                Some(from) => sleep_until(from).await,
                None if coverage.changed().await.is_err() => return false,
                None => {}
            }
        }
        false
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let events = &self.manager.shared.events;
            events.desk.unsubscribe(&self.manager.namespace, number);
            events.watching.change();
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("namespace", &self.manager.namespace).finish_non_exhaustive()
    }
}
