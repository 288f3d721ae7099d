//! Clients of HTTP/1.1 that mean no good: what they send, how they send it, and how they leave. Others do not notice.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::{get, post};
use futures_util::future::join_all;
use pgmill_server::ServeOptions;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::serve_scene::{PATIENCE, SOON, Scene};

const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Tells when it is dropped.
struct Told(Arc<Notify>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// A route whose handler never ends, and tells when it has begun and when it is given up.
fn endless() -> (Router, Arc<Notify>, Arc<Notify>) {
    let (begun, gone) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, told) = (Arc::clone(&begun), Arc::clone(&gone));
    let app = Router::new().route(
        "/",
        get(async move || {
            let _told = Told(told);
            tell.notify_one();
            pending::<()>().await;
        }),
    );
    (app, begun, gone)
}

/// A route that counts its requests, and answers with their bodies.
fn counted() -> (Router, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let echo = async move |body: String| {
        counted.fetch_add(1, Ordering::Relaxed);
        format!("<{body}>")
    };
    (Router::new().route("/", get(echo.clone()).post(echo)), count)
}

#[tokio::test]
async fn a_client_that_sends_a_further_request_and_goes_away_is_noticed() {
    for further in [GET, "GET / HT", "x"] {
        let (app, begun, gone) = endless();
        let scene = Scene::of(app, ServeOptions::new().request_time(PATIENCE * 9)).await;
        let mut wire = scene.connect().await;
        wire.send(&format!("{GET}{further}")).await;
        timeout(PATIENCE, begun.notified()).await.expect("the first one begins");
        drop(wire);
        timeout(PATIENCE, gone.notified()).await.expect("it is given up");
    }
}

#[tokio::test]
async fn a_client_that_sends_its_body_and_a_further_request_and_goes_away_is_noticed() {
    let (begun, gone) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, told) = (Arc::clone(&begun), Arc::clone(&gone));
    let handler = async move |_: String| {
        let _told = Told(told);
        tell.notify_one();
        pending::<()>().await;
    };
    let patient = ServeOptions::new().request_time(PATIENCE * 9);
    let scene = Scene::of(Router::new().route("/", post(handler)), patient).await;
    let mut wire = scene.connect().await;
    wire.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nab").await;
    wire.send(&format!("cd{GET}")).await;
    timeout(PATIENCE, begun.notified()).await.expect("the first one begins");
    drop(wire);
    timeout(PATIENCE, gone.notified()).await.expect("it is given up");
}

