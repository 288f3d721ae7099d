//! `GET /metrics`.

use std::sync::LazyLock;

use pgmill::{Outcome, QueueMeta, TaskMeta, seconds};
use pgmill_server::{Options, Recorder};
use pgmill_testkit::wait_until;

use crate::fixture::Fixture;
use crate::http::Reply;

/// There is one for the process, and so for all tests.
static RECORDER: LazyLock<Recorder> = LazyLock::new(|| Recorder::install().unwrap());

async fn recorded() -> Fixture {
    Fixture::with(Options::new().recorder(RECORDER.clone())).await
}

fn samples<'a>(reply: &'a Reply, metric: &str) -> Vec<&'a str> {
    let begin = format!("{metric}{{");
    reply.body.lines().filter(|line| line.starts_with(&begin)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn test_metrics_handler() {
    let fixture = Fixture::new().await;
    fixture.manager.register_queue(QueueMeta::new("case-1")).await.unwrap();
    let reply = fixture.get("/api/metrics").await;
    assert_eq!(reply.status, 200);
    let kind = reply.header("content-type").unwrap();
    assert!(kind.contains("text/plain; version=0.0.4; charset=utf-8"), "{kind}");
    let head = "# HELP queue_tasks Number of tasks in each queue by status\n# TYPE queue_tasks gauge\n";
    assert!(reply.body.starts_with(head), "{}", reply.body);
    let expected = ["cancelled", "expired", "failed", "new", "released", "retained", "retry"]
        .map(|status| format!("queue_tasks{{namespace=\"default\",queue=\"case-1\",status=\"{status}\"}} 0"));
    assert_eq!(samples(&reply, "queue_tasks"), expected);
    assert_eq!(fixture.send("POST", "/api/metrics", "").await.status, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn test_metrics_with_multiple_queues() {
    let fixture = Fixture::with(Options::new().prefix("/")).await;
    let manager = &fixture.manager;
    for queue in ["b", "a"] {
        manager.register_queue(QueueMeta::new(queue)).await.unwrap();
    }
    for _ in 0..3 {
        manager.create_task("a", TaskMeta::json(&1).unwrap()).await.unwrap();
    }
    let first = manager.next_task("w", &["a"]).await.unwrap().unwrap();
    manager.release_task(&first, Outcome::done(&1).unwrap()).await.unwrap();
    manager.next_task("w", &["a"]).await.unwrap().unwrap();
    let reply = fixture.get("/metrics").await;
    let tasks = samples(&reply, "queue_tasks");
    assert_eq!(tasks.len(), 14);
    assert!(tasks.is_sorted());
    for status in ["new", "retained", "released"] {
        let line = format!("queue_tasks{{namespace=\"default\",queue=\"a\",status=\"{status}\"}} 1");
        assert!(tasks.contains(&line.as_str()), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_of_other_namespaces_are_not_shown() {
    let fixture = Fixture::new().await;
    let other = fixture.manager.with_namespace("other").unwrap();
    other.register_queue(QueueMeta::new("same")).await.unwrap();
    fixture.manager.register_queue(QueueMeta::new("same")).await.unwrap();
    assert_eq!(samples(&fixture.get("/api/metrics").await, "queue_tasks").len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_what_the_library_counts_are_shown_beside_it() {
    let fixture = recorded().await;
    fixture.manager.register_queue(QueueMeta::new("counted-here")).await.unwrap();
    fixture.manager.create_task("counted-here", TaskMeta::json(&1).unwrap()).await.unwrap();
    fixture.get("/api/queue/counted-here").await;
    wait_until("the request is counted", seconds(10), async || {
        let reply = fixture.get("/api/metrics").await;
        let request = "pgmill_http_requests_total{route=\"/api/queue/{name}\",method=\"GET\",status=\"200\"}";
        let created = "pgmill_tasks_created_total{namespace=\"default\",queue=\"counted-here\"} 1";
        reply.body.contains(request)
            && reply.body.contains(created)
            && reply.body.contains("pgmill_http_seconds_bucket{")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_is_packed_for_those_who_take_it() {
    let fixture = Fixture::new().await;
    let plain = fixture.http.bytes("GET", "/api/metrics", &[("Accept-Encoding", "br, gzip;q=0")]).await;
    assert!(!plain.windows(4).any(|it| it.eq_ignore_ascii_case(b"gzip")));
    let packed = fixture.http.bytes("GET", "/api/metrics", &[("Accept-Encoding", "br, gzip")]).await;
    let head = packed.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
    assert!(String::from_utf8_lossy(&packed[..head]).contains("content-encoding: gzip"));
    assert_eq!(packed[head + 4..head + 6], [0x1f, 0x8b]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_and_what_holds_the_database_back_is_shown() {
    let fixture = Fixture::new().await;
    fixture.manager.register_queue(QueueMeta::new("waiting-here")).await.unwrap();
    let before = fixture.get("/api/metrics").await;
    assert!(samples(&before, "pgmill_oldest_waiting_seconds").is_empty(), "{}", before.body);
    fixture.manager.create_task("waiting-here", TaskMeta::json(&1).unwrap()).await.unwrap();
    let reply = fixture.get("/api/metrics").await;
    let oldest = samples(&reply, "pgmill_oldest_waiting_seconds");
    let expected = "pgmill_oldest_waiting_seconds{namespace=\"default\",queue=\"waiting-here\"} ";
    assert!(oldest.len() == 1 && oldest[0].starts_with(expected), "{oldest:?}");
    for name in [
        "pgmill_database_up 1",
        "pgmill_oldest_xmin_transactions ",
        "pgmill_oldest_transaction_seconds ",
        "pgmill_server_connections ",
        "pgmill_connections_in_use ",
    ] {
        assert!(reply.body.lines().any(|line| line.starts_with(name)), "{name}: {}", reply.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn how_long_tasks_waited_and_took_is_shown_of_workers_over_http() {
    let fixture = recorded().await;
    fixture.manager.register_queue(QueueMeta::new("worked-here")).await.unwrap();
    fixture.manager.create_task("worked-here", TaskMeta::json(&1).unwrap()).await.unwrap();
    let task = fixture.send("PUT", "/api/task/worked-here?worker=w", "").await.json();
    fixture.send("PATCH", &format!("/api/task/{}", task["id"]), "{}").await;
    let reply = fixture.get("/api/metrics").await;
    for name in ["pgmill_task_pickup_seconds", "pgmill_task_run_seconds"] {
        let line = format!("{name}_count{{namespace=\"default\",queue=\"worked-here\"}} 1");
        assert!(reply.body.contains(&line), "{line}: {}", reply.body);
    }
}
