//! A database that is out of reach, or whose answers get lost: what the tests of that share.

use std::time::Duration;

use pgmill::{BatchOptions, Manager, QueueMeta};
use pgmill_testkit::{ChaosProxy, CutPoint, Direction, TestDatabase, wait_until};
use tokio_postgres::Client;

use crate::scene::{LIMIT, QUEUE, builder, number};

pub(crate) const POINTS: [CutPoint; 4] =
    [CutPoint::BeforeRequest, CutPoint::AfterRequest, CutPoint::BeforeAnswer, CutPoint::MidAnswer];

/// A manager whose connections go through a proxy, and a connection that does not.
pub(crate) struct Line {
    pub(crate) database: TestDatabase,
    pub(crate) proxy: ChaosProxy,
    pub(crate) manager: Manager,
    pub(crate) client: Client,
}

impl Line {
    pub(crate) async fn new() -> Self {
        Self::with(BatchOptions::default(), LIMIT).await
    }

    pub(crate) async fn with(batching: BatchOptions, deadline: Duration) -> Self {
        Self::over(batching, deadline, 10).await
    }

    /// With one connection, so that there is none when the proxy has cut it and refuses another; and what cannot be settled
    /// is given up soon.
    pub(crate) async fn single() -> Self {
        Self::over(BatchOptions::default().settle(Duration::from_millis(300)), LIMIT, 1).await
    }

    async fn over(batching: BatchOptions, deadline: Duration, connections: usize) -> Self {
        let database = TestDatabase::create().await;
        let client = database.connect().await;
        let proxy = ChaosProxy::start(database.url()).await;
        let url = proxy.url_for(database.url()) + &format!("&connect_timeout=1&pool_max_conns={connections}");
        let manager =
            builder(&url).batching(batching).deadline(deadline).tell_others(connections > 1).await.unwrap();
        manager.register_queue(QueueMeta::new(QUEUE)).await.unwrap();
        Self { database, proxy, manager, client }
    }

    /// How many tasks there are, live, finished and gone without history.
    pub(crate) async fn tasks(&self) -> i64 {
        let tasks = "select (select count(*) from pgmill.task) + (select count(*) from pgmill.task_finished)
            + (select coalesce(sum(cardinality(ids)), 0)::bigint from pgmill.task_gone)";
        number(&self.client, tasks).await
    }

    /// How many statements of the manager the server has not ended.
    pub(crate) async fn is_quiet(&self) -> bool {
        let busy = "select count(*) from pg_stat_activity where datname = current_database()
            and pid <> pg_backend_pid() and state <> 'idle'";
        number(&self.client, busy).await == 0
    }
}

/// A manager that reaches the database by two ways: by the second, if the first refuses.
pub(crate) struct TwoLines {
    pub(crate) database: TestDatabase,
    pub(crate) first: ChaosProxy,
    pub(crate) manager: Manager,
    pub(crate) client: Client,
    _second: ChaosProxy,
}

impl TwoLines {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        let client = database.connect().await;
        let first = ChaosProxy::start(database.url()).await;
        let second = ChaosProxy::start(database.url()).await;
        let one = first.address().to_string();
        let both = format!("{one},{}", second.address());
        let url = first.url_for(database.url()).replace(&one, &both);
        // On one connection, on which everything is prepared.
        let manager = builder(&url)
            .tell_others(false)
            .batching(BatchOptions::default().floors(false))
            .deadline(Duration::from_millis(500))
            .await
            .unwrap();
        manager.register_queue(QueueMeta::new(QUEUE)).await.unwrap();
        Self { database, first, manager, client, _second: second }
    }

    /// Keeps what is sent on the first way. The manager gives it up after a while, and takes the second.
    pub(crate) fn hold(&self) {
        self.first.hold(Direction::ToServer);
        self.first.refuse(true);
    }

    /// Delivers what was kept, and waits until the server is through with it.
    pub(crate) async fn deliver(&self) {
        self.first.release(Direction::ToServer);
        wait_until("the late request to end", LIMIT, async || self.first.connections() == 0).await;
    }
}
