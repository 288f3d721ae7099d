//! What keeps strangers, and pages that they make, away from a server; and what an answer tells them.

use axum::Router;
use axum::routing::get;
use pgmill_server::{Api, Options, ServeError, ServeOptions, Server};
use serde_json::json;

use crate::fixture::Fixture;
use crate::serve_scene::{Log, Scene};

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

#[tokio::test]
async fn an_address_that_others_can_reach_needs_tls_and_tokens() {
    let server = |options| Server::new(hello(), options).unwrap();
    for address in ["0.0.0.0:0", "[::]:0", ":0"] {
        let refused = server(ServeOptions::new().authenticated(true)).listen(address).await;
        assert!(matches!(refused, Err(ServeError::Unencrypted { .. })), "{address}: {refused:?}");
        let refused = server(ServeOptions::new().insecure(true)).listen(address).await;
        assert!(matches!(refused, Err(ServeError::Open { .. })), "{address}: {refused:?}");
    }
    let allowed = server(ServeOptions::new().insecure(true).authenticated(true)).listen("0.0.0.0:0").await;
    assert!(allowed.is_ok(), "{allowed:?}");
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let refused = server(ServeOptions::new()).run(listener, Default::default()).await;
    assert!(
        matches!(refused, Err(ServeError::Unencrypted { .. })),
        "a listener of the caller's: {refused:?}"
    );
}

#[tokio::test]
async fn an_origin_to_allow_must_be_one() {
    for origin in ["*", "app.example", "https://app.example/", "https://app.example/path", ""] {
        let server = Server::new(hello(), ServeOptions::new().allow_origin(origin));
        assert!(matches!(server, Err(ServeError::Origin { .. })), "{origin}");
    }
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused_in_the_shape_of_the_contract() {
    let scene = Scene::of(hello(), ServeOptions::new()).await;
    let refused = scene.http.send("GET", "/", &[("Origin", "https://evil.example")], "").await;
    let expected = json!({
        "code": 403, "reason": "Forbidden: pages of this origin may not ask", "error": "cross_origin"
    });
    assert_eq!((refused.status, refused.json()), (403, expected));
    assert_eq!(refused.header("access-control-allow-origin"), None);
    let refused = scene.http.send("POST", "/", &[("Sec-Fetch-Site", "cross-site")], "").await;
    assert_eq!((refused.status, refused.error().as_str()), (403, "cross_origin"));
    let own = format!("http://{}", scene.http.address);
    let own = scene.http.send("GET", "/", &[("Origin", &own), ("Sec-Fetch-Site", "same-origin")], "").await;
    assert_eq!(own.status, 200);
}

#[tokio::test]
async fn a_name_that_points_at_this_machine_is_not_its_own() {
    let request = b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    let scene = Scene::of(hello(), ServeOptions::new()).await;
    let refused = scene.http.raw(request).await;
    assert_eq!((refused.status, refused.error().as_str()), (403, "cross_origin"));
    for options in [ServeOptions::new().allow_host("evil.example"), ServeOptions::new().authenticated(true)] {
        let scene = Scene::of(hello(), options).await;
        assert_eq!(scene.http.raw(request).await.status, 200);
    }
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_ask_and_read() {
    let options = ServeOptions::new().allow_origin("https://app.example");
    let scene = Scene::of(hello(), options).await;
    let origin = ("Origin", "https://app.example");
    let asked = [origin, ("Access-Control-Request-Method", "PATCH")];
    let asked = scene.http.send("OPTIONS", "/", &asked, "").await;
    assert_eq!((asked.status, asked.header("access-control-allow-origin")), (204, Some(origin.1)));
    assert!(asked.header("access-control-allow-methods").unwrap().contains("PATCH"));
    assert!(asked.header("access-control-allow-headers").unwrap().contains("authorization"));
    let answer = scene.http.send("GET", "/", &[origin, ("Sec-Fetch-Site", "cross-site")], "").await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some(origin.1)));
    assert_eq!(answer.header("vary"), Some("Origin"));
    let other = scene.http.send("GET", "/", &[("Origin", "https://app.example.evil")], "").await;
    assert_eq!(other.status, 403);
}

#[tokio::test]
async fn every_answer_has_headers_against_misuse() {
    let fixture = Fixture::new().await;
    let scene =
        Scene::of(Api::new(fixture.manager.clone(), Options::new()).router(), ServeOptions::new()).await;
    for (method, path) in
        [("GET", "/api/queue"), ("GET", "/nowhere"), ("PUT", "/api/queue"), ("POST", "/api/queue")]
    {
        let answer = scene.http.send(method, path, &[], "").await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{method} {path}");
        }
        assert!(
            answer.header("x-request-id").is_some() && answer.header("strict-transport-security").is_none()
        );
    }
}

#[tokio::test]
async fn a_panic_is_a_500_and_in_the_log_under_the_id_of_its_request() {
    let (log, _guard) = Log::start();
    let app = Router::new().route("/", get(async || -> &'static str { panic!("the secret of the defect") }));
    let scene = Scene::of(app, ServeOptions::new()).await;
    let answer = scene.http.send("GET", "/", &[("X-Request-Id", "panic-1")], "").await;
    let expected = json!({ "code": 500, "reason": "Internal Server Error", "error": "internal", "request_id": "panic-1" });
    assert_eq!((answer.json(), answer.header("x-request-id")), (expected, Some("panic-1")));
    let lines = log.lines("the secret of the defect");
    assert!(lines.len() == 1 && lines[0].contains("panic-1"), "{lines:?}");
    let after = scene.http.send("GET", "/", &[], "").await;
    assert_eq!(after.status, 500, "the server goes on");
}

#[tokio::test]
async fn each_request_is_a_line_of_the_log() {
    let (log, _guard) = Log::start();
    let scene = Scene::of(hello(), ServeOptions::new()).await;
    let headers = [("X-Request-Id", "req-1"), ("X-Forwarded-For", "203.0.113.9")];
    scene.http.send("GET", "/?a=1", &headers, "").await;
    let lines = log.lines("GET / -> [200]");
    assert_eq!(lines.len(), 1, "{lines:?}");
    let host = format!(r#"host="{}""#, scene.http.address);
    for field in [
        "method=\"GET\"",
        "status=200",
        "remote_ip=127.0.0.1",
        "url=/?a=1",
        "path=\"/\"",
        "query=\"a=1\"",
        &host,
        "size=5",
        "request_id=\"req-1\"",
        "delta_ms=",
    ] {
        assert!(lines[0].contains(field), "{field} in {}", lines[0]);
    }
}

#[tokio::test]
async fn a_proxy_is_believed_about_addresses_only_if_it_is_trusted() {
    let (log, _guard) = Log::start();
    let scene = Scene::of(hello(), ServeOptions::new().trust_proxy(true)).await;
    scene.http.send("GET", "/", &[("X-Forwarded-For", "203.0.113.9, 10.0.0.1")], "").await;
    assert_eq!(log.lines("remote_ip=203.0.113.9").len(), 1);
}
