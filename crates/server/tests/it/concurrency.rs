//! Many clients at once.

use serde_json::json;
use tokio::task::JoinSet;

use crate::fixture::Fixture;

const CLIENTS: usize = 200;
const QUEUES: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn b1_nobody_gets_the_answer_that_is_for_somebody_else() {
    let fixture = Fixture::new().await;
    for queue in 0..QUEUES {
        fixture.queue(json!({ "queue": format!("q{queue}"), "retries": queue + 1 })).await;
    }
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let http = fixture.http;
        clients.spawn(async move {
            let queue = client % QUEUES;
            let (name, path) = (format!("q{queue}"), format!("/api/queue/q{queue}"));
            for round in 0..5 {
                let (method, body) = match (client + round) % 2 {
                    0 => ("GET", String::new()),
                    _ => ("PATCH", json!({ "retries": queue + 1 + QUEUES * round }).to_string()),
                };
                let reply = http.send(method, &path, &[("Content-Type", "application/json")], &body).await;
                let told = reply.json();
                assert_eq!((reply.status, told["queue"].as_str()), (200, Some(&*name)), "{}", reply.body);
                // Whoever changed it last, it was a client of this queue.
                assert_eq!((told["retries"].as_u64().unwrap() - 1) % QUEUES as u64, queue as u64);
            }
        });
    }
    clients.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b19_of_all_who_create_the_same_queue_at_once_one_does() {
    let fixture = Fixture::new().await;
    let mut clients = JoinSet::new();
    for _ in 0..40 {
        let http = fixture.http;
        let body = json!({ "queue": "new" }).to_string();
        clients.spawn(async move {
            http.send("POST", "/api/queue", &[("Content-Type", "application/json")], &body).await.status
        });
    }
    let statuses = clients.join_all().await;
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1);
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 39);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_task_is_retained_and_released_by_one_client() {
    let fixture = Fixture::with_queue().await;
    let tasks: Vec<_> = (0..CLIENTS).map(|number| json!({ "queue": "q", "payload": number })).collect();
    assert_eq!(fixture.post("/api/task", &tasks.into()).await.status, 201);
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let http = fixture.http;
        clients.spawn(async move {
            let path = format!("/api/task/q?worker=w{client}&wait=30s");
            let task = http.send("PUT", &path, &[], "").await.json();
            let path = format!("/api/task/{}", task["id"]);
            let body = json!({ "result": client, "lease": task["lease"] }).to_string();
            let released = http.send("PATCH", &path, &[("Content-Type", "application/json")], &body).await;
            assert_eq!(released.json()["worker"], format!("w{client}"), "{}", released.body);
            assert_eq!(released.json()["result"], client);
            task["id"].as_u64().unwrap()
        });
    }
    let mut ids = clients.join_all().await;
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), CLIENTS);
}
