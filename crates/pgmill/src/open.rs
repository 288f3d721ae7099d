//! From a connection string to a [`Manager`].

use std::future::IntoFuture;
use std::pin::Pin;
use std::time::Duration;

use deadpool_postgres::Pool;
use pgmill_schema::Namespace;
use pgmill_store::{ConnectOptions, Migrator, Store};

use crate::batch::BatchOptions;
use crate::error::OpenError;
use crate::manager::{Manager, Settings};
use crate::tickers::Clock;

/// The largest payload or result that is taken by default: 1 MiB.
pub(crate) const DEFAULT_MAX_PAYLOAD: usize = 1 << 20;

enum Source {
    Url(String),
    Options(Box<ConnectOptions>),
    Pool(Pool),
}

/// What a [`Manager`] is made of; awaiting it connects, migrates the database and makes the manager.
///
/// ```no_run
/// # async fn example() -> Result<(), pgmill::OpenError> {
/// use pgmill::Manager;
///
/// let manager = Manager::connect("postgres://localhost/app").namespace("myapp").await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing happens until it is awaited"]
pub struct ManagerBuilder {
    source: Source,
    namespace: String,
    migrate: bool,
    pooler: bool,
    max_payload: usize,
    deadline: Option<Duration>,
    batching: BatchOptions,
    ticker_clock: Clock,
    tell_others: bool,
    listen: bool,
    listen_with: Option<ConnectOptions>,
}

impl ManagerBuilder {
    pub(crate) fn url(url: &str) -> Self {
        Self::from(Source::Url(url.to_owned()))
    }

    pub(crate) fn options(options: ConnectOptions) -> Self {
        Self::from(Source::Options(Box::new(options)))
    }

    pub(crate) fn pool(pool: Pool) -> Self {
        Self::from(Source::Pool(pool))
    }

    fn from(source: Source) -> Self {
        Self {
            source,
            namespace: "default".to_owned(),
            migrate: true,
            pooler: false,
            max_payload: DEFAULT_MAX_PAYLOAD,
            deadline: None,
            batching: BatchOptions::default(),
            ticker_clock: Clock::database(),
            tell_others: true,
            listen: true,
            listen_with: None,
        }
    }

    /// Where the manager's queues are. Default `default`.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Whether to migrate the database. Default `true`; with `false` it must have been migrated, by `pgmill migrate`
    /// for one.
    pub fn migrate(mut self, migrate: bool) -> Self {
        self.migrate = migrate;
        self
    }

    /// Whether the pool given to [`Manager::new`] leads to a pooler in transaction mode. Default `false`. A connection
    /// string says so itself, by `pgmill_mode=pooler`.
    pub fn pooler(mut self, pooler: bool) -> Self {
        self.pooler = pooler;
        self
    }

    /// The largest payload and the largest result that are taken, in bytes of JSON text. Default 1 MiB.
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = bytes;
        self
    }

    /// How long a statement may take before its connection is closed, and what it did is found out by another one.
    /// Default 35 s: longer than the server takes to give up a statement (30 s), which then is known to have done nothing.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// How calls are gathered into statements.
    pub fn batching(mut self, batching: BatchOptions) -> Self {
        self.batching = batching;
        self
    }

    /// The clock that tickers go by. Default [`Clock::database`]; another one is for tests.
    pub fn ticker_clock(mut self, clock: Clock) -> Self {
        self.ticker_clock = clock;
        self
    }

    /// Whether to tell other processes of tasks, by a statement at most every 8 ms while tasks are created, and of changes of
    /// tasks to those who watch. Default `true`. With `false` they find tasks when they look, at most 4 s later, and changes
    /// of this process are told to nobody elsewhere.
    pub fn tell_others(mut self, tell: bool) -> Self {
        self.tell_others = tell;
        self
    }

    /// Whether to be told by others of tasks, on a direct connection of its own, once somebody waits for
    /// [`arrivals`](Manager::arrivals) or watches [`events`](Manager::events). Default `true`. With `false`, and where there is no direct connection to be had
    /// (a pool that was given, a pooler), those who wait look every second, and those who watch are told of this process alone.
    pub fn listen(mut self, listen: bool) -> Self {
        self.listen = listen;
        self
    }

    /// How to connect directly in order to be told of tasks, where all else goes through a pool that was given or a pooler
    /// in transaction mode. A connection string can say so itself, by `pgmill_listen=host:port`.
    pub fn listen_with(mut self, options: ConnectOptions) -> Self {
        self.listen_with = Some(options);
        self
    }

    async fn open(self) -> Result<Manager, OpenError> {
        let namespace = Namespace::new(&self.namespace)?;
        let (store, direct) = match self.source {
            Source::Url(url) => connect(&ConnectOptions::parse(&url)?)?,
            Source::Options(options) => connect(&options)?,
            Source::Pool(pool) => (Store::from_pool(pool, self.pooler), None),
        };
        let listen_with = self.listen_with.or(direct).filter(|_| self.listen);
        let store = match self.deadline {
            Some(deadline) => store.with_deadline(deadline),
            None => store,
        };
        if self.migrate {
            Migrator::new(&store).run().await?;
        }
        let settings = Settings {
            max_payload: self.max_payload,
            batching: self.batching,
            tell_others: self.tell_others,
            listen_with,
            ticker_clock: self.ticker_clock,
        };
        Ok(Manager::assemble(store, namespace, settings))
    }
}

/// The store, and how to connect directly.
fn connect(options: &ConnectOptions) -> Result<(Store, Option<ConnectOptions>), OpenError> {
    let store = Store::open(options)?;
    Ok((store, options.listening()))
}

impl IntoFuture for ManagerBuilder {
    type Output = Result<Manager, OpenError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.open())
    }
}

impl std::fmt::Debug for ManagerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the source, which may hold a password.
        f.debug_struct("ManagerBuilder").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
