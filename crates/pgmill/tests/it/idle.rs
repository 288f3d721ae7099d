//! What a pool asks of the database while there is nothing to do.

use std::time::Duration;

use pgmill::{ConnectOptions, Context, Outcome, QueueMeta, QueueOptions, WorkerPool};
use pgmill_testkit::{TestDatabase, wait_until};
use tokio_postgres::Client;

use crate::pool_scene::Running;
use crate::scene::{LIMIT, QUEUE, builder};

/// How long a pool has until it waits as one that has nothing to do.
const START: Duration = Duration::from_secs(8);
const WATCHED: Duration = Duration::from_secs(20);
/// Two a second.
const MOST: i64 = 40;

/// Counts what is done in a database from outside of it.
struct Watcher<'a> {
    client: Client,
    database: &'a TestDatabase,
}

impl<'a> Watcher<'a> {
    async fn of(database: &'a TestDatabase) -> Self {
        let options = ConnectOptions::parse(&database.server().url()).unwrap();
        let (client, driver) = options.connect().await.unwrap();
        tokio::spawn(driver.run());
        Self { client, database }
    }

    /// All transactions so far, and each statement is one. A connection has told of all of its own when it has ended.
    async fn statements(&self) -> i64 {
        let connections = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = $1 AND backend_type = 'client backend'";
        wait_until("the connections to end", LIMIT, async || self.number(connections).await == 0).await;
        let statements =
            "SELECT (xact_commit + xact_rollback)::bigint FROM pg_stat_database WHERE datname = $1";
        self.number(statements).await
    }

    async fn number(&self, query: &str) -> i64 {
        self.client.query_one(query, &[&self.database.name()]).await.unwrap().get(0)
    }
}

/// What a pool has sent in so much time, from its start to its end.
async fn sent_in(time: Duration) -> i64 {
    let database = TestDatabase::create().await;
    let watcher = Watcher::of(&database).await;
    let registrar = builder(database.url()).await.unwrap();
    registrar.register_queue(QueueMeta::new(QUEUE)).await.unwrap();
    registrar.close().await;
    drop(registrar);
    let before = watcher.statements().await;

    let manager = builder(database.url()).await.unwrap();
    let pool = WorkerPool::builder(&manager).maintenance(false).build().unwrap();
    let handler = |_: Context| async { Outcome::done_empty() };
    pool.register_raw(&[QUEUE], QueueOptions::new(), handler).await.unwrap();
    let pool = Running::start(pool);
    tokio::time::sleep(time).await;
    pool.stop().await;
    manager.close().await;
    drop(manager);
    watcher.statements().await - before
}

#[tokio::test]
async fn an_idle_pool_that_does_not_maintain_sends_at_most_two_statements_a_second() {
    // What the start and the end take is in both.
    let (short, long) = tokio::join!(sent_in(START), sent_in(START + WATCHED));
    assert!(short > 0, "nothing was counted");
    let sent = long - short;
    assert!(sent <= MOST, "{sent} statements in {WATCHED:?}");
}
