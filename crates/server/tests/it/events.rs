//! `GET /event`: what happens to tasks, as it happens.

use pgmill::{Manager, Outcome, TaskMeta};
use pgmill_testkit::wait_until;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::fixture::Fixture;
use crate::steps::assert_error;
use crate::wire::{SOON, Wire};

impl Fixture {
    /// A stream that has begun, so that what happens from now on is told.
    async fn watch(&self, query: &str) -> Wire {
        let mut wire = Wire::open(self.http, "GET", &format!("/api/event{query}"), "").await;
        wire.until("event: ping\n\n").await;
        wire
    }
}

/// What a stream has told of tasks: ids and statuses.
fn told(wire: &Wire) -> Vec<(Value, Value)> {
    wire.events("task").into_iter().map(|event| (event["id"].clone(), event["status"].clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_a_task_is_told_once_and_in_order() {
    let fixture = Fixture::with_queue().await;
    let mut wire = fixture.watch("").await;
    let task = fixture.task(1).await;
    let path = format!("/api/task/{}", task["id"]);
    fixture.put("/api/task?worker=w1").await;
    fixture.patch(&path, &json!({ "fail": true, "retry_in": "0s" })).await;
    fixture.put("/api/task?worker=w1").await;
    fixture.patch(&path, &json!({})).await;
    wire.until("\"released\"").await;
    wire.until("\n\n").await;
    let expected = ["new", "retained", "retry", "retained", "released"];
    assert_eq!(told(&wire), expected.map(|status| (task["id"].clone(), json!(status))));
    let retained = &wire.events("task")[1];
    let keys: Vec<_> = retained.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["at", "attempt", "id", "namespace", "queue", "status", "worker"]);
    assert_eq!((&retained["attempt"], &retained["worker"]), (&json!(1), &json!("w1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_other_processes_make_are_told_too() {
    let fixture = Fixture::with_queue().await;
    let other = Manager::connect(fixture.database.url()).namespace("default").await.unwrap();
    let mut wire = fixture.watch("").await;
    // A process looks once a second whether somebody watches.
    wait_until("a change is told", SOON, async || {
        other.create_task("q", TaskMeta::json(&1).unwrap()).await.unwrap();
        tokio::time::timeout(std::time::Duration::from_millis(200), wire.until("\"new\"")).await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_asked_for_is_told() {
    let fixture = Fixture::with_queue().await;
    fixture.queue(json!({ "queue": "other" })).await;
    let mut released = fixture.watch("?queue=q&queue=nosuch&status=released").await;
    let first = fixture.task(1).await;
    let mut of_first = fixture.watch(&format!("?id={}", first["id"])).await;
    fixture.post("/api/task", &json!({ "queue": "other", "payload": 2 })).await;
    let second = fixture.task(3).await;
    for task in [&first, &second] {
        fixture.put("/api/task/q?worker=w").await;
        fixture.patch(&format!("/api/task/{}", task["id"]), &json!({})).await;
    }
    fixture.put("/api/task/other?worker=w").await;
    released.until(&format!("\"id\":{}", second["id"])).await;
    released.until("\n\n").await;
    let status = |name: &str| json!(name);
    assert_eq!(
        told(&released),
        [(first["id"].clone(), status("released")), (second["id"].clone(), status("released"))]
    );
    of_first.until("\"released\"").await;
    of_first.until("\n\n").await;
    let of_first = told(&of_first).into_iter().filter(|(_, status)| status != "new");
    let expected = ["retained", "released"].map(|name| (first["id"].clone(), status(name)));
    assert_eq!(of_first.collect::<Vec<_>>(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_of_other_namespaces_are_not_told() {
    let fixture = Fixture::with_queue().await;
    let other = fixture.manager.with_namespace("other").unwrap();
    other.register_queue(pgmill::QueueMeta::new("q")).await.unwrap();
    let mut wire = fixture.watch("").await;
    let hidden = other.create_task("q", TaskMeta::json(&1).unwrap()).await.unwrap();
    let task = other.next_task("w", &["q"]).await.unwrap().unwrap();
    other.release_task(&task, Outcome::done(&1).unwrap()).await.unwrap();
    let shown = fixture.task(1).await;
    wire.until(&format!("\"id\":{}", shown["id"])).await;
    wire.until("\n\n").await;
    assert_eq!(told(&wire), [(shown["id"].clone(), json!("new"))]);
    assert_ne!(shown["id"], json!(hidden.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_for_is_refused() {
    let fixture = Fixture::new().await;
    let many = "id=1&".repeat(101);
    for query in ["status=nope", "id=x", "id=", "id=-1", "queue=a%20b", many.trim_end_matches('&')] {
        let reply = fixture.get(&format!("/api/event?{query}")).await;
        assert_eq!(reply.status, 400, "{query}: {}", reply.body);
    }
    let refused = fixture.get("/api/event?queue=a%20b").await;
    assert_error(&refused, 400, "Bad Request: Invalid queue name: \"a b\"", None, "invalid_name");
}

/// A client that reads nothing while tens of thousands of tasks change: what is sent fills the buffers of the connection, and
/// then its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_too_slow_is_told_so_and_left() {
    let fixture = Fixture::with_queue().await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut slow = socket.connect(fixture.http.address).await.unwrap();
    let request =
        format!("GET /api/event HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", fixture.http.address);
    slow.write_all(request.as_bytes()).await.unwrap();
    let mut quick = fixture.watch("").await;
    for _ in 0..40 {
        let metas = (0..1_000).map(|_| TaskMeta::json(&1).unwrap());
        let last = fixture.manager.create_tasks("q", metas).await.unwrap().pop().unwrap();
        // What is not yet told piles up in the server, and would be left out for all.
        quick.until(&format!("\"id\":{},", last.id)).await;
    }
    let mut text = String::new();
    slow.read_to_string(&mut text).await.unwrap();
    let dropped = "event: dropped\ndata: {\"reason\":\"the client is too slow\"}\n\n";
    let end = text.find(dropped).unwrap_or_else(|| panic!("it was not told: {}", &text[text.len() - 500..]));
    assert!(!text[end + dropped.len()..].contains("event: task"));
    assert_eq!(quick.events("task").len(), 40_000, "others are told of everything");
}
