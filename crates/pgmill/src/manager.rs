//! The handle that everything in this crate hangs on.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Pool;
use pgmill_schema::{NameError, Namespace};
use pgmill_store::{ConnectOptions, Store};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::batch::{
    ALONE_AT_ONCE, BatchOptions, Batcher, EnqueueFlight, Floors, Ids, ReleaseFlight, RetainFlight,
};
use crate::events::Feed;
use crate::open::ManagerBuilder;
use crate::telemetry::{self, BatchMeters, Meters};
use crate::tickers::{Clock, TickerState};
use crate::wakes::{Listening, Wakes, random_process};

/// The queues of a namespace, and their tasks.
///
/// Cloning is cheap, and clones share connections and batchers: use one manager a process, cloned to wherever tasks are
/// created, retained or released. What they do at the same time travels to PostgreSQL together.
#[derive(Clone)]
pub struct Manager {
    pub(crate) namespace: Namespace,
    pub(crate) shared: Arc<Shared>,
}

/// What the managers of all namespaces share.
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) max_payload: usize,
    /// How long an unknown outcome is asked about.
    pub(crate) settle: Duration,
    pub(crate) ids: Arc<Ids>,
    pub(crate) floors: Arc<Floors>,
    pub(crate) wakes: Arc<Wakes>,
    pub(crate) events: Arc<Feed>,
    pub(crate) tickers: TickerState,
    pub(crate) listening: Listening,
    pub(crate) enqueues: Batcher<EnqueueFlight>,
    /// Tasks with keys fly apart: they may have to wait for a foreign transaction that holds the same key.
    pub(crate) keyed_enqueues: Batcher<EnqueueFlight>,
    pub(crate) retains: Batcher<RetainFlight>,
    pub(crate) releases: Batcher<ReleaseFlight>,
    /// Calls that create many tasks, in statements of their own.
    pub(crate) bulks: TaskTracker,
    pub(crate) bulk_meters: BatchMeters,
    pub(crate) meters: Arc<Meters>,
    alone: TaskTracker,
}

/// What can be set about a manager.
pub(crate) struct Settings {
    pub(crate) max_payload: usize,
    pub(crate) batching: BatchOptions,
    pub(crate) tell_others: bool,
    pub(crate) listen_with: Option<ConnectOptions>,
    pub(crate) ticker_clock: Clock,
}

impl Manager {
    /// Connects to a database: `postgres://…`, or `name=value` pairs, as libpq understands them, with the `PG*`
    /// environment variables for what is not given.
    pub fn connect(url: impl AsRef<str>) -> ManagerBuilder {
        ManagerBuilder::url(url.as_ref())
    }

    /// Connects as these options say.
    pub fn connect_with(options: ConnectOptions) -> ManagerBuilder {
        ManagerBuilder::options(options)
    }

    /// Uses a pool that there is already, for the queues of a namespace.
    #[expect(clippy::new_ret_no_self, reason = "awaiting the builder makes the manager")]
    pub fn new(pool: Pool, namespace: &str) -> ManagerBuilder {
        ManagerBuilder::pool(pool).namespace(namespace)
    }

    pub(crate) fn assemble(store: Store, namespace: Namespace, settings: Settings) -> Self {
        let Settings { max_payload, batching, tell_others, listen_with, ticker_clock } = settings;
        telemetry::describe();
        let meters = Arc::new(Meters::new());
        let ids = Arc::new(Ids::new(store.clone()));
        let floors = Arc::new(Floors::new(batching.floors));
        let process = random_process();
        let events = Arc::new(Feed::new(store.clone(), process, tell_others));
        let wakes = Arc::new(Wakes::new(
            store.clone(),
            process,
            (Arc::clone(&floors), Arc::clone(&events)),
            tell_others.then_some(&batching),
        ));
        let settle = batching.settle;
        let alone = TaskTracker::new();
        let enqueues = |batcher| {
            let batch_meters = BatchMeters::new(batcher);
            let flight = EnqueueFlight {
                store: store.clone(),
                ids: Arc::clone(&ids),
                floors: Arc::clone(&floors),
                wakes: Arc::clone(&wakes),
                events: Arc::clone(&events),
                meters: Arc::clone(&meters),
                batch_meters: batch_meters.clone(),
                settle,
            };
            Batcher::new(flight, batching.clone(), batch_meters)
        };
        let (retain_meters, release_meters) = (BatchMeters::new("retain"), BatchMeters::new("release"));
        let release = ReleaseFlight {
            store: store.clone(),
            floors: Arc::clone(&floors),
            wakes: Arc::clone(&wakes),
            events: Arc::clone(&events),
            meters: Arc::clone(&meters),
            batch_meters: release_meters.clone(),
            settle,
            alone: alone.clone(),
            turns: Arc::new(Semaphore::new(ALONE_AT_ONCE)),
        };
        let releases = Batcher::new(release, batching.clone(), release_meters);
        let retain = RetainFlight::new(
            store.clone(),
            releases.clone(),
            (Arc::clone(&floors), Arc::clone(&events)),
            (Arc::clone(&meters), retain_meters.clone()),
            settle,
        );
        let shared = Shared {
            max_payload,
            settle,
            enqueues: enqueues("enqueue"),
            keyed_enqueues: enqueues("keyed_enqueue"),
            // Two claims at once would pick the same tasks, and one of them would find them all locked.
            retains: Batcher::new(retain, batching.clone().flights(1), retain_meters),
            releases,
            bulks: TaskTracker::new(),
            bulk_meters: BatchMeters::new("bulk"),
            alone,
            ids,
            floors,
            wakes,
            events,
            tickers: TickerState::new(ticker_clock),
            listening: Listening::new(listen_with),
            meters,
            store,
        };
        Self { namespace, shared: Arc::new(shared) }
    }

    /// The namespace whose queues these are.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The same connections and batchers, for the queues of another namespace.
    ///
    /// # Errors
    /// If the namespace has a name it cannot have.
    pub fn with_namespace(&self, namespace: &str) -> Result<Self, NameError> {
        Ok(Self { namespace: Namespace::new(namespace)?, shared: Arc::clone(&self.shared) })
    }

    /// The pool of connections.
    pub fn pool(&self) -> &Pool {
        self.shared.store.pool()
    }

    /// The statements beneath.
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// Takes no more calls of [`create_task`](Self::create_task), [`create_tasks`](Self::create_tasks),
    /// [`next_task`](Self::next_task), [`next_tasks`](Self::next_tasks) and [`release_task`](Self::release_task), in any
    /// namespace, and returns when those that were taken are answered. Whoever watches [`events`](Self::events) has been
    /// told of them then, and is told no more.
    ///
    /// All else goes on working and is not waited for: reading, everything about queues with
    /// [`clean_queue`](Self::clean_queue), [`extend_leases`](Self::extend_leases), [maintenance](Self::maintain), and
    /// what creates tasks in a caller's transaction ([`create_task_in`](Self::create_task_in), `create_task_sqlx`), which
    /// is the caller's to end.
    pub async fn close(&self) {
        self.shared.bulks.close();
        self.shared.bulks.wait().await;
        self.shared.enqueues.close().await;
        self.shared.keyed_enqueues.close().await;
        self.shared.retains.close().await;
        // Last: what was retained for callers that went away is given back through it.
        self.shared.releases.close().await;
        self.shared.alone.close();
        self.shared.alone.wait().await;
        self.shared.events.close().await;
        self.shared.wakes.close().await;
        self.shared.listening.end();
    }
}

impl std::fmt::Debug for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Manager").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
