//! Who changed what.

use pgmill::{Role, TokenMeta};
use pgmill_server::Options;
use pgmill_testkit::wait_until;
use serde_json::{Value, json};

use crate::fixture::Fixture;
use crate::wire::{SOON, Wire};

impl Fixture {
    /// The audit without what differs from run to run, oldest first.
    async fn audited(&self) -> Vec<Value> {
        let mut entries = self.get("/api/audit").await.json()["body"].as_array().cloned().unwrap_or_default();
        entries.reverse();
        for entry in &mut entries {
            let entry = entry.as_object_mut().unwrap();
            entry.retain(|key, _| {
                ["actor", "namespace", "action", "target", "detail"].contains(&key.as_str())
            });
        }
        entries
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_a_queue_or_a_ticker_is_recorded_and_no_failure_is() {
    let fixture = Fixture::new().await;
    for (method, path, body, status) in [
        ("POST", "/api/queue", r#"{"queue":" A ","retries":2}"#, 201),
        ("POST", "/api/queue", r#"{"queue":"a"}"#, 409),
        ("PATCH", "/api/queue/A", r#"{"queue":"b"}"#, 200),
        ("PATCH", "/api/queue/b", "{}", 400),
        ("POST", "/api/queue/b/pause", "", 200),
        ("POST", "/api/queue/b/resume", "", 200),
        ("POST", "/api/queue/a/resume", "", 404),
        ("GET", "/api/queue/b", "", 200),
        ("DELETE", "/api/queue/b", "", 200),
        ("DELETE", "/api/queue/b", "", 404),
        ("POST", "/api/ticker", r#"{"ticker":"t","payload":{"password":"x"},"interval":"1h"}"#, 201),
        ("PATCH", "/api/ticker/t", r#"{"ticker":"u","payload":"secret"}"#, 200),
        ("DELETE", "/api/ticker/u", "", 200),
        ("DELETE", "/api/ticker/u", "", 404),
    ] {
        let reply = fixture.send(method, path, body).await;
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.body);
    }
    let entry = |action: &str, target: &str, detail: Option<Value>| {
        let mut entry =
            json!({"actor": "anonymous", "namespace": "default", "action": action, "target": target});
        if let Some(detail) = detail {
            entry["detail"] = detail;
        }
        entry
    };
    let hour = 3_600_000_000_000_u64;
    assert_eq!(
        fixture.audited().await,
        [
            entry("create_queue", "a", Some(json!({"queue": " A ", "retries": 2}))),
            entry("update_queue", "a", Some(json!({"queue": "b"}))),
            entry("pause_queue", "b", None),
            entry("resume_queue", "b", None),
            entry("delete_queue", "b", None),
            entry("create_ticker", "t", Some(json!({"ticker": "t", "interval": hour}))),
            entry("update_ticker", "t", Some(json!({"ticker": "u"}))),
            entry("delete_ticker", "u", None),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_tells_who_it_was_and_with_which_request() {
    let fixture = Fixture::guarded(Options::new()).await;
    let admin = fixture.token(Role::Admin).await;
    let operator = fixture.token_of(TokenMeta::new("alice", Role::Operator)).await;
    let bearer = format!("Bearer {}", operator.secret.expose());
    let headers = [("Authorization", bearer.as_str()), ("X-Request-Id", "req-1")];
    assert_eq!(fixture.http.send("POST", "/api/queue/q/pause", &headers, "").await.status, 200);
    let path = format!("/api/token/{}", operator.token.id);
    fixture.with_token(admin.secret.expose(), "DELETE", &path, "").await;
    let list = async |query: &str| {
        let path = format!("/api/audit{query}");
        fixture.with_token(admin.secret.expose(), "GET", &path, "").await.json()
    };
    let all = list("").await;
    let [revoked, paused] = all["body"].as_array().unwrap().as_slice() else { panic!("{all}") };
    assert_eq!(
        (&paused["actor"], &paused["action"], &paused["target"]),
        (&json!("alice"), &json!("pause_queue"), &json!("q"))
    );
    assert_eq!((&paused["token_id"], &paused["request_id"]), (&json!(operator.token.id), &json!("req-1")));
    assert_eq!(
        (&revoked["actor"], &revoked["action"], &revoked["target"]),
        (&json!("admin"), &json!("revoke_token"), &json!("alice"))
    );
    assert_eq!((&revoked["detail"]["id"], &revoked["namespace"]), (&json!(operator.token.id), &Value::Null));

    assert_eq!(list("?action=pause_queue").await["body"], json!([paused]));
    assert_eq!(list("?target=alice").await["body"], json!([revoked]));
    assert_eq!(list("?target=alice&action=pause_queue").await, json!({"count": 0}));
    assert_eq!(list("?limit=1&offset=1").await, json!({"count": 2, "body": [paused]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_hangs_up_before_the_answer_is_in_the_audit_all_the_same() {
    let fixture = Fixture::new().await;
    fixture.send("POST", "/api/queue", r#"{"queue":"q"}"#).await;
    let somebody = fixture.database.connect().await;
    somebody.batch_execute("BEGIN; SELECT FROM pgmill.queue FOR UPDATE").await.unwrap();
    let watcher = fixture.database.connect().await;
    let waiting = async || -> bool {
        let sql = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
            AND wait_event_type = 'Lock' AND query LIKE '%UPDATE pgmill.queue%')";
        watcher.query_one(sql, &[]).await.unwrap().get(0)
    };
    let wire = Wire::open(fixture.http, "POST", "/api/queue/q/pause", "").await;
    wait_until("the change to be under way", SOON, waiting).await;
    wire.hang_up().await;
    somebody.batch_execute("COMMIT").await.unwrap();
    let recorded = async || fixture.get("/api/audit?action=pause_queue").await.json()["count"] == 1;
    wait_until("the change to be recorded", SOON, recorded).await;
    assert!(fixture.get("/api/queue/q").await.json()["paused_at"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_cannot_be_recorded_stays() {
    let fixture = Fixture::new().await;
    fixture.sql("ALTER TABLE pgmill.audit RENAME TO lost").await;
    assert_eq!(fixture.send("POST", "/api/queue", r#"{"queue":"q"}"#).await.status, 201);
    assert_eq!(fixture.get("/api/queue/q").await.status, 200);
}
