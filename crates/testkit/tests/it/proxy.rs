//! The proxy: passes everything on, until it is told not to.

use std::time::{Duration, Instant};

use pgmill_store::{ConnectError, ConnectOptions};
use pgmill_testkit::{ChaosProxy, Direction, StopMode, TestDatabase, TestServer, wait_until};
use tokio::task::JoinHandle;
use tokio_postgres::Client;

pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A database with the table `mark (number)`, a proxy before it, and a connection that avoids the proxy.
pub(crate) struct Scene {
    pub(crate) database: TestDatabase,
    pub(crate) proxy: ChaosProxy,
    pub(crate) witness: Client,
}

/// Of the server itself, which is what the proxy is for.
fn url_of(database: &TestDatabase) -> String {
    database.server().url_for(database.name())
}

impl Scene {
    pub(crate) async fn set() -> Self {
        let database = TestDatabase::empty().await;
        let proxy = ChaosProxy::start(&url_of(&database)).await;
        let witness = database.connect().await;
        witness.batch_execute("create table public.mark (number bigint)").await.expect("the table");
        Self { database, proxy, witness }
    }

    /// A connection through the proxy.
    pub(crate) async fn client(&self) -> Client {
        self.try_client().await.expect("a connection").0
    }

    /// A connection through the proxy, and the task that drives it, whose end is the end of the connection.
    async fn try_client(&self) -> Result<(Client, JoinHandle<()>), ConnectError> {
        let url = self.proxy.url_for(&url_of(&self.database)) + "&application_name=proxied";
        let (client, driver) = ConnectOptions::parse(&url)?.connect().await?;
        Ok((client, tokio::spawn(async { drop(driver.run().await) })))
    }

    /// How many rows there are, whoever asks.
    pub(crate) async fn rows(&self) -> i64 {
        self.witness.query_one("select count(*) from public.mark", &[]).await.expect("a count").get(0)
    }

    /// How many connections through the proxy the server has.
    async fn backends(&self) -> i64 {
        let count = "select count(*) from pg_catalog.pg_stat_activity
            where datname = current_database() and application_name = 'proxied'";
        self.witness.query_one(count, &[]).await.expect("a count").get(0)
    }
}

pub(crate) const INSERT: &str = "insert into public.mark values (1)";

#[tokio::test]
async fn everything_passes() {
    let scene = Scene::set().await;
    let client = scene.client().await;
    let large = "x".repeat(3 << 20);
    let echo = client.query_one("select $1::text", &[&large]).await.unwrap();
    assert_eq!(echo.get::<_, &str>(0), large);
    client.batch_execute("begin; insert into public.mark values (1); commit").await.unwrap();
    client.query("select no_such_column", &[]).await.unwrap_err();
    assert_eq!(scene.rows().await, 1);
    assert_eq!(scene.proxy.connections(), 1);
    drop(client);
    wait_until("the proxy to see the end", LIMIT, async || scene.proxy.connections() == 0).await;
    wait_until("the server to see the end", LIMIT, async || scene.backends().await == 0).await;
}

#[tokio::test]
async fn a_cut_breaks_every_connection_and_lets_new_ones_in() {
    let scene = Scene::set().await;
    let (one, two) = (scene.client().await, scene.client().await);
    scene.proxy.cut();
    assert_eq!(scene.proxy.connections(), 0);
    one.batch_execute(INSERT).await.unwrap_err();
    wait_until("the client to notice", LIMIT, async || two.is_closed()).await;
    wait_until("the server to notice", LIMIT, async || scene.backends().await == 0).await;

    scene.client().await.batch_execute(INSERT).await.unwrap();
    assert_eq!(scene.rows().await, 1);
}

