//! The worker pool: retains tasks, runs a handler for each, and releases them.
//!
//! Who does what:
//!
//! - `fetcher` asks for tasks, as many as can be started; `allotment` says which queue may have how many slots.
//! - `book` knows everything that is held, and its state. It is changed under one lock, and does nothing by itself.
//! - `attempt` runs one handler, in a tokio task of its own, and releases the task; `handler` makes handlers of all types
//!   one type, and catches panics.
//! - `leases` extends what is held, and stops what is lost, expired or overdue.
//! - `stages` ends it all.
//! - `inline` runs handlers one at a time, without any of this: for tests.
//!
//! # The states of an attempt
//!
//! ```text
//!                 retained
//!                    │
//!                    ▼   a slot is free                 the handler ends
//!                 Waiting ─────────────────▶ Running ─────────────────────▶ Releasing ──▶ ended, told once
//!                    │                        │  ▲                              ▲ ▲
//!                    │                        │  └ token cancelled:             │ │
//!                    │                        │    Lost, Lapsing,               │ │
//!                    │                        │    Expired, Stopping            │ │
//!                    │                        └── and does not end in time ─────┘ │
//!                    │                            (the slot is taken from it)     │
//!                    └── the pool stops, or it waited for a second: given back ───┘
//! ```
//!
//! A slot is taken from `Waiting` to `Running`, and freed by whoever moves the attempt on to `Releasing`: its own task
//! when the handler has come to its end, or the watch when the handler does not. Only one of the two finds it `Running`.
//! So a handler that never ends, or blocks its thread, cannot keep its slot. The lease is extended until the release has
//! committed, in every state.
//!
//! # A handler that blocks its thread
//!
//! A handler must not block the thread that it runs on; work that does belongs in `spawn_blocking`. What happens if it
//! does all the same:
//!
//! - On a runtime with several threads the rest of the pool goes on, leases too, but for what that thread was about to do
//!   next. The token is cancelled when the task expires or the pool stops, and after the grace the slot is taken from the
//!   handler, though not the thread: a warning says so. When all threads of the runtime are blocked, it is as with one
//!   thread. (The watch has a thread of its own, and keeps waking the runtime: tokio lets nobody take over the network and
//!   the timers from a thread that is blocked until another one has something to do.)
//! - On a runtime with one thread nothing else runs: no lease is extended. When it is blocked for longer than the lease,
//!   the database offers the task again to others, and so everything else that the pool holds. When the thread is free
//!   again, the release is refused by the fence, or the handler finds its token cancelled; its result is dropped, and that
//!   is logged once.
//!
//! # The end of a pool
//!
//! ```text
//!   token cancelled
//!        │  nothing is retained any more; what waits for a slot, and what still arrives, is given back at once
//!        ▼
//!   handlers go on ──── shutdown_grace ───▶ their tokens are cancelled ──── cancel_grace ───▶ their tasks are given back
//!        │                                       │                                            │ at once, and they are
//!        └── all have ended ─────────────────────┴──────────────┐                             │ dropped
//!                                                               ▼                             ▼
//!                                                        releases are flushed, at most flush_timeout
//! ```
//!
//! What is given back costs its task no attempt. An error that a handler returns after its token was cancelled by the end
//! of the pool counts as given back, unless the error says itself what is to become of the task. The `now` token ends each
//! of the waits.

