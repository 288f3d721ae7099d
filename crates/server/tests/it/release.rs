//! `PATCH /task/{id}` and `POST /task/{id}/heartbeat`.

use serde_json::{Value, json};

use crate::fixture::Fixture;
use crate::http::Reply;
use crate::steps::{assert_error, keys};

const STALE: &str = "Conflict: the lease is stale: its attempt is over";

impl Fixture {
    async fn release(&self, task: &Value, body: &Value) -> Reply {
        self.patch(&format!("/api/task/{}", task["id"]), body).await
    }

    async fn beat(&self, task: &Value, body: &Value) -> Reply {
        self.post(&format!("/api/task/{}/heartbeat", task["id"]), body).await
    }

    /// As if the lease of a task had lapsed.
    async fn lapse(&self, task: &Value) {
        let lapse =
            format!("UPDATE pgmill.task SET lease_until = now() - interval '1 s' WHERE id = {}", task["id"]);
        self.database.connect().await.batch_execute(&lapse).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn test_task_release() {
    let fixture = Fixture::with_queue().await;
    fixture.task(1).await;
    let task = fixture.retained().await;
    let released = fixture.release(&task, &json!({})).await;
    assert_eq!((released.status, released.header("content-type")), (201, Some("application/json")));
    assert_eq!(released.json()["status"], "released");
    let unknown = fixture.patch("/api/task/99999", &json!({})).await;
    assert_error(&unknown, 404, "Not Found: not found", None, "task_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_done_task_comes_with_the_keys_of_the_contract_first() {
    let fixture = Fixture::with_queue().await;
    fixture.task(1).await;
    let task = fixture.retained().await;
    let released = fixture.release(&task, &json!({ "result": false })).await;
    let expected = [
        "id",
        "payload",
        "worker",
        "namespace",
        "queue",
        "result",
        "created_at",
        "started_at",
        "finished_at",
        "retries",
        "status",
        "priority",
        "attempt",
    ];
    assert_eq!(keys(&released), expected);
    assert_eq!((&released.json()["result"], &released.json()["retries"]), (&json!(false), &json!(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_fails_is_tried_again_until_its_attempts_are_spent() {
    let fixture = Fixture::new().await;
    fixture.queue(json!({ "queue": "q", "retries": 2, "retry_delay": 0 })).await;
    fixture.task(1).await;
    let task = fixture.retained().await;
    let retried = fixture.release(&task, &json!({ "fail": true, "result": "err1" })).await;
    let told = retried.json();
    assert_eq!((retried.status, &told["status"], &told["retries"]), (201, &json!("retry"), &json!(1)));
    assert_eq!(
        (&told["result"], &told["payload"], &told["worker"]),
        (&json!("err1"), &json!(1), &json!("w"))
    );
    assert!(told["started_at"].is_null() && told["dies_at"].is_string());
    let task = fixture.retained().await;
    let failed = fixture.release(&task, &json!({ "fail": true, "result": "err2" })).await.json();
    assert_eq!(
        (&failed["status"], &failed["retries"], &failed["result"]),
        (&json!("failed"), &json!(0), &json!("err2"))
    );
    assert_eq!(fixture.put("/api/task/q?worker=w").await.status, 404);
    assert_eq!(fixture.release(&task, &json!({})).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_no_task_has_are_told_before_the_body_is_read() {
    let fixture = Fixture::with_queue().await;
    let invalid = "Bad Request: invalid task id";
    for id in ["abc", "-1", "+1", "1.0", "0x1", "9223372036854775808", "99999999999999999999"] {
        let refused = fixture.send("PATCH", &format!("/api/task/{id}"), "no json").await;
        assert_error(&refused, 400, invalid, Some(json!(id)), "invalid_parameter");
    }
    let zero = fixture.patch("/api/task/0", &json!({})).await;
    assert_error(&zero, 400, "Bad Request: Missing task id", None, "invalid_parameter");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_waits_or_has_ended_cannot_be_released() {
    let fixture = Fixture::with_queue().await;
    let task = fixture.task(1).await;
    let not_found = "Not Found: not found";
    assert_error(&fixture.release(&task, &json!({})).await, 404, not_found, None, "task_not_retained");
    fixture.retained().await;
    assert_eq!(fixture.release(&task, &json!({})).await.status, 201);
    assert_error(&fixture.release(&task, &json!({})).await, 404, not_found, None, "task_not_retained");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_end_an_attempt_has_its_key() {
    let fixture = Fixture::with_queue().await;
    let cases = [
        (json!({ "fail": true, "discard": true, "result": 1 }), "failed", json!(1)),
        (json!({ "fail": true, "retry_in": "1m" }), "retry", json!(null)),
        (json!({ "cancel": true, "result": "no" }), "cancelled", json!("no")),
        (json!({ "snooze": 60_000_000_000_u64 }), "new", json!(null)),
        (json!({ "result": null, "fail": null, "cancel": false, "unknown": 1 }), "released", json!(null)),
    ];
    for (body, status, result) in cases {
        fixture.task(1).await;
        let task = fixture.retained().await;
        let ended = fixture.release(&task, &body).await.json();
        assert_eq!((&ended["status"], &ended["result"]), (&json!(status), &result), "{body}");
    }
    fixture.task("given back").await;
    let task = fixture.retained().await;
    let back = fixture.release(&task, &json!({ "give_back": true })).await.json();
    assert_eq!((&back["status"], &back["retries"]), (&json!("new"), &json!(3)));
    assert_eq!(fixture.retained().await["payload"], "given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_contradict_each_other_are_refused_and_nothing_is_changed() {
    let fixture = Fixture::with_queue().await;
    fixture.task(1).await;
    let task = fixture.retained().await;
    let bodies = [
        json!({ "fail": true, "cancel": true }),
        json!({ "give_back": true, "snooze": "1s" }),
        json!({ "discard": true }),
        json!({ "retry_in": "1s" }),
        json!({ "fail": true, "discard": true, "retry_in": "1s" }),
        json!({ "give_back": true, "result": 1 }),
        json!({ "fail": "yes" }),
        json!({ "snooze": "1d" }),
        json!({ "snooze": "900000h" }),
        json!({ "lease": "nonsense" }),
    ];
    for body in bodies {
        let refused = fixture.release(&task, &body).await;
        assert_eq!(refused.status, 400, "{body}: {}", refused.body);
    }
    assert_eq!(fixture.release(&task, &json!({})).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_ends_its_own_attempt_and_no_other() {
    let fixture = Fixture::with_queue().await;
    fixture.task(1).await;
    let first = fixture.retained().await;
    fixture.lapse(&first).await;
    let second = fixture.retained().await;
    assert_eq!(second["id"], first["id"]);
    let stale = fixture.release(&first, &json!({ "lease": first["lease"] })).await;
    assert_error(&stale, 409, STALE, None, "lease_stale");
    let done = fixture.release(&second, &json!({ "lease": second["lease"], "result": 2 })).await;
    assert_eq!((done.status, &done.json()["status"]), (201, &json!("released")));
    let ended = fixture.release(&second, &json!({ "lease": first["lease"] })).await;
    assert_error(&ended, 404, "Not Found: not found", None, "task_not_retained");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_whose_task_waits_again_is_stale() {
    let fixture = Fixture::with_queue().await;
    fixture.task(1).await;
    let task = fixture.retained().await;
    fixture.release(&task, &json!({ "snooze": "1m" })).await;
    let body = json!({ "lease": task["lease"] });
    assert_error(&fixture.release(&task, &body).await, 409, STALE, None, "lease_stale");
    assert_error(&fixture.beat(&task, &body).await, 409, STALE, None, "lease_stale");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_extends_a_lease_until_its_attempt_is_over() {
    let fixture = Fixture::with_queue().await;
    fixture.task(1).await;
    let retained = fixture.put("/api/task/q?worker=w&lease=1s").await.json();
    let body = json!({ "lease": retained["lease"], "extend": "10m" });
    let extended = fixture.beat(&retained, &body).await;
    assert_eq!((extended.status, &extended.json()["id"]), (200, &retained["id"]));
    let until = |task: &Value| task["lease_until"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(until(&extended.json()).duration_since(until(&retained)) > jiff::SignedDuration::from_mins(9));
    let stored = fixture.get(&format!("/api/task/{}", retained["id"])).await.json();
    assert_eq!(stored["lease_until"], extended.json()["lease_until"]);

    for (wrong, name) in [
        (json!({}), "invalid_lease"),
        (json!({ "lease": "x" }), "invalid_lease"),
        (json!({ "lease": retained["lease"], "extend": "1ms" }), "invalid_parameter"),
    ] {
        assert_eq!(
            (fixture.beat(&retained, &wrong).await.status, fixture.beat(&retained, &wrong).await.error()),
            (400, name.to_owned())
        );
    }
    fixture.lapse(&retained).await;
    let second = fixture.retained().await;
    assert_error(&fixture.beat(&retained, &body).await, 409, STALE, None, "lease_stale");
    fixture.release(&second, &json!({})).await;
    let over = fixture.beat(&second, &json!({ "lease": second["lease"] })).await;
    assert_error(&over, 404, "Not Found: not found", None, "task_not_retained");
    let unknown = fixture.beat(&json!({ "id": 99999 }), &body).await;
    assert_error(&unknown, 404, "Not Found: not found", None, "task_not_found");
}
