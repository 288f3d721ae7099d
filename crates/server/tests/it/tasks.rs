//! `POST /task` and `GET /task`.

use serde_json::json;

use crate::fixture::Fixture;
use crate::steps::{assert_error, keys};

#[tokio::test(flavor = "multi_thread")]
async fn test_task_create() {
    let fixture = Fixture::with_queue().await;
    let created = fixture.post("/api/task", &json!({ "queue": "q", "payload": { "a": 1 } })).await;
    assert_eq!((created.status, created.header("content-type")), (201, Some("application/json")));
    assert_eq!(created.json()["queue"], "q");
    let unknown = fixture.post("/api/task", &json!({ "queue": "nosuch", "payload": 1 })).await;
    assert_error(&unknown, 404, "Not Found: not found", None, "queue_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_comes_with_the_keys_of_the_contract_first_and_in_their_order() {
    let fixture = Fixture::with_queue().await;
    let created = fixture.post("/api/task", &json!({ "queue": " Q ", "payload": 1 })).await;
    let expected = [
        "id",
        "payload",
        "namespace",
        "queue",
        "created_at",
        "dies_at",
        "retries",
        "status",
        "priority",
        "attempt",
    ];
    assert_eq!(keys(&created), expected);
    let task = created.json();
    assert_eq!((&task["retries"], &task["status"], &task["queue"]), (&3.into(), &"new".into(), &"q".into()));
    assert!(task["created_at"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_task_is_told_in_the_order_of_the_contract() {
    let fixture = Fixture::with_queue().await;
    let past = "2020-01-01T00:00:00Z";
    let cases = [
        (json!({}), 400, "Bad Request: Missing queue name", "missing_name"),
        (json!({ "queue": "a b" }), 400, "Bad Request: Invalid queue name: \"a b\"", "invalid_name"),
        (json!({ "queue": "nosuch", "delayed_at": past }), 404, "Not Found: not found", "queue_not_found"),
        (json!({ "queue": "q", "delayed_at": past }), 400, "Bad Request: missing payload", "missing_payload"),
        (
            json!({ "queue": "q", "payload": null, "delayed_at": past }),
            400,
            "Bad Request: delayed_at is in the past",
            "delayed_in_past",
        ),
    ];
    for (body, status, reason, name) in cases {
        assert_error(&fixture.post("/api/task", &body).await, status, reason, None, name);
    }
    assert_eq!(fixture.get("/api/task").await.json(), json!({ "count": 0 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_comes_back_digit_by_digit_and_null_is_one() {
    let fixture = Fixture::with_queue().await;
    let body = r#"{"queue":"q","payload":[12345678901234567890,1.50,"<&>"]}"#;
    let created = fixture.send("POST", "/api/task", body).await;
    assert!(created.body.contains("12345678901234567890,\n    1.50,\n"), "{}", created.body);
    let null = fixture.post("/api/task", &json!({ "queue": "q", "payload": null })).await;
    assert!(null.body.contains("\"payload\": null"), "{}", null.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_can_be_put_off_and_put_first() {
    let fixture = Fixture::with_queue().await;
    let late = fixture.post("/api/task", &json!({ "queue": "q", "payload": 1, "delay": "1h" })).await.json();
    assert!(late["delayed_at"].is_string());
    let at = "2300-01-01T01:00:00+01:00";
    let later = fixture.post("/api/task", &json!({ "queue": "q", "payload": 2, "delayed_at": at })).await;
    assert_eq!(later.json()["delayed_at"], "2300-01-01T00:00:00Z");
    fixture.task("second").await;
    let first = json!({ "queue": "q", "payload": "first", "priority": 0 });
    assert_eq!(fixture.post("/api/task", &first).await.json()["priority"], 0);
    assert_eq!(fixture.retained().await["payload"], "first");
    assert_eq!(fixture.retained().await["payload"], "second");
    assert_eq!(fixture.put("/api/task/q?worker=w").await.status, 404);
    let both = json!({ "queue": "q", "payload": 1, "delay": "1h", "delayed_at": at });
    assert_eq!(fixture.post("/api/task", &both).await.error(), "invalid_task");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_taken_answers_200_and_the_task_that_has_it() {
    let fixture = Fixture::with_queue().await;
    let keyed = |payload| json!({ "queue": "q", "payload": payload, "key": "order-17" });
    let first = fixture.post("/api/task", &keyed(1)).await;
    let again = fixture.post("/api/task", &keyed(2)).await;
    assert_eq!((first.status, again.status), (201, 200));
    assert_eq!(first.json()["id"], again.json()["id"]);
    assert_eq!(again.json()["payload"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_context_comes_from_the_body_or_else_from_the_header() {
    let fixture = Fixture::with_queue().await;
    let (body, header) = (
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    );
    let post = async |header: &str, task: serde_json::Value| {
        let headers = [("Content-Type", "application/json"), ("traceparent", header)];
        fixture.http.send("POST", "/api/task", &headers, &task.to_string()).await
    };
    let task = json!({ "queue": "q", "payload": 1 });
    assert_eq!(post(header, task.clone()).await.json()["traceparent"], header);
    assert_eq!(post(header, json!([task])).await.json()["body"][0]["traceparent"], header);
    let with = json!({ "queue": "q", "payload": 1, "traceparent": body });
    assert_eq!(post(header, with).await.json()["traceparent"], body);
    let ignored = post("nonsense", task).await;
    assert_eq!((ignored.status, &ignored.json()["traceparent"]), (201, &json!(null)));
    let wrong = json!({ "queue": "q", "payload": 1, "traceparent": "nonsense" });
    assert_eq!(post(header, wrong).await.error(), "invalid_task");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_tasks_is_created_in_its_order_in_several_queues() {
    let fixture = Fixture::with_queue().await;
    fixture.queue(json!({ "queue": "other" })).await;
    fixture.post("/api/task", &json!({ "queue": "q", "payload": "had it", "key": "k" })).await;
    let tasks = json!([
        { "queue": "q", "payload": 1 },
        { "queue": "Other", "payload": 2, "priority": 1 },
        { "queue": "q", "payload": 3, "key": "k" },
    ]);
    let created = fixture.post("/api/task", &tasks).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let list = created.json();
    assert_eq!(list["count"], 3);
    let told = |index: usize| (list["body"][index]["queue"].clone(), list["body"][index]["payload"].clone());
    assert_eq!(told(0), (json!("q"), json!(1)));
    assert_eq!(told(1), (json!("other"), json!(2)));
    assert_eq!(told(2), (json!("q"), json!("had it")));
    assert_eq!(fixture.get("/api/task").await.json()["count"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_created_as_a_whole_or_not_at_all_and_the_error_says_which_task_it_was() {
    let fixture = Fixture::with_queue().await;
    let cases = [
        (json!({ "queue": "nosuch", "payload": 1 }), 404, "Not Found: not found", "queue_not_found"),
        (json!({ "queue": "", "payload": 1 }), 400, "Bad Request: Missing queue name", "missing_name"),
        (json!({ "queue": "q" }), 400, "Bad Request: missing payload", "missing_payload"),
        (
            json!({ "queue": "q", "payload": 1, "delayed_at": "2020-01-01T00:00:00Z" }),
            400,
            "Bad Request: delayed_at is in the past",
            "delayed_in_past",
        ),
    ];
    for (wrong, status, reason, name) in cases {
        let tasks = json!([{ "queue": "q", "payload": 1, "key": "k" }, wrong, wrong]);
        let refused = fixture.post("/api/task", &tasks).await;
        assert_error(&refused, status, reason, Some(json!({ "index": 1 })), name);
    }
    let unread = fixture.post("/api/task", &json!([{ "queue": "q", "payload": 1 }, 7])).await;
    assert_eq!((unread.error().as_str(), &unread.json()["detail"]), ("invalid_body", &json!({ "index": 1 })));
    assert_eq!(fixture.post("/api/task", &json!([])).await.error(), "invalid_body");
    let many = vec![json!({ "queue": "q", "payload": 1 }); 1_001];
    assert_eq!(fixture.post("/api/task", &many.into()).await.error(), "invalid_body");
    assert_eq!(fixture.get("/api/task").await.json(), json!({ "count": 0 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_a_thousand_tasks_is_created() {
    let fixture = Fixture::with_queue().await;
    let tasks: Vec<_> = (0..1_000).map(|number| json!({ "queue": "q", "payload": number })).collect();
    let created = fixture.post("/api/task", &tasks.into()).await;
    assert_eq!((created.status, created.json()["count"].as_u64()), (201, Some(1_000)));
    assert_eq!(created.json()["body"][999]["payload"], 999);
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_listed_by_queue_and_status_and_one_is_looked_up() {
    let fixture = Fixture::with_queue().await;
    fixture.queue(json!({ "queue": "other" })).await;
    let task = fixture.task(1).await;
    fixture.post("/api/task", &json!({ "queue": "other", "payload": 2 })).await;
    fixture.retained().await;
    let count = async |query: &str| fixture.get(&format!("/api/task{query}")).await.json()["count"].clone();
    assert_eq!(count("").await, 2);
    assert_eq!(count("?queue=Q").await, 1);
    assert_eq!(count("?status=retained").await, 1);
    assert_eq!(count("?queue=other&status=retained").await, 0);
    assert_eq!(count("?queue=nosuch").await, 0);
    assert_eq!(fixture.get("/api/task?status=nosuch").await.error(), "invalid_parameter");
    assert_eq!(fixture.get("/api/task?queue=a%20b").await.error(), "invalid_name");

    let one = fixture.get(&format!("/api/task/{}", task["id"])).await;
    assert_eq!((one.status, &one.json()["status"]), (200, &json!("retained")));
    assert_error(&fixture.get("/api/task/99999").await, 404, "Not Found: not found", None, "task_not_found");
    let invalid = fixture.get("/api/task/abc").await;
    assert_error(&invalid, 400, "Bad Request: invalid task id", Some(json!("abc")), "invalid_parameter");
}
