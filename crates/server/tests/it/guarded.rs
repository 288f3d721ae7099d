//! A server that asks for tokens.

use pgmill::{NewToken, Role, TokenMeta};
use pgmill_server::Options;

use crate::fixture::Fixture;
use crate::http::Reply;

impl Fixture {
    /// A server that asks for tokens, and has the queue `q`.
    pub(crate) async fn guarded(options: Options) -> Self {
        let fixture = Self::with(options.auth(true)).await;
        fixture.manager.register_queue(pgmill::QueueMeta::new("q")).await.unwrap();
        fixture
    }

    /// A token for all namespaces, which is named after its role.
    pub(crate) async fn token(&self, role: Role) -> NewToken {
        self.token_of(TokenMeta::new(role.as_str(), role)).await
    }

    pub(crate) async fn token_of(&self, meta: TokenMeta) -> NewToken {
        self.manager.create_token(meta, "cli").await.unwrap()
    }

    /// A request with a token, and its answer; of a stream the head.
    pub(crate) async fn with_token(&self, token: &str, method: &str, path: &str, body: &str) -> Reply {
        let bearer = format!("Bearer {token}");
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        self.http.open(method, path, &headers, body).await
    }

    /// `GET /queue` with this value of `Authorization`.
    pub(crate) async fn authorized(&self, value: &str) -> Reply {
        self.http.send("GET", "/api/queue", &[("Authorization", value)], "").await
    }

    pub(crate) async fn sql(&self, sql: &str) {
        let client = self.database.connect().await;
        client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
}
