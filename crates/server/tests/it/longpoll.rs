//! `PUT /task` with `wait`.

use std::collections::HashSet;
use std::time::Duration;

use pgmill::{ConnectOptions, Manager, TaskMeta};
use pgmill_testkit::wait_until;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::fixture::Fixture;
use crate::http::Reply;
use crate::steps::assert_error;
use crate::wire::{SOON, Wire, alive, until_only_so_many};

impl Fixture {
    /// A request that waits, in the background.
    fn waits(&self, path: &str) -> JoinHandle<Reply> {
        let (http, path) = (self.http, path.to_owned());
        tokio::spawn(async move { http.send("PUT", &path, &[], "").await })
    }

    /// How many statements its database has seen.
    async fn statements(&self) -> i64 {
        let options = ConnectOptions::parse(&self.database.server().url()).unwrap();
        let (client, driver) = options.connect().await.unwrap();
        tokio::spawn(driver.run());
        let counted = "SELECT (xact_commit + xact_rollback)::bigint FROM pg_stat_database WHERE datname = $1";
        client.query_one(counted, &[&self.database.name()]).await.unwrap().get(0)
    }

    /// Until whoever waits sleeps: the database has been told what for.
    async fn until_somebody_waits(&self) {
        let client = self.database.connect().await;
        wait_until("a request to wait", SOON, async || {
            let waiting = client.query_one("SELECT count(*) FROM pgmill.waiter", &[]).await.unwrap();
            waiting.get::<_, i64>(0) > 0
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_comes_ends_the_wait_whichever_process_creates_it() {
    let fixture = Fixture::with_queue().await;
    let other = Manager::connect(fixture.database.url()).namespace("default").await.unwrap();
    for manager in [&fixture.manager, &other] {
        let waiting = fixture.waits("/api/task/q?worker=w&wait=1m");
        fixture.until_somebody_waits().await;
        manager.create_task("q", TaskMeta::json(&1).unwrap()).await.unwrap();
        let retained = waiting.await.unwrap();
        assert_eq!((retained.status, &retained.json()["payload"]), (201, &json!(1)), "{}", retained.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_there_is_not_waited_for_and_one_of_another_queue_does_not_count() {
    let fixture = Fixture::with_queue().await;
    fixture.queue(json!({ "queue": "other" })).await;
    fixture.task(1).await;
    assert_eq!(fixture.put("/api/task/q?worker=w&wait=1m").await.json()["payload"], 1);
    fixture.task(2).await;
    let none = fixture.put("/api/task/other?worker=w&wait=50ms").await;
    assert_error(&none, 404, "Not Found: no task available", None, "no_task_available");
    let none = fixture.put("/api/task/other?worker=w&wait=50000000&n=2").await;
    assert_eq!((none.status, none.json()), (201, json!({ "count": 0 })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_becomes_due_while_it_is_waited_for_is_found() {
    let fixture = Fixture::with_queue().await;
    fixture.post("/api/task", &json!({ "queue": "q", "payload": 1, "delay": "300ms" })).await;
    assert_eq!(fixture.put("/api/task?worker=w&wait=1m").await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_tasks_reaches_everybody_who_waits_each_one_of_them() {
    let fixture = Fixture::with_queue().await;
    let waiting: Vec<_> = (0..100).map(|_| fixture.waits("/api/task/q?worker=w&wait=1m")).collect();
    fixture.until_somebody_waits().await;
    let metas = (0..100).map(|number| TaskMeta::json(&number).unwrap());
    fixture.manager.create_tasks("q", metas).await.unwrap();
    let mut found = HashSet::new();
    for waiting in waiting {
        let retained = waiting.await.unwrap();
        assert_eq!(retained.status, 201, "{}", retained.body);
        found.insert(retained.json()["payload"].as_u64().unwrap());
    }
    assert_eq!(found.len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_does_not_ask_the_database_one_by_one() {
    let fixture = Fixture::with_queue().await;
    let waiting: Vec<_> = (0..300).map(|_| fixture.waits("/api/task/q?worker=w&wait=1m")).collect();
    let mut before = fixture.statements().await;
    wait_until("all to wait", SOON, async || {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = fixture.statements().await;
        now - std::mem::replace(&mut before, now) < 4
    })
    .await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let sent = fixture.statements().await - before;
    // One that waits asks when the next task is due, and looks, every 4 s at least: 300 would have sent more than that.
    assert!((1..=60).contains(&sent), "{sent} statements of 300 who wait");
    fixture.api.shutdown().cancel();
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap().status, 404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_ends_a_wait_as_if_nothing_was_found() {
    let fixture = Fixture::with_queue().await;
    let one = fixture.waits("/api/task?worker=w&wait=1m");
    let many = fixture.waits("/api/task?worker=w&wait=1m&n=2");
    fixture.until_somebody_waits().await;
    fixture.api.shutdown().cancel();
    let none = one.await.unwrap();
    assert_error(&none, 404, "Not Found: no task available", None, "no_task_available");
    assert_eq!(many.await.unwrap().json(), json!({ "count": 0 }));
    assert_eq!(fixture.put("/api/task?worker=w&wait=1m").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_while_it_waits_leaves_at_once_and_takes_no_task() {
    let fixture = Fixture::with_queue().await;
    let path = "/api/task/q?worker=w&wait=1m";
    // As the client of the reference does it: with an empty body, in chunks.
    let chunked = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
    let first = Wire::open(fixture.http, "PUT", path, chunked).await;
    fixture.until_somebody_waits().await;
    let second = fixture.waits(path);
    first.hang_up().await;
    fixture.task(1).await;
    assert_eq!(second.await.unwrap().json()["attempt"], 1);
}

/// What is not read of a body hides that the connection has ended behind it.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_body_came_after_its_head_is_noticed_too_when_it_goes_away() {
    let fixture = Fixture::with_queue().await;
    let path = "/api/task/q?worker=w&wait=1m";
    for (length, body) in [("Content-Length: 2", "{}"), ("Transfer-Encoding: chunked", "0\r\n\r\n")] {
        let headers = format!("Expect: 100-continue\r\n{length}\r\n");
        let mut first = Wire::open(fixture.http, "PUT", path, &headers).await;
        first.until("100 Continue").await;
        first.send(body).await;
        fixture.until_somebody_waits().await;
        first.hang_up().await;
        let task = fixture.task(1).await;
        let second = fixture.put(path).await.json();
        assert_eq!((&second["id"], &second["attempt"]), (&task["id"], &json!(1)), "{length}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_was_retained_for_a_client_that_went_away_is_given_back() {
    let fixture = Fixture::with_queue().await;
    let task = fixture.task(1).await;
    let client = fixture.database.connect().await;
    client.batch_execute("BEGIN; LOCK TABLE pgmill.task IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let wire = Wire::open(fixture.http, "PUT", "/api/task/q?worker=w&wait=1m", "").await;
    wait_until("the retain to be under way", SOON, async || {
        let blocked = "SELECT count(*) FROM pg_stat_activity
            WHERE wait_event_type = 'Lock' AND datname = current_database()";
        client.query_one(blocked, &[]).await.unwrap().get::<_, i64>(0) > 0
    })
    .await;
    wire.hang_up().await;
    client.batch_execute("COMMIT").await.unwrap();
    let mut found = fixture.put("/api/task/q?worker=other&wait=1m").await.json();
    assert_eq!((&found["id"], &found["attempt"]), (&task["id"], &json!(2)));
    assert_eq!(found["retries"].take(), 3, "the attempt was spared");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_loop_is_left_when_the_last_has_left() {
    let fixture = Fixture::with_queue().await;
    // What the manager begins with the first who waits, and goes on with, is not counted.
    assert_eq!(fixture.put("/api/task?worker=w&wait=1s").await.status, 404);
    let before = alive(&fixture.manager);
    let queues = ["q", "a", "b", "c"];
    let mut wires = Vec::new();
    for number in 0..40 {
        let path = format!("/api/task/{}?worker=w&wait=1m", queues[number % 4]);
        wires.push(Wire::open(fixture.http, "PUT", &path, "").await);
    }
    wait_until("the server to see them", SOON, async || alive(&fixture.manager) >= before + 40).await;
    drop(wires);
    until_only_so_many(before, &fixture.manager).await;
}
