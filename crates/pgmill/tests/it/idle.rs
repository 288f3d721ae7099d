//! What a pool asks of the database while there is nothing to do.

use std::time::Duration;

use pgmill::{ConnectOptions, Context, Outcome, QueueMeta, QueueOptions, WorkerPool};
use pgmill_testkit::TestDatabase;
use tokio_postgres::Client;

use crate::pool_scene::Running;
use crate::scene::{QUEUE, builder};

/// How long a pool has until it waits as one that has nothing to do.
const START: Duration = Duration::from_secs(12);
const WATCHED: Duration = Duration::from_secs(20);
/// Two a second, and some for a busy machine, on which claims are judged now and then.
const MOST: i64 = 40 + 15;

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

    /// All transactions so far, and each statement is one. A connection tells of its own a second later, or with the next.
    async fn statements(&self) -> i64 {
        let statements =
            "SELECT (xact_commit + xact_rollback)::bigint FROM pg_stat_database WHERE datname = $1";
        self.number(statements).await
    }

    async fn number(&self, query: &str) -> i64 {
        self.client.query_one(query, &[&self.database.name()]).await.unwrap().get(0)
    }
}

#[tokio::test]
async fn an_idle_pool_sends_at_most_two_statements_a_second_maintenance_included() {
    let database = TestDatabase::create().await;
    let watcher = Watcher::of(&database).await;
    let manager = builder(database.url()).await.unwrap();
    manager.register_queue(QueueMeta::new(QUEUE)).await.unwrap();
    let pool = WorkerPool::builder(&manager).build().unwrap();
    let handler = |_: Context| async { Outcome::done_empty() };
    pool.register_raw(&[QUEUE], QueueOptions::new(), handler).await.unwrap();
    let pool = Running::start(pool);
    tokio::time::sleep(START).await;
    let before = watcher.statements().await;
    tokio::time::sleep(WATCHED).await;
    let sent = watcher.statements().await - before;
    pool.stop().await;
    assert!(sent > 0, "nothing was counted");
    assert!(sent <= MOST, "{sent} statements in {WATCHED:?}");
}
