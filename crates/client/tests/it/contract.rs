//! The cases of the reference's own client, under the names of its tests.

use pgmill_client::{Client, Error, Retain};
use pgmill_schema::{
    Json, ListRequest, Outcome, QueueMeta, QueueName, Status, TaskFilter, TaskMeta, TickerMeta, Ttl, minutes,
    seconds,
};
use serde_json::{Value, json};

use crate::stub::{Reply, Stub};

fn queue() -> Value {
    json!({"queue": "test-queue", "ttl": 3_600_000_000_000_u64, "retries": 3, "retry_delay": 60_000_000_000_u64, "namespace": "default"})
}

fn task() -> Value {
    json!({"id": 7, "payload": {"a": 1}, "namespace": "default", "queue": "test-queue", "created_at": "2030-01-01T00:00:00Z", "retries": 3})
}

fn ticker() -> Value {
    json!({"ticker": "myticker", "payload": {}, "interval": 5_000_000_000_u64, "namespace": "default"})
}

async fn not_found() -> Stub {
    Stub::always(Reply::json(404, &json!({"code": 404, "reason": "Not Found: not found"}))).await
}

#[track_caller]
fn assert_not_found<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(result.expect_err("a 404").is_not_found());
}

#[test]
fn test_client_new() {
    for endpoint in ["http://localhost:8080", "http://localhost:8080/api/v1", "https://example.com/api/"] {
        Client::new(endpoint).unwrap();
    }
    assert!(Client::new("").unwrap_err().is_invalid());
}

#[tokio::test]
async fn test_client_list_namespaces() {
    let stub = Stub::always(Reply::json(200, &json!({"count": 2, "body": ["ns1", "ns2"]}))).await;
    let list = stub.client().list_namespaces().await.unwrap();
    assert_eq!((list.count, list.body), (2, vec!["ns1".to_owned(), "ns2".to_owned()]));
    assert_eq!(stub.lines(), ["GET /api/namespace"]);
}

#[tokio::test]
async fn test_client_with_offset_limit() {
    let stub = Stub::always(Reply::json(200, &json!({"count": 0}))).await;
    let client = stub.client();
    client.list_queues(ListRequest::new()).await.unwrap();
    client.list_queues(ListRequest::new().offset(0).limit(0)).await.unwrap();
    client.list_queues(ListRequest::new().offset(10)).await.unwrap();
    client.list_queues(ListRequest::new().offset(10).limit(5)).await.unwrap();
    let expected =
        ["/api/queue", "/api/queue?limit=0", "/api/queue?offset=10", "/api/queue?offset=10&limit=5"];
    assert_eq!(stub.lines(), expected.map(|target| format!("GET {target}")));
}

#[tokio::test]
async fn test_client_with_queue_and_status() {
    let stub = Stub::always(Reply::json(200, &json!({"count": 0}))).await;
    let client = stub.client();
    let all = TaskFilter::new();
    let some = TaskFilter::new().queue(QueueName::new("emails").unwrap()).status(Status::New);
    client.list_tasks(&all).await.unwrap();
    client.list_tasks(&some).await.unwrap();
    // What is set last wins.
    client.list_tasks(&some.status(Status::Retry).limit(3).limit(4)).await.unwrap();
    let expected =
        ["/api/task", "/api/task?queue=emails&status=new", "/api/task?queue=emails&status=retry&limit=4"];
    assert_eq!(stub.lines(), expected.map(|target| format!("GET {target}")));
}

#[tokio::test]
async fn test_client_list_queues() {
    let stub = Stub::always(Reply::json(200, &json!({"count": 12, "body": [queue()]}))).await;
    let list = stub.client().list_queues(ListRequest::new().offset(10).limit(5)).await.unwrap();
    assert_eq!((list.count, list.body.len()), (12, 1));
    assert_eq!(list.body[0].queue.as_str(), "test-queue");
    assert_eq!(stub.lines(), ["GET /api/queue?offset=10&limit=5"]);
}

#[tokio::test]
async fn test_client_get_queue() {
    let stub = Stub::always(Reply::json(200, &queue())).await;
    let queue = stub.client().get_queue("test-queue").await.unwrap();
    assert_eq!(queue.ttl, Ttl::After(minutes(60)));
    assert_eq!(stub.lines(), ["GET /api/queue/test-queue"]);
    assert_not_found(not_found().await.client().get_queue("missing").await);
}