#[tokio::test]
async fn a_proxy_that_refuses_keeps_the_connections_it_has() {
    let scene = Scene::set().await;
    let client = scene.client().await;
    scene.proxy.refuse(true);
    scene.try_client().await.unwrap_err();
    client.batch_execute(INSERT).await.unwrap();
    scene.proxy.refuse(false);
    scene.client().await.batch_execute(INSERT).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_down_closes_its_clients_connections() {
    let server = TestServer::own();
    let database = TestDatabase::empty_on(&server).await;
    let proxy = ChaosProxy::start(&url_of(&database)).await;
    let witness = database.connect().await;
    let scene = Scene { database, proxy, witness };
    let client = scene.client().await;
    server.halt(StopMode::Immediate).await;
    wait_until("the connection to break", LIMIT, async || client.is_closed()).await;
    scene.try_client().await.unwrap_err();
    server.resume().await;
    scene.client().await.batch_execute("select").await.unwrap();
}

#[tokio::test]
async fn swallowed_requests_never_arrive_and_leave_the_connection_silent() {
    let scene = Scene::set().await;
    let client = scene.client().await;
    scene.proxy.swallow(Direction::ToServer, true);
    let request = tokio::spawn(async move { client.batch_execute(INSERT).await });
    wait_until("the request", LIMIT, async || scene.proxy.swallowed(Direction::ToServer) > 0).await;
    scene.proxy.swallow(Direction::ToServer, false);

    scene.client().await.batch_execute("select").await.unwrap();
    assert!(!request.is_finished());
    assert_eq!(scene.rows().await, 0);
    scene.proxy.cut();
    request.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_server_does_not_see_the_client_go_when_that_is_swallowed() {
    let scene = Scene::set().await;
    let (client, driver) = scene.try_client().await.unwrap();
    scene.proxy.swallow(Direction::ToServer, true);
    drop(client);
    driver.await.unwrap();
    wait_until("the farewell", LIMIT, async || scene.proxy.swallowed(Direction::ToServer) > 0).await;
    scene.proxy.swallow(Direction::ToServer, false);

    let other = scene.client().await;
    other.batch_execute("select").await.unwrap();
    assert_eq!((scene.backends().await, scene.proxy.connections()), (2, 2));
    scene.proxy.cut();
    wait_until("the server to notice", LIMIT, async || scene.backends().await == 0).await;
}

#[tokio::test]
async fn swallowed_answers_leave_the_client_waiting_for_what_has_happened() {
    let scene = Scene::set().await;
    let client = scene.client().await;
    scene.proxy.swallow(Direction::ToClient, true);
    let request = tokio::spawn(async move { client.batch_execute(INSERT).await });
    wait_until("the answer", LIMIT, async || scene.proxy.swallowed(Direction::ToClient) > 0).await;
    assert_eq!(scene.rows().await, 1);
    assert!(!request.is_finished());
    scene.proxy.cut();
    request.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn held_requests_arrive_after_their_client_has_gone() {
    let scene = Scene::set().await;
    let (client, driver) = scene.try_client().await.unwrap();
    scene.proxy.hold(Direction::ToServer);
    let request = tokio::spawn(async move { client.batch_execute(INSERT).await });
    wait_until("the request", LIMIT, async || scene.proxy.waiting(Direction::ToServer) >= INSERT.len()).await;
    driver.abort();
    request.await.unwrap().unwrap_err();
    assert_eq!((scene.rows().await, scene.backends().await), (0, 1));

    scene.proxy.release(Direction::ToServer);
    wait_until("the row of a client that is gone", LIMIT, async || scene.rows().await == 1).await;
    wait_until("the end of its connection", LIMIT, async || scene.backends().await == 0).await;
    assert_eq!(scene.proxy.waiting(Direction::Both), 0);
}

#[tokio::test]
async fn held_answers_are_delivered_in_order() {
    let scene = Scene::set().await;
    let client = scene.client().await;
    scene.proxy.hold(Direction::ToClient);
    let numbers = tokio::spawn(async move {
        let ask = async |number: &str| client.simple_query(&format!("select {number}")).await.map(drop);
        tokio::try_join!(ask("1"), ask("2"), client.batch_execute(INSERT))
    });
    wait_until("the row", LIMIT, async || scene.rows().await == 1).await;
    wait_until("the answers", LIMIT, async || scene.proxy.waiting(Direction::ToClient) > 0).await;
    assert!(!numbers.is_finished());
    scene.proxy.release(Direction::ToClient);
    numbers.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_held_is_lost_in_a_cut() {
    let scene = Scene::set().await;
    let client = scene.client().await;
    scene.proxy.hold(Direction::ToServer);
    let request = tokio::spawn(async move { client.batch_execute(INSERT).await });
    wait_until("the request", LIMIT, async || scene.proxy.waiting(Direction::ToServer) > 0).await;
    scene.proxy.cut();
    scene.proxy.release(Direction::ToServer);
    request.await.unwrap().unwrap_err();
    wait_until("the server to notice", LIMIT, async || scene.backends().await == 0).await;
    assert_eq!(scene.rows().await, 0);
}

#[tokio::test]
async fn a_delay_is_added_to_each_way() {
    let scene = Scene::set().await;
    let client = scene.client().await;
    let delay = Duration::from_millis(40);
    scene.proxy.delay(Direction::Both, delay);
    let start = Instant::now();
    client.batch_execute("select").await.unwrap();
    assert!(start.elapsed() >= 2 * delay, "{:?}", start.elapsed());

    scene.proxy.delay(Direction::Both, Duration::from_secs(3600));
    let request = tokio::spawn(async move { client.batch_execute(INSERT).await });
    wait_until("the request", LIMIT, async || scene.proxy.waiting(Direction::ToServer) > 0).await;
    scene.proxy.delay(Direction::Both, Duration::ZERO);
    request.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_dropped_proxy_closes_its_connections() {
    let scene = Scene::set().await;
    let client = scene.client().await;
    let Scene { proxy, database: _database, .. } = scene;
    drop(proxy);
    wait_until("the connection to break", LIMIT, async || client.is_closed()).await;
}
