//! A server with a database of its own.

use pgmill::Manager;
use pgmill_server::{Api, Options};
use pgmill_testkit::TestDatabase;
use tokio::net::TcpListener;

use crate::http::{Http, Reply};

pub(crate) struct Fixture {
    pub(crate) database: TestDatabase,
    pub(crate) manager: Manager,
    pub(crate) api: Api,
    pub(crate) http: Http,
}

impl Fixture {
    /// A server of the namespace `default`, under the prefix `/api`.
    pub(crate) async fn new() -> Self {
        Self::with(Options::new()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        Self::on(TestDatabase::create().await, options).await
    }

    pub(crate) async fn on(database: TestDatabase, options: Options) -> Self {
        let url = database.url().to_owned();
        Self::by(database, &url, options).await
    }

    /// On this database, which is reached by a way of its own.
    pub(crate) async fn by(database: TestDatabase, url: &str, options: Options) -> Self {
        let manager = Manager::connect(url).namespace("default").await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = Http::new(listener.local_addr().unwrap());
        let api = Api::new(manager.clone(), options);
        let app = api.router();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { database, manager, api, http }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.http.send("GET", path, &[], "").await
    }

    /// With a body of JSON.
    pub(crate) async fn send(&self, method: &str, path: &str, body: &str) -> Reply {
        self.http.send(method, path, &[("Content-Type", "application/json")], body).await
    }
}