#[tokio::test]
async fn test_client_create_queue() {
    let stub = Stub::always(Reply::json(201, &queue())).await;
    let client = stub.client();
    let meta = QueueMeta::new("test-queue").ttl(minutes(60)).retries(3).retry_delay(minutes(1));
    assert_eq!(client.create_queue(&meta).await.unwrap().retries, 3);
    client.create_queue(&QueueMeta::new("test-queue")).await.unwrap();
    assert_eq!(stub.lines(), ["POST /api/queue"; 2]);
    let asked = stub.asked();
    let full = json!({"queue": "test-queue", "ttl": 3_600_000_000_000_u64, "retries": 3, "retry_delay": 60_000_000_000_u64});
    assert_eq!(asked[0].json(), full);
    assert_eq!(asked[1].json(), json!({"queue": "test-queue", "retries": null, "retry_delay": null}));
}

#[tokio::test]
async fn test_client_update_queue() {
    let stub = Stub::always(Reply::json(200, &queue())).await;
    let updated =
        stub.client().update_queue("test-queue", &QueueMeta::patch().ttl(minutes(60))).await.unwrap();
    assert_eq!(updated.ttl, Ttl::After(minutes(60)));
    assert_eq!(stub.lines(), ["PATCH /api/queue/test-queue"]);
    assert_eq!(stub.only().json()["ttl"], 3_600_000_000_000_u64);
}

#[tokio::test]
async fn test_client_delete_queue() {
    let stub = Stub::always(Reply::json(200, &queue())).await;
    assert_eq!(stub.client().delete_queue("test-queue").await.unwrap().queue.as_str(), "test-queue");
    assert_eq!(stub.lines(), ["DELETE /api/queue/test-queue"]);
    assert_not_found(not_found().await.client().delete_queue("missing").await);
}

#[tokio::test]
async fn test_client_retain_task() {
    let mut answer = task();
    answer["status"] = json!("retained");
    answer["lease"] = json!("0123");
    let stub = Stub::always(Reply::json(201, &answer)).await;
    let client = stub.client();
    let retained = client.retain_task("worker-1", &["test-queue"]).await.unwrap().unwrap();
    assert_eq!((retained.task.id, retained.task.status), (7, Some(Status::Retained)));
    assert_eq!(retained.lease.unwrap().as_str(), "0123");
    client.retain_task("worker 1", &[]).await.unwrap().unwrap();
    client.retain_task("w", &["a", "b"]).await.unwrap().unwrap();
    let expected = ["/test-queue?worker=worker-1", "?worker=worker+1", "?worker=w&queue=a&queue=b"];
    assert_eq!(stub.lines(), expected.map(|target| format!("PUT /api/task{target}")));
    assert!(stub.asked().iter().all(|asked| asked.body.is_empty()));
}

#[tokio::test]
async fn test_client_retain_task_without_content_is_an_error() {
    let stub = Stub::always(Reply::Answer(204, String::new(), String::new())).await;
    for queues in [&["test-queue"][..], &[]] {
        assert!(stub.client().retain_task("worker-1", queues).await.unwrap_err().is_decode());
    }
}

