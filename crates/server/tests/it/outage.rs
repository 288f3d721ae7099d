//! What a client is told while PostgreSQL is away.

use std::time::Duration;

use pgmill_server::Options;
use pgmill_testkit::{ChaosProxy, CutPoint, StopMode, TestDatabase, TestServer, wait_until};
use serde_json::json;
use tokio::task::JoinSet;

use crate::fixture::Fixture;

const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn while_postgresql_is_away_every_route_answers_503_and_after_that_it_works_again() {
    let server = TestServer::own();
    let database = TestDatabase::create_on(&server).await;
    let fixture = Fixture::on(database, Options::new()).await;
    fixture.queue(json!({ "queue": "q" })).await;
    let task = fixture.task(1).await;
    let task = format!("/api/task/{}", task["id"]);
    let retained = fixture.retained().await;
    server.halt(StopMode::Immediate).await;

    let lease = json!({ "lease": retained["lease"] });
    let (retry, heartbeat) = (format!("{task}/retry"), format!("{task}/heartbeat"));
    let meta = json!({ "queue": "q", "ticker": "t", "payload": 1 });
    let requests = [
        ("GET", "/api/namespace", json!({})),
        ("GET", "/api/queue", json!({})),
        ("POST", "/api/queue", meta.clone()),
        ("GET", "/api/queue/q", json!({})),
        ("PATCH", "/api/queue/q", json!({ "retries": 2 })),
        ("DELETE", "/api/queue/q", json!({})),
        ("POST", "/api/queue/q/pause", json!({})),
        ("POST", "/api/queue/q/resume", json!({})),
        ("GET", "/api/queue/q/status", json!({})),
        ("GET", "/api/status", json!({})),
        ("GET", "/api/task", json!({})),
        ("POST", "/api/task", meta.clone()),
        ("POST", "/api/task", json!([meta])),
        ("PUT", "/api/task?worker=w", json!({})),
        ("PUT", "/api/task/q?worker=w&wait=30s", json!({})),
        ("GET", &*task, json!({})),
        ("PATCH", &*task, json!({})),
        ("PATCH", &*task, lease.clone()),
        ("DELETE", &*task, json!({})),
        ("POST", &*retry, json!({})),
        ("POST", &*heartbeat, lease),
        ("GET", "/api/ticker", json!({})),
        ("POST", "/api/ticker", meta),
        ("GET", "/api/ticker/t", json!({})),
        ("PATCH", "/api/ticker/t", json!({ "interval": "1h" })),
        ("DELETE", "/api/ticker/t", json!({})),
    ];
    let mut clients = JoinSet::new();
    for (method, path, body) in requests {
        let (http, path, body) = (fixture.http, path.to_owned(), body.to_string());
        clients.spawn(async move {
            let headers = [("Content-Type", "application/json")];
            (format!("{method} {path}"), http.send(method, &path, &headers, &body).await)
        });
    }
    for (request, reply) in clients.join_all().await {
        assert_eq!(reply.status, 503, "{request}: {}", reply.body);
        let name = reply.error();
        match name.as_str() {
            "unavailable" => assert!(reply.header("retry-after").is_some(), "{request}"),
            name => assert_eq!((name, reply.header("retry-after")), ("outcome_unknown", None), "{request}"),
        }
        for secret in ["postgres", "SQL", "host", "127.0.0.1", "connection"] {
            assert!(!reply.body.to_lowercase().contains(&secret.to_lowercase()), "{request}: {}", reply.body);
        }
    }

    server.resume().await;
    wait_until("the server to work again", SOON, async || fixture.get("/api/queue/q").await.status == 200)
        .await;
    // What was retained before may be lost with the crash, and what was created may not.
    fixture.task(2).await;
    let found = fixture.put("/api/task/q?worker=w&wait=1m").await.json();
    let path = format!("/api/task/{}", found["id"]);
    assert_eq!(fixture.patch(&path, &json!({ "lease": found["lease"] })).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_answer_is_lost_is_not_told_as_not_made_and_a_look_is_repeated() {
    let database = TestDatabase::create().await;
    let proxy = ChaosProxy::start(database.url()).await;
    let url = proxy.url_for(database.url());
    let fixture = Fixture::by(database, &url, Options::new()).await;
    fixture.queue(json!({ "queue": "q" })).await;

    let cut = proxy.arm(CutPoint::BeforeAnswer, "SET paused_at");
    let changed = fixture.send("POST", "/api/queue/q/pause", "").await;
    cut.await;
    assert_eq!((changed.status, changed.error().as_str()), (503, "outcome_unknown"), "{}", changed.body);
    assert_eq!(changed.header("retry-after"), None);

    let cut = proxy.arm(CutPoint::BeforeAnswer, "SELECT id, ns, queue, ttl");
    let looked = fixture.get("/api/queue/q").await;
    cut.await;
    assert_eq!(looked.status, 200, "{}", looked.body);
}
