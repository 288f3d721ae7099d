//! How idle workers learn of tasks.
//!
//! ```text
//!   created, or due again, in this process          in another process
//!        │                                              │ committed
//!        ▼                                              ▼
//!   waiting: those who want it ◀── listening ◀── NOTIFY, if a waiter row wants it (notices, gathered for 8 ms)
//!        │
//!        ▼
//!   Arrivals::wait ends ──▶ look ──▶ nothing: wait again
//!
//!   wait:  not registered ──▶ register as a waiter ──▶ look once more: what was committed before was told to nobody
//!          registered     ──▶ ask when the next task is due ──▶ sleep until then, a wake, or the longest pause
//! ```
//!
//! - `waiting`: who waits in this process, and for what. A wake that comes while nobody looks is kept.
//! - `notices`: tells other processes, by a statement of its own after the commit. The first leaves at once; while it is
//!   under way, and for 8 ms after it, others gather.
//! - `lead`: the first one, of tasks that are just being created, is sent before their commit is known here, on the same
//!   connection, where it waits for the commit behind their statement.
//! - `listening`: the connection on which this process is told. It tests itself by a round trip every 5 s, so that one which
//!   is dead without having been closed, or leads through a pooler, is found out. While it does not work, the longest
//!   pause is a second.
//! - `arrivals`: the strategy of one who waits.
//!
//! Polling stays as the net beneath all of it: what nobody told of is found within 4 s.

mod arrivals;
mod lead;
mod listening;
mod notices;
mod waiting;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::{Counter, Gauge};
use pgmill_schema::{Namespace, QueueName};
use pgmill_store::{Demand, Notice, Store};

use crate::batch::{BatchOptions, Batcher, Floors};
use crate::events::Feed;
use crate::telemetry::{self, BatchMeters};
use notices::{Notice as Telling, NoticeFlight};
use waiting::{Waiting, WaitingList};

pub use arrivals::Arrivals;
pub use waiting::Arrived;

pub(crate) use listening::Listening;

/// What is due later than this, those who sleep see by themselves before: nobody sleeps as long.
const TELL_WITHIN: Duration = Duration::from_secs(5);

/// Who waits for tasks, here and elsewhere.
pub(crate) struct Wakes {
    waiting: WaitingList,
    /// Tells other processes, unless that is not wanted.
    notices: Option<Batcher<NoticeFlight>>,
    /// A notice is on its way behind tasks that are not known to be committed.
    leading: AtomicBool,
    /// Whether a statement can be sent behind another one.
    pipelines: bool,
    floors: Arc<Floors>,
    /// What else is heard of on the connection of the listener.
    events: Arc<Feed>,
    /// What this process is called among those that wait. Random, for a name might be given twice.
    pub(crate) process: i64,
    /// How often a listener was heard to work; odd while it does.
    listens: AtomicU64,
    /// Shown from when somebody waits.
    listening: OnceLock<Gauge>,
    received: Counter,
}

impl Wakes {
    pub(crate) fn new(
        store: Store,
        process: i64,
        (floors, events): (Arc<Floors>, Arc<Feed>),
        telling: Option<&BatchOptions>,
    ) -> Self {
        let meters = BatchMeters::new("notice");
        let sent = telemetry::notices_sent();
        let pipelines = !store.is_pooler();
        let notices = telling.map(|batching| {
            let flight = NoticeFlight { store, process, meters: meters.clone(), sent };
            Batcher::new(flight, batching.clone().flights(1), meters)
        });
        Self {
            waiting: WaitingList::default(),
            notices,
            leading: AtomicBool::new(false),
            pipelines,
            floors,
            events,
            process,
            listens: AtomicU64::new(0),
            listening: OnceLock::new(),
            received: telemetry::notices_received(),
        }
    }

    /// A task that may be had has come into this queue, committed, and is due after this time.
    pub(crate) fn wake(&self, namespace: &Namespace, queue: &QueueName, due_in: Duration) {
        self.wake_here(namespace, queue, due_in);
        self.tell(namespace, queue, due_in);
    }

    /// The same for this process alone.
    pub(crate) fn wake_here(&self, namespace: &Namespace, queue: &QueueName, due_in: Duration) {
        self.waiting.wake(namespace, queue, due_in);
    }

    /// The same for the others alone.
    pub(crate) fn tell(&self, namespace: &Namespace, queue: &QueueName, due_in: Duration) {
        if let Some(notices) = &self.notices
            && due_in < TELL_WITHIN
        {
            // Closed: whoever else waits finds it by looking.
            let _ = notices.push(Telling::Of((namespace.clone(), queue.clone(), due_in)));
        }
    }

    pub(crate) fn subscribe(&self, demand: Demand) -> Arc<Waiting> {
        self.waiting.subscribe(demand)
    }

    /// Another process told of tasks.
    fn hear(&self, notice: Notice) {
        match notice {
            Notice::Test(_) => {}
            Notice::Events(told) => self.events.hear(told),
            Notice::In(from, _) | Notice::Anywhere(from) if from == Some(self.process) => {}
            Notice::Anywhere(_) => {
                self.received.increment(1);
                self.waiting.wake_all();
            }
            Notice::In(from, arrivals) => {
                self.received.increment(1);
                for (namespace, queue, due_in) in arrivals {
                    if from.is_none() {
                        // Created in a transaction, which may have been open for long: it may lie left of the floor.
                        self.floors.forget(&namespace, &queue);
                    }
                    self.waiting.wake(&namespace, &queue, due_in);
                }
            }
        }
    }

    /// Which of its listeners this process hears; `None` while it hears none.
    pub(crate) fn listens(&self) -> Option<u64> {
        Some(self.listens.load(Ordering::Acquire)).filter(|count| count % 2 == 1)
    }

    /// The gauge of whether this process listens. From when it is asked for the first time it shows that it does not.
    fn listening(&self) -> &Gauge {
        self.listening.get_or_init(telemetry::listening)
    }

    fn set_listening(&self, listening: bool) {
        let count = self.listens.load(Ordering::Acquire);
        if (count % 2 == 1) != listening {
            self.listens.store(count + 1, Ordering::Release);
            self.listening().increment(if listening { 1.0 } else { -1.0 });
        }
        if listening {
            // While nobody listened, anything may have come.
            self.waiting.wake_all();
        } else {
            self.events.set_hearing(false);
        }
    }

    /// Tells others of what is still to be told, and no more after that.
    pub(crate) async fn close(&self) {
        if let Some(notices) = &self.notices {
            notices.close().await;
        }
    }
}

/// A number for this process, among those that are told of what others do.
pub(crate) fn random_process() -> i64 {
    // Zero only where there is no randomness to be had; then processes are told of their own tasks too.
    getrandom::u64().map_or(0, |number| i64::try_from(number >> 1).unwrap_or_default())
}
