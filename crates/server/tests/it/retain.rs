//! `PUT /task` and `PUT /task/{queue}`.

use serde_json::json;

use crate::fixture::Fixture;
use crate::steps::{assert_error, keys};

#[tokio::test(flavor = "multi_thread")]
async fn test_task_retain_without_accept_header() {
    let fixture = Fixture::with_queue().await;
    fixture.task(1).await;
    fixture.task(2).await;
    let without = fixture.put("/api/task/q?worker=w1").await;
    let accept = [("Accept", "application/json")];
    let with = fixture.http.send("PUT", "/api/task/q?worker=w1", &accept, "").await;
    for retained in [without, with] {
        assert_eq!((retained.status, retained.header("content-type")), (201, Some("application/json")));
        assert_eq!(retained.json()["worker"], "w1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retained_task_comes_with_the_keys_of_the_contract_first_and_a_lease_last() {
    let fixture = Fixture::with_queue().await;
    fixture.task(1).await;
    let retained = fixture.put("/api/task/q?worker=w1").await;
    let expected = [
        "id",
        "payload",
        "worker",
        "namespace",
        "queue",
        "created_at",
        "started_at",
        "dies_at",
        "retries",
        "status",
        "priority",
        "attempt",
        "lease_until",
        "lease",
    ];
    assert_eq!(keys(&retained), expected);
    assert_eq!((&retained.json()["retries"], &retained.json()["status"]), (&json!(3), &json!("retained")));
}

#[tokio::test(flavor = "multi_thread")]
async fn b6_without_a_queue_a_task_of_any_queue_is_retained() {
    let fixture = Fixture::with_queue().await;
    fixture.task(1).await;
    assert_eq!(fixture.put("/api/task?worker=w").await.json()["payload"], 1);
    assert_error(
        &fixture.put("/api/task?worker=w").await,
        404,
        "Not Found: no task available",
        None,
        "no_task_available",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn b22_the_queue_of_a_retain_is_normalised_and_may_be_several() {
    let fixture = Fixture::with_queue().await;
    fixture.queue(json!({ "queue": "other" })).await;
    fixture.queue(json!({ "queue": "third" })).await;
    for queue in ["q", "other", "third"] {
        fixture.post("/api/task", &json!({ "queue": queue, "payload": queue })).await;
    }
    let mut found = Vec::new();
    for _ in 0..2 {
        found.push(fixture.put("/api/task/Q?queue=OTHER&worker=w").await.json()["payload"].clone());
    }
    assert_eq!(found, ["q", "other"]);
    assert_eq!(fixture.put("/api/task?queue=q&queue=other&worker=w").await.status, 404);
    assert_eq!(fixture.put("/api/task?queue=q&queue=third&worker=w").await.json()["payload"], "third");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_retain_is_told_in_the_words_of_the_contract() {
    let fixture = Fixture::with_queue().await;
    fixture.task(1).await;
    let worker = "Bad Request: missing worker parameter";
    for path in ["/api/task", "/api/task/q", "/api/task/q?worker=", "/api/task?Worker=w"] {
        assert_error(&fixture.put(path).await, 400, worker, None, "missing_worker");
    }
    let blank = fixture.put("/api/task/q?worker=%20").await;
    assert_error(&blank, 400, "Bad Request: Missing worker", None, "missing_worker");
    let queue = "Bad Request: invalid queue name";
    let bad = fixture.put("/api/task/1bad?worker=w").await;
    assert_error(&bad, 400, queue, Some(json!("1bad")), "invalid_name");
    let none = fixture.put("/api/task/nosuch?worker=w").await;
    assert_error(&none, 404, "Not Found: no task available", None, "no_task_available");
    for query in
        ["n=0", "n=1001", "n=x", "lease=1ms", "lease=721h", "lease=5", "wait=61s", "wait=x", "queue=a+b"]
    {
        let refused = fixture.put(&format!("/api/task?worker=w&{query}")).await;
        assert_eq!(refused.status, 400, "{query}: {}", refused.body);
    }
    assert_eq!(fixture.retained().await["payload"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_body_of_a_retain_does_not_matter() {
    let fixture = Fixture::with_queue().await;
    for number in 0..3 {
        fixture.task(number).await;
    }
    let chunked = "PUT /api/task/q?worker=w HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                   Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(fixture.http.raw(chunked.as_bytes()).await.status, 201);
    assert_eq!(fixture.send("PUT", "/api/task/q?worker=w", "{ no json").await.status, 201);
    let text = [("Content-Type", "text/plain")];
    assert_eq!(fixture.http.send("PUT", "/api/task/q?worker=w", &text, "hello").await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_tasks_are_a_list_and_none_is_an_empty_one() {
    let fixture = Fixture::with_queue().await;
    let none = fixture.put("/api/task/q?worker=w&n=5").await;
    assert_eq!((none.status, none.json()), (201, json!({ "count": 0 })));
    for number in 0..3 {
        fixture.task(number).await;
    }
    let two = fixture.put("/api/task/q?worker=w&n=2").await.json();
    assert_eq!(
        (&two["count"], &two["body"][0]["payload"], &two["body"][1]["payload"]),
        (&json!(2), &json!(0), &json!(1))
    );
    assert_ne!(two["body"][0]["lease"], json!(null));
    let one = fixture.put("/api/task/q?worker=w&n=1").await.json();
    assert_eq!(one["count"], 1);
}
