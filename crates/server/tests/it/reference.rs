//! What the reference's tests of its handlers ask for, under their names. Those of tasks and metrics are with the others of these.

use serde_json::json;

use crate::fixture::Fixture;
use crate::http::Reply;

const JSON: Option<&str> = Some("application/json");

impl Fixture {
    async fn length(&self, path: &str) -> usize {
        let list = self.get(path).await;
        assert_eq!((list.status, list.header("content-type")), (200, JSON), "{path}");
        list.json()["body"].as_array().map_or(0, Vec::len)
    }

    async fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, "").await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn test_namespace_handler() {
    let fixture = Fixture::with_queue().await;
    let other = fixture.manager.with_namespace("other").unwrap();
    other.register_queue(pgmill::QueueMeta::new("q")).await.unwrap();
    let list = fixture.get("/api/namespace").await;
    assert_eq!((list.status, list.header("content-type")), (200, JSON));
    assert_eq!(list.json()["count"], list.json()["body"].as_array().unwrap().len());
    for namespace in ["default", "other", "pgmill"] {
        assert!(list.json()["body"].as_array().unwrap().contains(&json!(namespace)), "{}", list.body);
    }
    assert_eq!(fixture.post("/api/namespace", &json!({})).await.status, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn test_queue_list() {
    let fixture = Fixture::new().await;
    for number in 0..5 {
        fixture.queue(json!({ "queue": format!("q{number}") })).await;
    }
    for (query, length) in [("", 5), ("?limit=2", 2), ("?offset=2", 3), ("?limit=2&offset=1", 2)] {
        assert_eq!(fixture.length(&format!("/api/queue{query}")).await, length);
    }
    assert_eq!(fixture.get("/api/queue").await.json()["count"], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn test_queue_create() {
    let fixture = Fixture::new().await;
    let created = fixture.post("/api/queue", &json!({ "queue": "q" })).await;
    assert_eq!((created.status, created.header("content-type")), (201, JSON));
    assert_eq!(fixture.post("/api/queue", &json!({ "queue": "q" })).await.status, 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn test_queue_get() {
    let fixture = Fixture::with_queue().await;
    let queue = fixture.get("/api/queue/q").await;
    assert_eq!(
        (queue.status, queue.header("content-type"), &queue.json()["queue"]),
        (200, JSON, &json!("q"))
    );
    assert_eq!(fixture.get("/api/queue/nosuch").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn test_queue_update() {
    let fixture = Fixture::with_queue().await;
    let meta = json!({ "queue": "q", "ttl": 60_000_000_000_u64 });
    let updated = fixture.patch("/api/queue/q", &meta).await;
    assert_eq!((updated.status, &updated.json()["ttl"]), (200, &meta["ttl"]));
    assert_eq!(fixture.patch("/api/queue/nosuch", &meta).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn test_queue_delete() {
    let fixture = Fixture::with_queue().await;
    let deleted = fixture.delete("/api/queue/q").await;
    assert_eq!(
        (deleted.status, deleted.header("content-type"), &deleted.json()["queue"]),
        (200, JSON, &json!("q"))
    );
    assert_eq!(fixture.get("/api/queue/q").await.status, 404);
    assert_eq!(fixture.delete("/api/queue/q").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn test_ticker_list() {
    let fixture = Fixture::new().await;
    for number in 0..5 {
        fixture.post("/api/ticker", &json!({ "ticker": format!("t{number}") })).await;
    }
    for (query, length) in [("", 5), ("?limit=2", 2), ("?offset=2", 3), ("?limit=2&offset=1", 2)] {
        assert_eq!(fixture.length(&format!("/api/ticker{query}")).await, length);
    }
    let accept = [("Accept", "application/json")];
    let list = fixture.http.send("GET", "/api/ticker", &accept, "").await;
    assert_eq!((list.status, list.header("content-type")), (200, JSON));
}

#[tokio::test(flavor = "multi_thread")]
async fn test_ticker_create() {
    let fixture = Fixture::new().await;
    let meta = json!({ "ticker": "t", "duration": "1h" });
    let created = fixture.post("/api/ticker", &meta).await;
    assert_eq!((created.status, created.header("content-type")), (201, JSON));
    assert_eq!(fixture.post("/api/ticker", &meta).await.status, 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn test_ticker_get() {
    let fixture = Fixture::new().await;
    fixture.post("/api/ticker", &json!({ "ticker": "t" })).await;
    let ticker = fixture.get("/api/ticker/t").await;
    assert_eq!(
        (ticker.status, ticker.header("content-type"), &ticker.json()["ticker"]),
        (200, JSON, &json!("t"))
    );
    assert_eq!(fixture.get("/api/ticker/nosuch").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn test_ticker_update() {
    let fixture = Fixture::new().await;
    fixture.post("/api/ticker", &json!({ "ticker": "t" })).await;
    let updated = fixture.patch("/api/ticker/t", &json!({ "ticker": "t" })).await;
    assert_eq!((updated.status, updated.header("content-type")), (200, JSON));
    assert_eq!(fixture.patch("/api/ticker/nosuch", &json!({ "ticker": "nosuch" })).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn test_ticker_delete() {
    let fixture = Fixture::new().await;
    fixture.post("/api/ticker", &json!({ "ticker": "t" })).await;
    let deleted = fixture.delete("/api/ticker/t").await;
    assert_eq!((deleted.status, &deleted.json()["ticker"]), (200, &json!("t")));
    assert_eq!(fixture.get("/api/ticker/t").await.status, 404);
    assert_eq!(fixture.delete("/api/ticker/t").await.status, 404);
}
