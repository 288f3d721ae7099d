//! Looks, one statement after the other: whoever calls a doctor has no connections to spare.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use pgmill_store::{MigrateError, Migrator, ServerFacts, Store, StoreError};
use tokio::time::timeout;

use super::report::{Check, Checkup};
use super::{CheckOptions, notices, queues, schema, server, vacuum};
use crate::manager::Manager;

/// Who looks, and for how long at most.
pub(super) struct Run<'a> {
    manager: &'a Manager,
    options: &'a CheckOptions,
}

/// Why something was not seen.
enum Unseen {
    Late(Duration),
    Failed(StoreError),
}

/// The checks that need a connection.
const ALL: [&str; 20] = [
    "version",
    "writable",
    "isolation",
    "durability",
    "timeouts",
    "connections",
    "notify_queue",
    "wraparound",
    "clock",
    "privileges",
    "migrations",
    "schema",
    "partitions",
    "maintenance",
    "autovacuum",
    "xmin",
    "notify",
    "stuck",
    "failing",
    "unused",
];
/// Those of them that cost next to nothing: they read catalogues and statistics alone.
const READY: [&str; 14] = [
    "version",
    "writable",
    "isolation",
    "durability",
    "timeouts",
    "connections",
    "notify_queue",
    "wraparound",
    "clock",
    "privileges",
    "partitions",
    "maintenance",
    "autovacuum",
    "xmin",
];
/// Those of them whose failure keeps the process from its work.
const ESSENTIAL: [&str; 4] = ["version", "writable", "privileges", "partitions"];

const NO_CONNECTION: &str = "Is PostgreSQL running, and is the URL right: host, port, user, password, database? The details tell what the \
    attempt ended with. A server with no connection left refuses new ones, too: end some, or raise max_connections.";
const NO_LOOK: &str =
    "The details tell why. Run it again; if it stays, look for locks (pg_locks) and for load.";

impl<'a> Run<'a> {
    pub(super) fn new(manager: &'a Manager, options: &'a CheckOptions) -> Self {
        Self { manager, options }
    }

    pub(super) async fn all(&self) -> Checkup {
        let (connection, facts) = self.connect().await;
        let mut checks = vec![connection];
        let Some((facts, skew)) = facts else {
            checks.extend(ALL.map(without_connection));
            return Checkup::of(checks);
        };
        checks.extend(server::all(&facts, skew));
        checks.push(self.privileges().await);
        let (migrations, is_current) = self.migrations().await;
        checks.push(migrations);
        checks.push(self.schema(is_current).await);
        checks.push(self.partitions().await);
        checks.push(self.maintenance().await);
        checks.push(self.autovacuum(&facts).await);
        checks.push(self.xmin(&facts).await);
        checks.push(notices::check(self.manager, self.options.limit).await);
        match self.look(self.store().check_queues()).await {
            Ok(found) => checks.extend(queues::all(&found, self.options.stuck_after)),
            Err(why) => checks.extend(["stuck", "failing", "unused"].map(|name| unseen(name, &why))),
        }
        if self.options.recount {
            let looked = self.look(self.store().check_counts(self.options.limit)).await;
            checks.push(judged("counts", looked, |miscounts| queues::counts(&miscounts)));
        }
        Checkup::of(checks)
    }

    pub(super) async fn ready(&self) -> Checkup {
        let (connection, facts) = self.connect().await;
        let Some((facts, skew)) = facts else {
            let skipped = READY.map(without_connection);
            return Checkup::of([connection].into_iter().chain(skipped).collect());
        };
        let mut checks = vec![connection];
        checks.extend(server::all(&facts, skew));
        checks.push(self.privileges().await);
        checks.push(self.partitions().await);
        checks.push(self.maintenance().await);
        checks.push(self.autovacuum(&facts).await);
        checks.push(self.xmin(&facts).await);
        let is_essential = |check: &Check| ESSENTIAL.contains(&check.name);
        let weighed = |check| if is_essential(&check) { check } else { check.at_most_warn() };
        Checkup::of(checks.into_iter().map(weighed).collect())
    }

    fn store(&self) -> &Store {
        self.manager.store()
    }

    async fn look<T>(&self, look: impl Future<Output = Result<T, StoreError>>) -> Result<T, Unseen> {
        let limit = self.options.limit;
        let looked = timeout(limit, look).await;
        looked.map_err(|_| Unseen::Late(limit))?.map_err(Unseen::Failed)
    }

