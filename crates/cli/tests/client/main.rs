//! The client against the server: what one sends, the other understands.

mod admin;
mod bombs;
mod queues;
mod streams;
mod tasks;
mod tickers;

use std::net::SocketAddr;

use pgmill::Manager;
use pgmill_client::Client;
use pgmill_server::{Api, Options, ServeOptions, Server};
use pgmill_testkit::TestDatabase;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A server with a database of its own, and a client of it.
struct Fixture {
    client: Client,
    manager: Manager,
    address: SocketAddr,
    _database: TestDatabase,
    _running: DropGuard,
}

impl Fixture {
    async fn new() -> Self {
        Self::with(Options::new()).await
    }

    async fn with(options: Options) -> Self {
        let database = TestDatabase::create().await;
        let manager = Manager::connect(database.url()).namespace("default").await.expect("a manager");
        let api = Api::new(manager.clone(), options);
        let server = Server::new(api.router(), ServeOptions::new()).expect("a server");
        let listener = server.listen("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let client = Client::builder(format!("http://{address}/api")).build().expect("a client");
        let shutdown: CancellationToken = api.shutdown();
        tokio::spawn(server.run(listener, shutdown.clone()));
        Self { client, manager, address, _database: database, _running: shutdown.drop_guard() }
    }
}
