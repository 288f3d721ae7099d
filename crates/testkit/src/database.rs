//! A database for one test.

use std::fmt;

use pgmill_store::{ConnectOptions, Store};
use tokio_postgres::Client;

use crate::server::TestServer;
use crate::workplace::Content;

/// A fresh database that no other test sees: a copy of one that was migrated once per process. On the shared server some are
/// made ahead, so that a test mostly has one in about a millisecond; a copy that has to be made first takes under a tenth of a
/// second in memory, and up to half a second on a slow disk.
///
/// Dropping it drops the database in the background, with whatever is still connected to it. On a server of
/// [one's own](TestServer::own) the database stays for as long as the server. What an aborted test process leaves on
/// the server of `PGMILL_TEST_DATABASE_URL` (names starting with `pgmill_test_`) is removed by the next one.
pub struct TestDatabase {
    name: String,
    url: String,
    // Keeps the server running.
    server: TestServer,
}

impl TestDatabase {
    /// A database with the schema of pgmill in its newest version, on the [shared server](TestServer::shared).
    ///
    /// ```
    /// # async fn example() {
    /// use pgmill_testkit::TestDatabase;
    ///
    /// let database = TestDatabase::create().await;
    /// let client = database.connect().await;
    /// let queues = client.query("select from pgmill.queue", &[]).await.expect("migrated");
    /// assert!(queues.is_empty());
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the server cannot be started or reached, or the database not be made, with the reason.
    pub async fn create() -> Self {
        Self::create_on(TestServer::shared()).await
    }

    /// As [`create`](Self::create), on the given server.
    ///
    /// # Panics
    /// If the server cannot be reached, or the database not be made, with the reason.
    pub async fn create_on(server: &TestServer) -> Self {
        Self::make(server, Content::Migrated).await
    }

    /// An empty database on the [shared server](TestServer::shared), as a user has it before pgmill's first start.
    ///
    /// # Panics
    /// If the server cannot be started or reached, or the database not be made, with the reason.
    pub async fn empty() -> Self {
        Self::empty_on(TestServer::shared()).await
    }

    /// As [`empty`](Self::empty), on the given server.
    ///
    /// # Panics
    /// If the server cannot be reached, or the database not be made, with the reason.
    pub async fn empty_on(server: &TestServer) -> Self {
        Self::make(server, Content::Empty).await
    }

    async fn make(server: &TestServer, content: Content) -> Self {
        let name = server.janitor().create(content).await;
        let url = server.url_for_programs(&name);
        Self { name, url, server: server.clone() }
    }

    /// The name of the database.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL of the database; its user owns it. Holds the password.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The server that the database is on.
    pub fn server(&self) -> &TestServer {
        &self.server
    }

    /// The options to connect to the database with.
    pub fn options(&self) -> ConnectOptions {
        ConnectOptions::parse(&self.url)
            .unwrap_or_else(|error| panic!("the URL of the test database: {error}"))
    }

    /// A store on a new pool, which opens its connections when they are needed. Two calls are like two processes: they
    /// share nothing.
    ///
    /// # Panics
    /// If the URL of the server has parameters that cannot be used, such as a missing certificate.
    pub fn store(&self) -> Store {
        Store::open(&self.options()).unwrap_or_else(|error| panic!("a store on the test database: {error}"))
    }

    /// A new connection, driven by a task of the current runtime. The user owns the database, and is the superuser unless
    /// the server was given by `PGMILL_TEST_DATABASE_URL`.
    ///
    /// # Panics
    /// If the server cannot be reached.
    pub async fn connect(&self) -> Client {
        let options = ConnectOptions::parse(&self.server.url_for(&self.name))
            .unwrap_or_else(|error| panic!("the URL of the test database: {error}"));
        let (client, driver) = options
            .connect()
            .await
            .unwrap_or_else(|error| panic!("no connection to the test database: {error}"));
        // A test that breaks the connection learns of it from the client.
        tokio::spawn(driver.run());
        client
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        self.server.janitor().discard(&self.name);
    }
}

impl fmt::Debug for TestDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the URL, for it holds a password.
        f.debug_struct("TestDatabase").field("name", &self.name).field("server", &self.server).finish()
    }
}
