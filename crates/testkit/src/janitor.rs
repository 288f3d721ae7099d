//! Makes and drops the databases of a server, one after the other, in a thread of its own: a test's runtime ends with the
//! test, and cannot be waited for when a database is dropped.

use std::hash::{BuildHasher, RandomState};
use std::thread;

use pgmill_store::{ConnectOptions, Migrator, Store};
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::Client;

use crate::url::Url;

/// What a new database holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Empty,
    Migrated,
}

/// A database to make, and who wants to know its name.
#[derive(Debug)]
struct Order {
    content: Content,
    name: oneshot::Sender<Result<String, String>>,
}

/// The sending ends; the thread ends with them.
#[derive(Debug)]
pub(crate) struct Janitor {
    orders: mpsc::UnboundedSender<Order>,
    discards: mpsc::UnboundedSender<String>,
    shared: bool,
}

impl Janitor {
    /// `shared`: many tests use the server, so that dropping databases is worth it. `lasting`: the server outlives this
    /// process, so that databases of processes which were killed may be found on it.
    pub(crate) fn start(url: String, shared: bool, lasting: bool) -> Self {
        let (orders, ordered) = mpsc::unbounded_channel();
        let (discards, discarded) = mpsc::unbounded_channel();
        thread::Builder::new()
            .name("pgmill-testkit-janitor".to_owned())
            .spawn(move || work(Workplace::new(url, lasting), ordered, discarded))
            .unwrap_or_else(|error| {
                panic!("the thread that makes test databases could not be started: {error}")
            });
        Self { orders, discards, shared }
    }

    pub(crate) fn shared(&self) -> bool {
        self.shared
    }

    /// Makes a database and returns its name.
    pub(crate) async fn create(&self, content: Content) -> String {
        let (name, answer) = oneshot::channel();
        // An order that cannot be sent is dropped, and its answer with it.
        let _ = self.orders.send(Order { content, name });
        match answer.await {
            Ok(Ok(name)) => name,
            Ok(Err(error)) => panic!("no test database: {error}"),
            Err(_) => panic!("no test database: the thread that makes them has ended"),
        }
    }

    pub(crate) fn discard(&self, name: &str) {
        if self.shared {
            // When the thread is gone, the process is ending, and the server with it.
            let _ = self.discards.send(name.to_owned());
        }
    }
}

fn work(
    mut place: Workplace,
    mut ordered: mpsc::UnboundedReceiver<Order>,
    mut discarded: mpsc::UnboundedReceiver<String>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("no runtime for the thread that makes test databases: {error}"),
    };
    runtime.block_on(async {
        loop {
            tokio::select! {
                // A test waits for the one, nobody for the other.
                biased;
                Some(Order { content, name }) = ordered.recv() => {
                    // A test that was cancelled meanwhile has no use for the database.
                    if let Err(Ok(unwanted)) = name.send(place.create(content).await) {
                        let _ = place.discard(&unwanted).await;
                    }
                }
                // At worst the database stays.
                Some(name) = discarded.recv() => drop(place.discard(&name).await),
                else => return,
            }
        }
    });
}

struct Workplace {
    url: String,
    /// Starts the name of every database of this process, and names its connection, by which other processes see that
    /// the databases are in use.
    tag: String,
    made: u64,
    template: Option<String>,
    admin: Option<Client>,
    sweep: bool,
}

impl Workplace {
    fn new(url: String, lasting: bool) -> Self {
        let tag = format!("pgmill_test_{:016x}", RandomState::new().hash_one(std::process::id()));
        Self { url, tag, made: 0, template: None, admin: None, sweep: lasting }
    }

    async fn create(&mut self, content: Content) -> Result<String, String> {
        let template = match content {
            Content::Empty => "template0".to_owned(),
            Content::Migrated => self.template().await?,
        };
        let name = self.next_name();
        self.run(&format!("create database {name} template {template}")).await?;
        Ok(name)
    }

    async fn discard(&mut self, name: &str) -> Result<(), String> {
        self.run(&format!("drop database if exists {name} with (force)")).await
    }

    /// The migrated database, which is made when it is first needed.
    async fn template(&mut self) -> Result<String, String> {
        if let Some(template) = &self.template {
            return Ok(template.clone());
        }
        let name = self.next_name();
        self.run(&format!("create database {name} template template0")).await?;
        let store = Store::open(&self.options(&name)?).map_err(describe)?;
        Migrator::new(&store).run().await.map_err(describe)?;
        store.pool().close();
        self.template = Some(name.clone());
        Ok(name)
    }

    fn next_name(&mut self) -> String {
        self.made += 1;
        format!("{}_{}", self.tag, self.made)
    }

    fn options(&self, database: &str) -> Result<ConnectOptions, String> {
        let url = Url::parse(&self.url).with_database(database).to_string();
        Ok(ConnectOptions::parse(&url).map_err(describe)?.with_application_name(&self.tag))
    }

    /// Runs a statement, on a new connection if the server was restarted.
    async fn run(&mut self, statement: &str) -> Result<(), String> {
        let admin = match self.admin.take().filter(|admin| !admin.is_closed()) {
            Some(admin) => admin,
            None => self.connect().await?,
        };
        let done = admin.batch_execute(statement).await.map_err(describe);
        self.admin = Some(admin);
        done
    }

    async fn connect(&mut self) -> Result<Client, String> {
        let database = Url::parse(&self.url).database;
        let (admin, driver) = self.options(database)?.connect().await.map_err(describe)?;
        tokio::spawn(driver.run());
        if self.sweep {
            sweep(&admin).await.map_err(describe)?;
            self.sweep = false;
        }
        Ok(admin)
    }
}

/// Drops what processes that were killed have left. Those that run are seen by their connection.
async fn sweep(admin: &Client) -> Result<(), tokio_postgres::Error> {
    const LEFT: &str = r"
        select datname from pg_catalog.pg_database
        where datname ~ '^pgmill_test_[0-9a-f]{16}_[0-9]+$'
          and substr(datname::text, 1, 28) not in (select application_name from pg_catalog.pg_stat_activity)";
    for row in admin.query(LEFT, &[]).await? {
        let name: &str = row.try_get(0)?;
        // Another process may be sweeping too.
        let _ = admin.batch_execute(&format!("drop database if exists {name} with (force)")).await;
    }
    Ok(())
}

/// An error with its causes, in one line.
fn describe(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
