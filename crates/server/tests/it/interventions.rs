//! What an operator does: cancel, retry, and see how many tasks there are.

use serde_json::json;

use crate::fixture::Fixture;
use crate::steps::assert_error;

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_cancelled_unless_it_has_ended_and_its_worker_learns_of_it() {
    let fixture = Fixture::with_queue().await;
    fixture.task(1).await;
    let task = fixture.retained().await;
    let path = format!("/api/task/{}", task["id"]);
    let cancelled = fixture.send("DELETE", &path, "").await;
    assert_eq!((cancelled.status, &cancelled.json()["status"]), (200, &json!("cancelled")));
    let lease = json!({ "lease": task["lease"] });
    assert_eq!(fixture.patch(&path, &lease).await.status, 404);
    assert_eq!(fixture.post(&format!("{path}/heartbeat"), &lease).await.status, 404);
    let again = fixture.send("DELETE", &path, "").await;
    let reason = "Conflict: the task has ended already: it is cancelled";
    assert_error(&again, 409, reason, None, "task_finished");
    let unknown = fixture.send("DELETE", "/api/task/99999", "").await;
    assert_error(&unknown, 404, "Not Found: not found", None, "task_not_found");
    assert_eq!(fixture.send("DELETE", "/api/task/abc", "").await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_has_ended_is_retried_under_its_id() {
    let fixture = Fixture::with_queue().await;
    let created = fixture.task(1).await;
    let path = format!("/api/task/{}", created["id"]);
    let early = fixture.send("POST", &format!("{path}/retry"), "").await;
    let reason = "Conflict: the task has not ended: it is new";
    assert_error(&early, 409, reason, None, "task_not_finished");
    fixture.retained().await;
    fixture.patch(&path, &json!({ "fail": true, "discard": true })).await;
    let retried = fixture.send("POST", &format!("{path}/retry"), "").await;
    assert_eq!((retried.status, &retried.json()["retries"]), (201, &json!(3)), "{}", retried.body);
    let retained = fixture.retained().await;
    assert_eq!((&retained["id"], &retained["attempt"]), (&created["id"], &json!(2)));
    let unknown = fixture.send("POST", "/api/task/99999/retry", "").await;
    assert_error(&unknown, 404, "Not Found: not found", None, "task_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asked_for_a_lease_needs_it_for_the_release() {
    let fixture = Fixture::with_queue().await;
    fixture.task(1).await;
    let task = fixture.put("/api/task/q?worker=w&lease=10m").await.json();
    let path = format!("/api/task/{}", task["id"]);
    let refused = fixture.patch(&path, &json!({ "result": 1 })).await;
    assert_eq!((refused.status, refused.error().as_str()), (409, "lease_required"));
    let released = fixture.patch(&path, &json!({ "result": 1, "lease": task["lease"] })).await;
    assert_eq!((released.status, &released.json()["status"]), (201, &json!("released")));
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_counted_by_queue_and_status() {
    let fixture = Fixture::with_queue().await;
    fixture.queue(json!({ "queue": "empty" })).await;
    fixture.task(1).await;
    fixture.task(2).await;
    fixture.retained().await;
    let status = fixture.get("/api/queue/Q/status").await;
    let tasks = json!({
        "new": 1, "retry": 0, "retained": 1, "released": 0, "failed": 0, "expired": 0, "cancelled": 0
    });
    let expected = json!({ "queue": "q", "namespace": "default", "tasks": tasks });
    assert_eq!((status.status, status.json()), (200, expected.clone()));
    let all = fixture.get("/api/status").await.json();
    assert_eq!((&all["count"], &all["body"][1]), (&json!(2), &expected));
    assert_eq!(fixture.get("/api/status?offset=1").await.json()["body"], json!([expected]));
    let unknown = fixture.get("/api/queue/nosuch/status").await;
    assert_error(&unknown, 404, "Not Found: not found", None, "queue_not_found");
}