    /// Whether there is a connection; and if so, what the server is, and by how many seconds its clock is ahead of this host's.
    async fn connect(&self) -> (Check, Option<(ServerFacts, f64)>) {
        let name = "connection";
        // The first look may be what opens the connection, and the clock is to be read in the midst of one that is not.
        let looked = match self.look(self.store().check_server()).await {
            Ok(_) => {
                let (sent, begun) = (Timestamp::now(), Instant::now());
                let looked = self.look(self.store().check_server()).await;
                looked.map(|facts| (facts, sent, begun.elapsed()))
            }
            Err(why) => Err(why),
        };
        match looked {
            Ok((facts, sent, took)) => {
                let seen = format!("answered within {} ms", took.as_millis() + 1);
                let ahead = facts.clock.duration_since(sent).as_secs_f64() - took.as_secs_f64() / 2.0;
                (Check::ok(name, seen), Some((facts, ahead)))
            }
            Err(why) => {
                let (seen, detail) = why.words();
                (Check::fail(name, seen, NO_CONNECTION).details(detail), None)
            }
        }
    }

    async fn privileges(&self) -> Check {
        let looked = self.look(self.store().check_privileges()).await;
        judged("privileges", looked, |lacks| schema::privileges(&lacks))
    }

    /// The check, and whether all that this version knows is there and nothing else.
    async fn migrations(&self) -> (Check, bool) {
        let name = "migrations";
        let missing = async {
            match Migrator::new(self.store()).missing().await {
                Ok(missing) => Ok(Ok(missing)),
                Err(MigrateError::Store(error) | MigrateError::Forbidden(error)) => Err(error),
                Err(refused) => Ok(Err(refused.to_string())),
            }
        };
        match self.look(missing).await {
            Ok(Ok(missing)) if missing.is_empty() => {
                let looked = self.look(self.store().check_migrations()).await;
                let is_current = looked.as_ref().is_ok_and(|odd| !schema::are_newer(odd));
                (judged(name, looked, |odd| schema::migrations(&odd)), is_current)
            }
            Ok(Ok(missing)) => (schema::missing(&missing), false),
            Ok(Err(refused)) => (schema::refused(refused), false),
            Err(why) => (unseen(name, &why), false),
        }
    }

    async fn schema(&self, is_current: bool) -> Check {
        if !is_current {
            return Check::skipped("schema", "it is of another version than this program: see migrations");
        }
        let looked = self.look(self.store().check_schema()).await;
        judged("schema", looked, |drift| schema::drift(&drift))
    }

    async fn partitions(&self) -> Check {
        let looked = self.look(self.store().check_partitions()).await;
        judged("partitions", looked, |days| schema::partitions(&days))
    }

    async fn maintenance(&self) -> Check {
        let looked = self.look(self.store().check_jobs()).await;
        judged("maintenance", looked, |jobs| schema::maintenance(&jobs))
    }

    async fn autovacuum(&self, facts: &ServerFacts) -> Check {
        let looked = self.look(self.store().check_vacuum()).await;
        judged("autovacuum", looked, |tables| vacuum::autovacuum(facts, &tables))
    }

    async fn xmin(&self, facts: &ServerFacts) -> Check {
        let looked = self.look(self.store().check_holders()).await;
        judged("xmin", looked, |holders| vacuum::xmin(facts, &holders, self.options.old_transaction))
    }
}

fn judged<T>(name: &'static str, looked: Result<T, Unseen>, judge: impl FnOnce(T) -> Check) -> Check {
    match looked {
        Ok(seen) => judge(seen),
        Err(why) => unseen(name, &why),
    }
}

fn without_connection(name: &'static str) -> Check {
    Check::skipped(name, "there is no connection")
}

/// What could not be looked at. Without the tables of pgmill, or without the right to read them, that is said elsewhere already.
fn unseen(name: &'static str, why: &Unseen) -> Check {
    if let Unseen::Failed(error) = why {
        match error.sqlstate() {
            Some("42P01" | "42883" | "42703" | "3F000") => {
                return Check::skipped(name, "what it looks at is not there: see migrations");
            }
            Some("42501") => return Check::skipped(name, "the role may not look: see privileges"),
            _ => {}
        }
    }
    let (seen, detail) = why.words();
    Check::warn(name, seen, NO_LOOK).details(detail)
}

impl Unseen {
    /// What to tell everybody, and what only those who may know of hosts and statements.
    fn words(&self) -> (String, Option<String>) {
        match self {
            Self::Late(limit) => (format!("no answer within {limit:?}"), None),
            Self::Failed(error) => (error.to_string(), Some(causes(error))),
        }
    }
}

/// What an error comes from, down to its ground.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_words = cause.to_string();
        if !words.contains(&cause_words) {
            words.push_str(": ");
            words.push_str(&cause_words);
        }
        next = cause.source();
    }
    words
}
