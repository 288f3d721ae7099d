//! The few steps that tests of tasks take.

use serde_json::{Value, json};

use crate::fixture::Fixture;
use crate::http::Reply;

impl Fixture {
    /// A server with the queue `q`, of defaults.
    pub(crate) async fn with_queue() -> Self {
        let fixture = Self::new().await;
        fixture.queue(json!({ "queue": "q" })).await;
        fixture
    }

    pub(crate) async fn queue(&self, meta: Value) {
        let created = self.send("POST", "/api/queue", &meta.to_string()).await;
        assert_eq!(created.status, 201, "{}", created.body);
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, &body.to_string()).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Reply {
        self.send("PATCH", path, &body.to_string()).await
    }

    /// Without a body or anything said about one.
    pub(crate) async fn put(&self, path: &str) -> Reply {
        self.http.send("PUT", path, &[], "").await
    }

    /// Creates a task in `q` with this payload.
    pub(crate) async fn task(&self, payload: impl Into<Value>) -> Value {
        let created = self.post("/api/task", &json!({ "queue": "q", "payload": payload.into() })).await;
        assert_eq!(created.status, 201, "{}", created.body);
        created.json()
    }

    /// Retains a task of `q`, which there must be.
    pub(crate) async fn retained(&self) -> Value {
        let retained = self.put("/api/task/q?worker=w").await;
        assert_eq!(retained.status, 201, "{}", retained.body);
        retained.json()
    }
}

/// The names of the keys of an object, in their order.
pub(crate) fn keys(reply: &Reply) -> Vec<String> {
    let lines = reply.body.lines().filter_map(|line| line.strip_prefix("  \""));
    lines.filter_map(|line| line.split_once('"')).map(|(key, _)| key.to_owned()).collect()
}

/// What an error of the contract looks like, with the name that ours has beside.
#[track_caller]
pub(crate) fn assert_error(reply: &Reply, status: u16, reason: &str, detail: Option<Value>, name: &str) {
    let mut expected = json!({ "code": status, "reason": reason, "error": name });
    if let Some(detail) = detail {
        expected["detail"] = detail;
    }
    assert_eq!((reply.status, reply.json()), (status, expected));
    assert_eq!(reply.header("content-type"), Some("application/json"));
}