#[tokio::test]
async fn test_client_create_task() {
    let mut answer = task();
    answer["delayed_at"] = json!("2031-02-03T04:05:06Z");
    let stub = Stub::always(Reply::json(201, &answer)).await;
    let client = stub.client();
    let meta = TaskMeta::raw(Json::from_text(r#"{"a": 12345678901234567890}"#).unwrap());
    let delayed_at = "2031-02-03T04:05:06Z".parse().unwrap();
    let created = client.create_task("test-queue", &meta.delayed_at(delayed_at)).await.unwrap();
    assert_eq!((created.id, created.delayed_at), (7, Some(delayed_at)));
    client.create_task("test-queue", &TaskMeta::empty()).await.unwrap();
    assert_eq!(stub.lines(), ["POST /api/task"; 2]);
    let asked = stub.asked();
    let text = String::from_utf8(asked[0].body.clone()).unwrap();
    assert!(text.contains(r#""payload":{"a": 12345678901234567890}"#), "{text}");
    assert_eq!(asked[0].json()["queue"], "test-queue");
    assert_eq!(asked[0].json()["delayed_at"], "2031-02-03T04:05:06Z");
    assert!(asked[1].json().get("payload").is_none());
}

#[tokio::test]
async fn test_client_release_task() {
    let stub = Stub::always(Reply::json(201, &task())).await;
    let client = stub.client();
    client.release_task(7, &Outcome::done_empty()).await.unwrap();
    client.release_task(7, &Outcome::retry("broken").unwrap()).await.unwrap();
    assert_eq!(stub.lines(), ["PATCH /api/task/7"; 2]);
    let asked = stub.asked();
    assert_eq!(asked[0].json(), json!({}));
    assert_eq!(asked[1].json(), json!({"result": "broken", "fail": true}));
    assert_not_found(not_found().await.client().release_task(7, &Outcome::done_empty()).await);
}

#[tokio::test]
async fn test_client_list_tickers() {
    let stub = Stub::always(Reply::json(200, &json!({"count": 11, "body": [ticker()]}))).await;
    let list = stub.client().list_tickers(ListRequest::new().offset(10).limit(5)).await.unwrap();
    assert_eq!((list.count, list.body[0].interval), (11, Some(seconds(5))));
    assert_eq!(stub.lines(), ["GET /api/ticker?offset=10&limit=5"]);
    let broken = Stub::always(Reply::Answer(500, String::new(), "sorry".to_owned())).await;
    assert_eq!(broken.client().list_tickers(ListRequest::new()).await.unwrap_err().status(), Some(500));
}

#[tokio::test]
async fn test_client_get_ticker() {
    let stub = Stub::always(Reply::json(200, &ticker())).await;
    assert_eq!(stub.client().get_ticker("myticker").await.unwrap().ticker.as_str(), "myticker");
    assert_eq!(stub.lines(), ["GET /api/ticker/myticker"]);
    assert_not_found(not_found().await.client().get_ticker("missing").await);
}

#[tokio::test]
async fn test_client_create_ticker() {
    let stub = Stub::always(Reply::json(201, &ticker())).await;
    let client = stub.client();
    let meta = TickerMeta::new("myticker").interval(seconds(5));
    assert_eq!(client.create_ticker(&meta).await.unwrap().interval, Some(seconds(5)));
    let meta = TickerMeta { payload: Some(Json::from_text("[1]").unwrap()), ..meta };
    client.create_ticker(&meta).await.unwrap();
    assert_eq!(stub.lines(), ["POST /api/ticker"; 2]);
    let asked = stub.asked();
    assert_eq!(asked[0].json(), json!({"ticker": "myticker", "interval": 5_000_000_000_u64}));
    assert_eq!(asked[1].json()["payload"], json!([1]));
    let taken =
        Stub::always(Reply::json(409, &json!({"code": 409, "reason": "Conflict: ticker already exists"})))
            .await;
    assert!(taken.client().create_ticker(&meta).await.unwrap_err().is_conflict());
}

#[tokio::test]
async fn test_client_update_ticker() {
    let stub = Stub::always(Reply::json(200, &ticker())).await;
    let meta = TickerMeta { interval: Some(seconds(5)), ..TickerMeta::default() };
    stub.client().update_ticker("myticker", &meta).await.unwrap();
    assert_eq!(stub.lines(), ["PATCH /api/ticker/myticker"]);
    assert_eq!(stub.only().json(), json!({"interval": 5_000_000_000_u64}));
    assert_not_found(not_found().await.client().update_ticker("missing", &meta).await);
}

#[tokio::test]
async fn test_client_delete_ticker() {
    let stub = Stub::always(Reply::json(200, &ticker())).await;
    assert_eq!(stub.client().delete_ticker("myticker").await.unwrap().ticker.as_str(), "myticker");
    assert_eq!(stub.lines(), ["DELETE /api/ticker/myticker"]);
    assert_not_found(not_found().await.client().delete_ticker("missing").await);
}

#[tokio::test]
async fn a_retain_without_a_task_is_none_and_any_other_404_is_an_error() {
    let told = json!({"code": 404, "reason": "Not Found: no task available"});
    let named = json!({"code": 404, "reason": "Not Found: whatever", "error": "no_task_available"});
    for body in [told, named] {
        let stub = Stub::always(Reply::json(404, &body)).await;
        assert!(stub.client().retain_task("w", &["q"]).await.unwrap().is_none());
    }
    for stub in [not_found().await, Stub::always(Reply::error(404, "path_not_found")).await] {
        assert_not_found(stub.client().retain_task("w", &["q"]).await);
        assert_not_found(stub.client().retain_tasks(&Retain::new("w")).await);
    }
}
