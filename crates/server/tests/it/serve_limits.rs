//! What a client may take: time, space, connections.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::{get, post};
use futures_util::stream;
use pgmill_server::{Api, Options, ServeOptions};
use pgmill_testkit::wait_until;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::fixture::Fixture;
use crate::serve_scene::{PATIENCE, SOON, Scene};

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

/// The interface on a database of its own, under these limits.
async fn api(options: Options, limits: ServeOptions) -> (Fixture, Scene) {
    let fixture = Fixture::new().await;
    let app = Api::new(fixture.manager.clone(), options).router();
    (fixture, Scene::of(app, limits).await)
}

#[tokio::test]
async fn a_head_that_does_not_end_is_cut() {
    let scene = Scene::of(hello(), ServeOptions::new().header_time(SOON)).await;
    for head in ["", "G", "GET / HTTP/1.1\r\nHost: localhost\r\n"] {
        let mut wire = scene.connect().await;
        wire.send(head).await;
        assert_eq!(wire.rest().await, "", "{head:?}");
    }
}

#[tokio::test]
async fn a_head_that_comes_bit_by_bit_is_cut_too() {
    let scene = Scene::of(hello(), ServeOptions::new().header_time(SOON)).await;
    let mut wire = scene.connect().await;
    wire.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    wire.until("hello").await;
    let (mut reader, mut writer) = wire.0.into_split();
    let drip = async {
        loop {
            if tokio::io::AsyncWriteExt::write_all(&mut writer, b"X").await.is_err() {
                return pending().await;
            }
            sleep(SOON / 10).await;
        }
    };
    let mut rest = Vec::new();
    let cut = tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut rest);
    tokio::select! {
        ended = timeout(PATIENCE, cut) => assert!(ended.is_ok(), "it is never cut"),
        () = drip => {}
    }
    assert_eq!(rest, b"");
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed_only_after_the_idle_time() {
    let limits = ServeOptions::new().header_time(SOON).idle_time(SOON * 10);
    let scene = Scene::of(hello(), limits).await;
    let mut wire = scene.connect().await;
    for _ in 0..2 {
        wire.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        wire.until("hello").await;
        sleep(SOON * 2).await;
    }
    assert_eq!(wire.rest().await, "");
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let scene = Scene::of(hello(), ServeOptions::new().max_header_bytes(8 << 10).max_headers(10)).await;
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(9 << 10));
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(10));
    for head in [long, many] {
        let mut wire = scene.connect().await;
        wire.send(&head).await;
        assert!(wire.rest().await.starts_with("HTTP/1.1 431"));
    }
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_answered_408() {
    let (_fixture, scene) = api(Options::new(), ServeOptions::new().body_time(SOON)).await;
    let mut wire = scene.connect().await;
    wire.send("POST /api/queue HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{")
        .await;
    let answer = wire.rest().await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains(r#""error": "timeout""#), "{answer}");
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_before_it_has_arrived() {
    let (_fixture, scene) = api(Options::new().max_body(16 << 10), ServeOptions::new()).await;
    let head = "POST /api/queue HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let chunk = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
    for (header, body) in
        [("Transfer-Encoding: chunked", format!("{chunk}{chunk}")), ("Content-Length: 16385", String::new())]
    {
        let mut wire = scene.connect().await;
        wire.send(&format!("{head}{header}\r\n\r\n{body}")).await;
        let answer = wire.until("body_too_large").await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    }
}

#[tokio::test]
async fn a_client_that_goes_on_sending_what_is_refused_hears_so() {
    let (_fixture, scene) = api(Options::new().max_body(16 << 10), ServeOptions::new()).await;
    let mut wire = scene.connect().await;
    let head = "POST /api/queue HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    wire.send(&format!("{head}Content-Length: 4000000\r\n\r\n{}", " ".repeat(4_000_000))).await;
    assert!(wire.rest().await.starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn a_connection_too_many_is_answered_503_and_closed() {
    let scene = Scene::of(hello(), ServeOptions::new().max_connections(1)).await;
    let mut first = scene.connect().await;
    first.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    first.until("hello").await;
    let refused = scene.http.send("GET", "/", &[], "").await;
    assert_eq!((refused.status, refused.error().as_str()), (503, "too_many_connections"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    drop(first);
    wait_until("a connection to be free", PATIENCE, async || {
        scene.http.send("GET", "/", &[], "").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn a_client_that_has_sent_all_it_will_is_answered() {
    let scene = Scene::of(hello(), ServeOptions::new()).await;
    let mut wire = scene.connect().await;
    wire.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    tokio::io::AsyncWriteExt::shutdown(&mut wire.0).await.unwrap();
    assert!(wire.rest().await.ends_with("hello"));
}

#[tokio::test]
async fn a_request_without_an_answer_in_time_is_given_up() {
    let app =
        Router::new().route("/", get(async || pending::<()>().await).post(async || pending::<()>().await));
    let scene = Scene::of(app, ServeOptions::new().request_time(SOON)).await;
    let read = scene.http.send("GET", "/", &[("X-Request-Id", "mine")], "").await;
    assert_eq!((read.status, read.error().as_str(), read.header("retry-after")), (503, "timeout", Some("1")));
    assert_eq!(read.json()["request_id"], "mine");
    let write = scene.http.send("POST", "/", &[], "").await;
    assert_eq!((write.status, write.header("retry-after")), (503, None), "it may have been done");
    assert!(write.json()["reason"].as_str().unwrap().contains("not known"), "{}", write.body);
}

#[tokio::test]
async fn the_time_that_a_body_takes_is_its_own() {
    let app = Router::new().route("/", post(async |body: Bytes| body.len().to_string()));
    let scene = Scene::of(app, ServeOptions::new().request_time(SOON * 5)).await;
    let mut wire = scene.connect().await;
    wire.send("POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 4\r\n\r\n").await;
    for _ in 0..4 {
        sleep(SOON * 2).await;
        wire.send("x").await;
    }
    assert!(wire.rest().await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_stream_may_go_on_beyond_all_limits_of_time() {
    let app = Router::new().route(
        "/",
        get(async || {
            let parts = stream::unfold(0, async |count| {
                sleep(SOON).await;
                (count < 5).then(|| (Ok::<_, Infallible>(format!("part {count};")), count + 1))
            });
            Body::from_stream(parts)
        }),
    );
    let short = Duration::from_millis(100);
    let limits =
        ServeOptions::new().request_time(short).idle_time(short).header_time(short).write_time(short);
    let scene = Scene::of(app, limits).await;
    let answer = scene.http.send("GET", "/", &[], "").await;
    assert!(answer.body.ends_with("part 4;"), "{}", answer.body);
}

#[tokio::test]
async fn a_client_that_reads_nothing_of_a_stream_is_cut() {
    let gone = Arc::new(Notify::new());
    let told = Arc::clone(&gone);
    let app = Router::new().route(
        "/",
        get(async move || {
            let told = Told(Arc::clone(&told));
            let parts =
                stream::unfold(told, async |told| Some((Ok::<_, Infallible>("x".repeat(1 << 16)), told)));
            Body::from_stream(parts)
        }),
    );
    let scene = Scene::of(app, ServeOptions::new().write_time(SOON)).await;
    let mut wire = scene.connect().await;
    wire.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    timeout(PATIENCE, gone.notified()).await.expect("the stream is dropped");
}

/// Tells when it is dropped.
struct Told(Arc<Notify>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}
