//! The PostgreSQL that tests run on.

use std::fmt;
use std::sync::{Arc, OnceLock};

use pgmill_embedded::{Embedded, StopMode};

use crate::environment::Environment;
use crate::janitor::Janitor;
use crate::pooler::Pooler;
use crate::url::Url;
use crate::workplace::ROLE;

/// The superuser of servers that are started here.
const USER: &str = "pgmill";
const VARIABLE: &str = "PGMILL_TEST_DATABASE_URL";

/// A PostgreSQL server to make databases on. Cloning is cheap, and clones are the same server.
///
/// Most tests never name one: [`TestDatabase::create`](crate::TestDatabase::create) uses the [shared](Self::shared) one.
#[derive(Clone)]
pub struct TestServer {
    parts: Arc<Parts>,
}

struct Parts {
    // Before the server, so that it lets go of the server first.
    janitor: Janitor,
    pooler: Option<Pooler>,
    place: Place,
}

enum Place {
    Given { url: String },
    Started { server: Arc<Embedded> },
}

impl TestServer {
    /// The server that all tests of this process share, started by whoever asks first (about a second, during which
    /// the caller's thread is blocked).
    ///
    /// With `PGMILL_TEST_DATABASE_URL` set, it is the server of that URL, whose user needs the right to create
    /// databases. Otherwise a server is started for this process, on a temporary folder, and is stopped and removed
    /// when the process ends, in whatever way. That one runs with `fsync=off`, for the sake of speed: commits behave
    /// as ever, but would not survive a power failure. A test that stops the server starts [its own](Self::own).
    ///
    /// # Panics
    /// If no server can be started, with the reason and what to do; or if the variable holds no URL.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<TestServer> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var(VARIABLE) {
            Ok(url) if !url.is_empty() => Self::given(url),
            _ => Self::start(&[("fsync", "off"), ("full_page_writes", "off")], true),
        })
    }

    /// Starts a server for one test, fully durable, to be [halted](Self::halt) and [resumed](Self::resume) at will.
    /// Takes about a second, during which the caller's thread is blocked. It is removed with its last clone and
    /// database. `PGMILL_TEST_DATABASE_URL` has no influence.
    ///
    /// ```no_run
    /// # async fn example() {
    /// use pgmill_testkit::{StopMode, TestDatabase, TestServer};
    ///
    /// let server = TestServer::own();
    /// let database = TestDatabase::create_on(&server).await;
    /// server.halt(StopMode::Immediate).await; // as in a crash
    /// server.resume().await;
    /// # }
    /// ```
    ///
    /// # Panics
    /// If no server can be started, with the reason and what to do.
    pub fn own() -> Self {
        Self::start(&[], false)
    }

    fn given(url: String) -> Self {
        // Fails here, where the variable can be named.
        assert!(url.contains("://"), "{VARIABLE} must be a URL, postgres://user:password@host:port/database");
        assert!(
            Environment::get().is_usual(),
            "{VARIABLE} and the other PGMILL_TEST_ variables exclude each other"
        );
        let janitor = Janitor::start(url.clone(), true, true);
        Self { parts: Arc::new(Parts { janitor, pooler: None, place: Place::Given { url } }) }
    }

    fn start(settings: &[(&str, &str)], shared: bool) -> Self {
        let environment = Environment::get();
        let settings = settings.iter().copied();
        let others = environment.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let builder = settings
            .chain(others)
            .fold(Embedded::builder().ephemeral(), |builder, (name, value)| builder.setting(name, value));
        let server = builder
            .start()
            .unwrap_or_else(|error| panic!("no PostgreSQL for the tests: {error}; or set {VARIABLE}"));
        let url = server.url();
        let pooler = environment.pooler.as_deref().map(|program| {
            let password = Url::parse(&url).password().unwrap_or_default().to_owned();
            let users = [(USER, password.as_str()), (ROLE, password.as_str())];
            Pooler::start(program, server.data_dir(), server.port(), &users)
        });
        let janitor = Janitor::start(url, shared, false);
        let place = Place::Started { server: Arc::new(server) };
        Self { parts: Arc::new(Parts { janitor, pooler, place }) }
    }

    /// The URL of a database that is always there, for what concerns the whole server. Holds the password.
    pub fn url(&self) -> String {
        match &self.parts.place {
            Place::Given { url } => url.clone(),
            Place::Started { server } => server.url(),
        }
    }

    /// The URL of another database of this server. Holds the password.
    pub fn url_for(&self, database: &str) -> String {
        match &self.parts.place {
            Place::Given { url } => Url::parse(url).with_database(database).to_string(),
            Place::Started { server } => server.url_for(database),
        }
    }

    /// The URL that programs under test connect with.
    pub(crate) fn url_for_programs(&self, database: &str) -> String {
        let url = self.url_for(database);
        if matches!(self.parts.place, Place::Given { .. }) {
            return url;
        }
        let mut url = Url::parse(&url);
        if Environment::get().role {
            url = url.with_user(ROLE);
        }
        if let Some(pooler) = &self.parts.pooler {
            url = url.with_pooler(&pooler.address().to_string());
        }
        url.to_string()
    }

    /// Stops the server of [`own`](Self::own); it keeps its port and its data. Connections break as the mode says:
    /// [`StopMode::Immediate`] is a crash.
    ///
    /// # Panics
    /// On the shared server, which other tests are using; or if the server does not stop within a minute.
    pub async fn halt(&self, mode: StopMode) {
        self.control("stopped", move |server| server.halt(mode)).await;
    }

    /// Starts a [halted](Self::halt) server again, on the same port and data, and returns when it answers. A server that
    /// runs is left alone.
    ///
    /// # Panics
    /// On the shared server; or if the server does not start.
    pub async fn resume(&self) {
        self.control("started", Embedded::resume).await;
    }

    async fn control<E: fmt::Display + Send + 'static>(
        &self,
        what: &str,
        order: impl FnOnce(&Embedded) -> Result<(), E> + Send + 'static,
    ) {
        let server = match &self.parts.place {
            Place::Started { server } if !self.parts.janitor.shared() => Arc::clone(server),
            _ => panic!("the shared server cannot be {what}, for other tests use it: take TestServer::own()"),
        };
        match tokio::task::spawn_blocking(move || order(&server)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => panic!("the test's server could not be {what}: {error}"),
            Err(error) => panic!("the test's server could not be {what}: {error}"),
        }
    }

    pub(crate) fn janitor(&self) -> &Janitor {
        &self.parts.janitor
    }
}

impl fmt::Debug for TestServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the URL, for it holds a password.
        match &self.parts.place {
            Place::Given { .. } => f.debug_struct("TestServer").finish_non_exhaustive(),
            Place::Started { server } => f.debug_tuple("TestServer").field(server).finish(),
        }
    }
}
