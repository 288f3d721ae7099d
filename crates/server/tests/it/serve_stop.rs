//! How a server ends.

use std::future::pending;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use pgmill_server::ServeOptions;
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;

use crate::serve_scene::{PATIENCE, SOON, Scene};

/// A route that tells when a request has come, and answers when it may.
struct Gate {
    begun: Arc<Notify>,
    open: Arc<Semaphore>,
}

impl Gate {
    fn new() -> (Self, Router) {
        let (begun, open) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
        let gate = Self { begun: Arc::clone(&begun), open: Arc::clone(&open) };
        let handler = async move || {
            begun.notify_one();
            let _ = open.acquire().await.unwrap();
            "done"
        };
        (gate, Router::new().route("/", get(handler)))
    }
}

#[tokio::test]
async fn a_request_under_way_is_answered_and_nothing_new_is_taken() {
    let (gate, app) = Gate::new();
    let scene = Scene::of(app, ServeOptions::new()).await;
    let http = scene.http;
    let request = tokio::spawn(async move { http.send("GET", "/", &[], "").await });
    let mut idle = scene.connect().await;
    gate.begun.notified().await;
    scene.shutdown.cancel();
    assert_eq!(idle.rest().await, "", "connections without a request are closed");
    assert!(TcpStream::connect(http.address).await.is_err());
    gate.open.add_permits(1);
    let answer = timeout(PATIENCE, request).await.unwrap().unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "done"));
    scene.end().await;
}

#[tokio::test]
async fn what_is_under_way_after_the_grace_is_cut() {
    let app = Router::new().route("/", get(async || pending::<()>().await));
    let scene = Scene::of(app, ServeOptions::new().grace(SOON)).await;
    let mut wire = scene.connect().await;
    wire.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    scene.shutdown.cancel();
    assert_eq!(wire.rest().await, "");
    scene.end().await;
}

#[tokio::test]
async fn a_head_that_has_begun_does_not_hold_up_the_end_for_ever() {
    let (_, app) = Gate::new();
    let scene = Scene::of(app, ServeOptions::new().header_time(SOON)).await;
    let mut wire = scene.connect().await;
    wire.send("GET / HT").await;
    scene.shutdown.cancel();
    wire.rest().await;
    scene.end().await;
}