#[tokio::test]
async fn requests_that_come_one_behind_the_other_are_all_answered_in_their_order() {
    let (app, count) = counted();
    let scene = Scene::of(app, ServeOptions::new()).await;
    let mut wire = scene.connect().await;
    let post = |number: usize| {
        let body = format!("{number}-{}", "x".repeat(number * 40));
        format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    let chunked =
        "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let all: String = (0..200).map(|number| format!("{}{chunked}", post(number))).collect();
    let (mut reader, mut writer) = wire.0.split();
    let sending = async { writer.write_all(all.as_bytes()).await.unwrap() };
    let mut heard = Vec::new();
    let hearing = async {
        while String::from_utf8_lossy(&heard).matches('>').count() < 400 {
            tokio::io::AsyncReadExt::read_buf(&mut reader, &mut heard).await.unwrap();
        }
    };
    timeout(PATIENCE, futures_util::future::join(sending, hearing)).await.expect("all are answered");
    let heard = String::from_utf8(heard).unwrap();
    let mut bodies = heard.split('<').skip(1);
    for number in 0..200 {
        assert!(bodies.next().unwrap().starts_with(&format!("{number}-")));
        assert!(bodies.next().unwrap().starts_with("abc>"));
    }
    assert_eq!(count.load(Ordering::Relaxed), 400);
}

#[tokio::test]
async fn a_further_head_that_does_not_end_is_closed_as_a_connection_without_a_request() {
    let scene = Scene::of(counted().0, ServeOptions::new().idle_time(SOON)).await;
    let mut wire = scene.connect().await;
    wire.send(&format!("{GET}GET / HTTP/1.1\r\n")).await;
    let heard = wire.rest().await;
    assert_eq!(heard.matches("HTTP/1.1 200").count(), 1, "{heard}");
}

#[tokio::test]
async fn a_request_that_two_servers_could_read_differently_is_refused() {
    let post = "POST / HTTP/1.1\r\nHost: localhost\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";
    for (bad, what) in [
        (format!("{post}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), "two lengths"),
        (format!("{post}Content-Length: 1, 2\r\n\r\nab"), "a list of lengths"),
        (format!("{post}Content-Length: +1\r\n\r\na"), "a length with a sign"),
        (format!("{post}Content-Length: 1x\r\n\r\na"), "a length that is no number"),
        (format!("{post}Content-Length: 99999999999999999999\r\n\r\na"), "a length beyond all numbers"),
        (
            format!("{post}Transfer-Encoding: identity, chunked, gzip\r\n\r\n0\r\n\r\n"),
            "chunked, but not last",
        ),
        (format!("{post}Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n"), "never chunked"),
        (format!("{post}{chunked}\r\nx\r\na\r\n0\r\n\r\n"), "a chunk whose length is no number"),
        (format!("{post}{chunked}\r\n-1\r\na\r\n0\r\n\r\n"), "a chunk of negative length"),
        (format!("{post}{chunked}\r\n1ffffffffffffffff\r\na\r\n"), "a chunk beyond all numbers"),
        (format!("{post}{chunked}\r\n1\r\nabc\r\n0\r\n\r\n"), "a chunk that is longer than it says"),
        (format!("{post}{chunked}\r\n1;{}\r\n", "x".repeat(64 << 10)), "an extension without end"),
        (format!("{post}Content-Length : 1\r\n\r\na"), "a space before the colon"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n".to_owned(), "NUL in a header"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\n folded: x\r\n\r\n".to_owned(), "a header on two lines"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nX y: z\r\n\r\n".to_owned(), "a space in a name"),
        ("GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), "a space in the path"),
        ("GET / HTTP/9.9\r\nHost: localhost\r\n\r\n".to_owned(), "a version that there is not"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "no host"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n".to_owned(), "two hosts"),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n".to_owned(), "a host that is none"),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}".to_owned(), "a handshake of TLS"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), "the preface of HTTP/2"),
    ] {
        let (app, count) = counted();
        let scene =
            Scene::of(app, ServeOptions::new().header_time(SOON).body_time(SOON).idle_time(SOON)).await;
        let mut wire = scene.connect().await;
        wire.send(&bad).await;
        let heard = wire.rest().await;
        assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 4"), "{what}: {heard}");
        assert_eq!(heard.matches("HTTP/1.1 2").count(), 0, "{what}: {heard}");
        assert_eq!(count.load(Ordering::Relaxed), 0, "{what}: no handler has seen it");
    }
}

#[tokio::test]
async fn a_length_and_chunks_at_once_are_read_as_chunks_and_nothing_follows() {
    let (app, count) = counted();
    let scene = Scene::of(app, ServeOptions::new().header_time(SOON).idle_time(SOON)).await;
    let mut wire = scene.connect().await;
    let smuggled = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    wire.send(&format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}",
        5 + smuggled.len()
    ))
    .await;
    let heard = wire.rest().await;
    assert!(count.load(Ordering::Relaxed) <= 1 && heard.matches("HTTP/1.1 2").count() <= 1, "{heard}");
}

#[tokio::test]
async fn others_are_answered_while_many_clients_send_half_of_something() {
    let (app, _) = counted();
    let scene = Scene::of(app, ServeOptions::new().header_time(SOON * 20).body_time(SOON * 20)).await;
    // Who sends nothing at all may be one that the system never told the server of, when so many come at once.
    let halves = [
        "G",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: ",
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx",
        "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nx",
    ];
    let slow = join_all((0..400).map(async |number| {
        let mut wire = scene.connect().await;
        wire.send(halves[number % halves.len()]).await;
        wire
    }))
    .await;
    for _ in 0..20 {
        assert_eq!(scene.http.send("GET", "/", &[], "").await.status, 200);
    }
    for mut wire in slow {
        let heard = wire.rest().await;
        assert!(!heard.starts_with("HTTP/1.1 2"), "{heard}");
    }
}

#[tokio::test]
async fn a_client_that_ends_its_side_before_it_has_its_answer_is_taken_to_be_gone() {
    let (app, begun, gone) = endless();
    let scene = Scene::of(app, ServeOptions::new().request_time(PATIENCE * 9)).await;
    let mut wire = scene.connect().await;
    wire.send(GET).await;
    timeout(PATIENCE, begun.notified()).await.expect("it begins");
    // The other half is still open, so that an answer could come.
    wire.0.shutdown().await.unwrap();
    timeout(PATIENCE, gone.notified()).await.expect("it is given up");
    assert_eq!(wire.rest().await, "");
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_midst_of_its_body_leaves_nothing_behind() {
    let (app, count) = counted();
    let scene = Scene::of(app, ServeOptions::new()).await;
    for half in ["Content-Length: 9\r\n\r\nx", "Transfer-Encoding: chunked\r\n\r\n9\r\nx"] {
        let mut wire = scene.connect().await;
        wire.send(&format!("POST / HTTP/1.1\r\nHost: localhost\r\n{half}")).await;
        wire.0.shutdown().await.unwrap();
        let heard = wire.rest().await;
        assert!(!heard.starts_with("HTTP/1.1 2"), "{heard}");
    }
    assert_eq!(count.load(Ordering::Relaxed), 0);
}