mod allotment;
mod attempt;
mod book;
mod builder;
mod context;
mod emptiness;
mod ended;
mod engine;
mod error;
mod fetcher;
mod handler;
mod inline;
mod lane;
mod leases;
mod options;
mod stages;
mod task_error;
mod tickers;

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use pgmill_schema::{
    NameError, Outcome, Queue, QueueMeta, QueueName, Ticker, TickerMeta, TickerName, seconds,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tracing::dispatcher::{self, Dispatch};

pub use self::builder::WorkerPoolBuilder;
pub use self::context::Context;
pub use self::ended::{End, Ended, RunReport};
pub use self::error::{BuildError, RegisterError, RunError};
pub use self::inline::{InlineHandler, InlineScope};
pub use self::options::{Prefetch, QueueOptions};
pub(crate) use self::task_error::chain;
pub use self::task_error::{TaskError, TaskResultExt};
pub use self::tickers::TickContext;

use self::context::Common;
use self::engine::{Engine, Registered};
use self::fetcher::Claims;
use self::handler::Handler;
use self::options::Settings;
use self::stages::{Aborting, Halt};
use self::tickers::{RegisteredTicker, Ticking};
use crate::error::QueueError;
use crate::manager::Manager;
use crate::tickers::TickerError;

/// How long maintenance has to give back its jobs.
const GOODBYE: Duration = seconds(1);
/// The largest weight of a queue.
const HEAVIEST: u32 = 1_000;

/// Runs a handler for each task of some queues, a number of them at a time.
///
/// A pool holds its tasks under leases, which it extends for as long as it runs them, so that a task may take any time. If
/// the process dies, they run elsewhere when their leases have lapsed. The database may be away for a while: the pool
/// waits for it, and goes on.
///
/// A task runs at least once, not exactly once: a handler whose process dies before its result is committed runs again.
///
/// ```no_run
/// # #[derive(serde::Deserialize)] struct Email { to: String }
/// # async fn send(to: &str) -> Result<u64, std::io::Error> { Ok(1) }
/// # async fn example(manager: pgmill::Manager) -> Result<(), Box<dyn std::error::Error>> {
/// use pgmill::{Context, QueueMeta, TaskError, WorkerPool};
/// use tokio_util::sync::CancellationToken;
///
/// let pool = WorkerPool::builder(&manager).workers(64).name("worker-1").build()?;
/// let emails = QueueMeta::new("emails");
/// pool.register_queue(emails, |_: Context, email: Email| async move {
///     let receipt = send(&email.to).await?;
///     Ok(receipt)
/// })
/// .await?;
///
/// let shutdown = CancellationToken::new();
/// let report = pool.run(shutdown).await?;
/// println!("{} done", report.done);
/// # Ok(())
/// # }
/// ```
pub struct WorkerPool<S = ()> {
    common: Arc<Common<S>>,
    settings: Settings,
    /// `None` once it runs.
    registry: Mutex<Option<Registry<S>>>,
}

/// The handlers of a pool.
struct Registry<S> {
    lanes: Vec<Registered<S>>,
    tickers: Vec<RegisteredTicker<S>>,
}

impl WorkerPool {
    /// Starts to describe a pool for queues of the manager's namespace.
    pub fn builder(manager: &Manager) -> WorkerPoolBuilder {
        WorkerPoolBuilder::new(manager)
    }
}

impl<S: Send + Sync + 'static> WorkerPool<S> {
    fn assemble(common: Arc<Common<S>>, settings: Settings) -> Self {
        Self {
            common,
            settings,
            registry: Mutex::new(Some(Registry { lanes: Vec::new(), tickers: Vec::new() })),
        }
    }

    /// Registers a queue in the database, as [`Manager::register_queue`] does, and its handler here.
    ///
    /// The handler is called with the payload of each task, and what it returns is the task's result. An error has the
    /// task tried again as the queue's backoff says, unless it says otherwise ([`TaskError`]); so does a panic. So does a
    /// payload that is not a `T`: it counts as a failed attempt, since the next release of a program may understand it. A
    /// result that cannot be stored, for it has no JSON form or is too large, makes the task fail for good, since its work
    /// is done and would only be done again.
    ///
    /// # Errors
    /// [`RegisterError`]; the queue is not changed then, unless the database failed.
    pub async fn register_queue<T, R, F, Fut>(
        &self,
        queue: QueueMeta,
        handler: F,
    ) -> Result<Queue, RegisterError>
    where
        T: DeserializeOwned + 'static,
        R: Serialize + 'static,
        F: Fn(Context<S>, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, TaskError>> + Send + 'static,
    {
        self.register_queue_with(queue, QueueOptions::new(), handler).await
    }

    /// As [`register_queue`](Self::register_queue), with a concurrency and a weight of the queue's own.
    ///
    /// # Errors
    /// [`RegisterError`]; the queue is not changed then, unless the database failed.
    pub async fn register_queue_with<T, R, F, Fut>(
        &self,
        queue: QueueMeta,
        options: QueueOptions,
        handler: F,
    ) -> Result<Queue, RegisterError>
    where
        T: DeserializeOwned + 'static,
        R: Serialize + 'static,
        F: Fn(Context<S>, T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, TaskError>> + Send + 'static,
    {
        let name = QueueName::new(&queue.queue).map_err(QueueError::from)?;
        // Held until the end, so that of two who register the same queue one is refused before it changes anything.
        let mut registry = self.registry.lock().await;
        let registered = open(&mut registry, std::slice::from_ref(&name), &options)?;
        let queue = self.common.manager.register_queue(queue).await?;
        registered.push(Registered { queues: vec![name], options, handler: handler::typed(handler) });
        Ok(queue)
    }

    /// Registers one handler for several queues, or (`&[]`) for any queue of the namespace, which are served together: by
    /// priority and age, whatever queue a task is in. The queues need not exist yet.
    ///
    /// The handler gets the task as it is, with [`Context::task`], and decides about the outcome itself. A panic has the
    /// task tried again.
    ///
    /// ```no_run
    /// # async fn example(pool: pgmill::WorkerPool) -> Result<(), pgmill::RegisterError> {
    /// use pgmill::{Context, Outcome, QueueOptions};
    ///
    /// pool.register_raw(&["a", "b"], QueueOptions::new(), |context: Context| async move {
    ///     println!("{:?}", context.task().payload);
    ///     Outcome::done_empty()
    /// })
    /// .await
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RegisterError`].
    pub async fn register_raw<F, Fut>(
        &self,
        queues: &[&str],
        options: QueueOptions,
        handler: F,
    ) -> Result<(), RegisterError>
    where
        F: Fn(Context<S>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Outcome> + Send + 'static,
    {
        let queues: Result<Vec<_>, _> = queues.iter().map(|queue| QueueName::new(queue)).collect();
        let queues = queues.map_err(QueueError::from)?;
        let handler: Handler<S> = handler::raw(handler);
        let mut registry = self.registry.lock().await;
        open(&mut registry, &queues, &options)?.push(Registered { queues, options, handler });
        Ok(())
    }

    /// Registers a ticker in the database, as [`Manager::register_ticker`] does, and the handler of its ticks here.
    ///
    /// Of all pools and loops that take ticks of the ticker, one gets each. The handler runs beside the tasks, and occupies
    /// no worker; the next tick is taken when it has come to its end. A tick whose process dies is lost: for work that must
    /// not be, give the ticker a [queue](TickerMeta::queue), which needs no handler here. What becomes of an error, and of a
    /// panic, is the choice of [`log_ticker_errors`](WorkerPoolBuilder::log_ticker_errors).
    ///
    /// ```no_run
    /// # async fn example(pool: pgmill::WorkerPool) -> Result<(), pgmill::RegisterError> {
    /// use pgmill::{TaskMeta, TickContext, TickerMeta, minutes};
    ///
    /// let meta = TickerMeta::new("heartbeat").interval(minutes(5));
    /// pool.register_ticker(meta, |tick: TickContext| async move {
    ///     println!("{} ticks", tick.ticker().ticker);
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RegisterError`]; the ticker is not changed then, unless the database failed.
    pub async fn register_ticker<F, Fut, E>(
        &self,
        ticker: TickerMeta,
        handler: F,
    ) -> Result<Ticker, RegisterError>
    where
        F: Fn(TickContext<S>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let name = ticker_name(&ticker).map_err(TickerError::from)?;
        let mut registry = self.registry.lock().await;
        let tickers = &mut registry.as_mut().ok_or(RegisterError::Running)?.tickers;
        if tickers.iter().any(|known| known.name == name) {
            return Err(RegisterError::RegisteredTicker { ticker: name.to_string() });
        }
        let ticker = self.common.manager.register_ticker(ticker).await?;
        tickers.push(RegisteredTicker::new(name, handler));
        Ok(ticker)
    }

    /// Works until the token is cancelled, then ends what is under way in stages: nothing new is retained, handlers may
    /// come to their end ([`shutdown_grace`](WorkerPoolBuilder::shutdown_grace)), their tokens are cancelled
    /// ([`cancel_grace`](WorkerPoolBuilder::cancel_grace)), what is left is given back at no cost to its task, and all
    /// releases are committed ([`flush_timeout`](WorkerPoolBuilder::flush_timeout)).
    ///
    /// A database that is away does not end it. If this future is dropped, running handlers are dropped and their tasks
    /// are given back.
    ///
    /// # Errors
    /// [`RunError::AlreadyRun`] at the second call; [`RunError::Closed`] if the manager is closed meanwhile.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<RunReport, RunError> {
        let registry = self.registry.lock().await.take().ok_or(RunError::AlreadyRun)?;
        let engine = Arc::new(Engine::new(Arc::clone(&self.common), self.settings.clone(), registry.lanes));
        let _halt = Halt(Arc::clone(&engine));
        let _keeper = Aborting(tokio::spawn(Arc::clone(&engine).keep_leases()));
        // Dropped at the end of the run, which ends the thread.
        let (_watched, over) = mpsc::channel();
        let (watching, log) = (Arc::clone(&engine), dispatcher::get_default(Dispatch::clone));
        std::thread::Builder::new()
            .name("pgmill-watch".to_owned())
            .spawn(move || dispatcher::with_default(&log, || watching.watch(&over)))
            .map_err(RunError::Thread)?;
        let stop = shutdown.child_token();
        let maintainer = self.settings.maintenance.then(|| {
            let (manager, until) = (self.common.manager.clone(), stop.clone());
            Aborting(tokio::spawn(async move { manager.run(until).await }))
        });
        let ticking = Ticking::start(&self.common, registry.tickers, &self.settings, &stop);
        // In a task of its own, and so on the threads that have to do with the database: whoever waits for the run is often
        // on another one, to which each wake and each answer would have to be handed over, and back.
        let mut fetcher = Aborting(tokio::spawn(fetch(Arc::clone(&engine), stop.clone()).in_current_span()));
        let (fetched, claims) = ended(&mut fetcher.0).await;
        stop.cancel();
        let (report, ticked, ()) =
            tokio::join!(engine.stop(claims), ticking.stop(&self.settings), goodbye(maintainer));
        fetched?;
        ticked?;
        Ok(report)
    }
}

/// Fetches until the pool is asked to stop, and returns the claims that are still under way.
async fn fetch<S: Send + Sync + 'static>(
    engine: Arc<Engine<S>>,
    stop: CancellationToken,
) -> (Result<(), RunError>, Claims) {
    let mut claims = Claims::new();
    let fetched = engine.fetch(&stop, &mut claims).await;
    (fetched, claims)
}

/// What a task came to that is a part of this one: its panic is one here.
async fn ended<T>(task: &mut JoinHandle<T>) -> T {
    match task.await {
        Ok(ended) => ended,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Lets maintenance give back the jobs it holds.
async fn goodbye(maintainer: Option<Aborting>) {
    if let Some(mut maintainer) = maintainer {
        drop(timeout(GOODBYE, &mut maintainer.0).await);
    }
}

fn ticker_name(ticker: &TickerMeta) -> Result<TickerName, NameError> {
    TickerName::new(&ticker.ticker)
}

/// The list of handlers, if these queues can be added to it.
fn open<'a, S>(
    registry: &'a mut Option<Registry<S>>,
    queues: &[QueueName],
    options: &QueueOptions,
) -> Result<&'a mut Vec<Registered<S>>, RegisterError> {
    let registered = &mut registry.as_mut().ok_or(RegisterError::Running)?.lanes;
    if options.concurrency == Some(0) {
        return Err(RegisterError::Concurrency);
    }
    if !(1..=HEAVIEST).contains(&options.weight) {
        return Err(RegisterError::Weight);
    }
    for known in registered.iter() {
        let twice = if known.queues.is_empty() || queues.is_empty() {
            Some("any queue".to_owned())
        } else {
            queues.iter().find(|queue| known.queues.contains(queue)).map(ToString::to_string)
        };
        if let Some(queue) = twice {
            return Err(RegisterError::Registered { queue });
        }
    }
    Ok(registered)
}

impl<S> fmt::Debug for WorkerPool<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerPool").field("settings", &self.settings).finish_non_exhaustive()
    }
}
