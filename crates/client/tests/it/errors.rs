//! What an error tells.

use std::time::Duration;

use pgmill_client::{Client, Lease};
use pgmill_schema::Outcome;
use serde_json::json;
use tokio::net::TcpSocket;

use crate::stub::{Reply, Stub};

#[tokio::test]
async fn an_error_has_the_status_line_and_the_body_as_they_came() {
    let body =
        "{\n  \"code\": 404,\n  \"reason\": \"Not Found: not found\",\n  \"error\": \"queue_not_found\"\n}\n";
    let stub = Stub::always(Reply::Answer(404, String::new(), body.to_owned())).await;
    let error = stub.client().get_queue("x").await.unwrap_err();
    assert_eq!(error.status_line().as_deref(), Some("404 Not Found"));
    assert_eq!((error.status(), error.body()), (Some(404), Some(body)));
    assert_eq!((error.code(), error.reason()), (Some("queue_not_found"), Some("Not Found: not found")));
    assert_eq!(error.to_string(), "GET /queue/x: 404 Not Found: not found (queue_not_found)");
}

#[tokio::test]
async fn an_answer_that_is_not_the_servers_is_shown_in_short() {
    let stub = Stub::always(Reply::Answer(403, String::new(), "x".repeat(1000))).await;
    let error = stub.client().get_queue("x").await.unwrap_err();
    assert_eq!(error.to_string(), format!("GET /queue/x: 403 Forbidden: {}", "x".repeat(200)));
    assert_eq!(error.code(), None);
}

#[tokio::test]
async fn each_predicate_is_for_its_status() {
    let predicates = [
        (404, "x", [true, false, false, false, false]),
        (409, "queue_exists", [false, true, false, false, false]),
        (409, "lease_stale", [false, true, false, false, true]),
        (401, "x", [false, false, true, false, false]),
        (403, "x", [false, false, false, true, false]),
        (400, "x", [false; 5]),
    ];
    for (status, code, expected) in predicates {
        let stub = Stub::always(Reply::error(status, code)).await;
        let error = stub.client().release_task((1, Lease::new("a")), &Outcome::GiveBack).await.unwrap_err();
        let told = [
            error.is_not_found(),
            error.is_conflict(),
            error.is_unauthorized(),
            error.is_forbidden(),
            error.is_lease_stale(),
        ];
        assert_eq!(told, expected, "{status} {code}");
        assert!(!error.is_transient() && !error.is_outcome_unknown(), "{status} {code}");
    }
}

#[tokio::test]
async fn whether_something_may_have_happened_is_told() {
    let told = [
        (Reply::error(503, "unavailable"), false),
        (Reply::error(503, "outcome_unknown"), true),
        (Reply::Answer(503, String::new(), "a proxy".to_owned()), true),
        (Reply::error(504, "timeout"), true),
        (Reply::error(429, "rate_limited"), false),
        (Reply::Hangup, true),
    ];
    for (reply, unknown) in told {
        let stub = Stub::always(reply.clone()).await;
        let error = stub.builder().retries(0).build().unwrap().delete_queue("q").await.unwrap_err();
        assert!(error.is_transient(), "{reply:?}");
        assert_eq!(error.is_outcome_unknown(), unknown, "{reply:?}: {error}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_no_connection() {
    // A socket that is bound and does not listen: connections are refused, and nobody else gets its port.
    let deaf = TcpSocket::new_v4().unwrap();
    deaf.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let free = deaf.local_addr().unwrap();
    let client = Client::builder(format!("http://{free}/api")).retries(1).build().unwrap();
    let error = client.delete_queue("q").await.unwrap_err();
    assert!(error.is_connect() && error.is_transient() && !error.is_outcome_unknown(), "{error}");
    assert!(error.status().is_none() && !error.is_certificate());
    let expected = format!("DELETE /queue/q: cannot connect to {free}: ");
    assert!(error.to_string().starts_with(&expected), "{error}");
    let client = Client::builder(format!("http://me:geheim@{free}/api")).retries(0).build().unwrap();
    let error = client.delete_queue("q").await.unwrap_err().to_string();
    assert!(error.contains(&free.to_string()) && !error.contains("geheim"), "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_a_timeout_and_is_not_asked_again() {
    let stub = Stub::always(Reply::Silence).await;
    let client = stub.builder().timeout(Duration::from_millis(50)).build().unwrap();
    let error = client.get_queue("q").await.unwrap_err();
    assert!(error.is_timeout() && error.is_transient() && error.is_outcome_unknown(), "{error}");
    assert!(!error.is_connect());
    assert_eq!(stub.asked().len(), 1);
}

#[tokio::test]
async fn a_success_that_cannot_be_read_says_why() {
    let stub = Stub::always(Reply::json(200, &json!({"queue": 5}))).await;
    let error = stub.client().get_queue("q").await.unwrap_err();
    assert!(error.is_decode() && !error.is_transient());
    assert_eq!((error.status(), error.body()), (Some(200), Some(r#"{"queue":5}"#)));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let stub =
        Stub::always(Reply::Answer(301, "Location: /api/queue/other\r\n".to_owned(), String::new())).await;
    let error = stub.client().delete_queue("q").await.unwrap_err();
    assert_eq!((error.status(), stub.asked().len()), (Some(301), 1));
}

#[test]
fn what_cannot_work_is_told_before_anything_is_sent() {
    for (endpoint, part) in [
        ("localhost:8080/api", "must begin with http:// or https://"),
        ("ftp://localhost/api", "must begin with http:// or https://"),
        ("/api", "cannot be read"),
        ("http://localhost/api?x=1", "must not have a query"),
    ] {
        let error = Client::new(endpoint).unwrap_err();
        assert!(error.is_invalid() && error.to_string().contains(part), "{endpoint}: {error}");
    }
    let error = Client::builder("http://localhost/api").token("s3cret\u{7f}").build().unwrap_err();
    assert!(error.is_invalid() && !error.to_string().contains("s3cret"), "{error}");
    let error = Client::builder("https://localhost/api").ca_certificate("nothing").build().unwrap_err();
    assert!(error.to_string().contains("no certificate"), "{error}");
    let builder = Client::builder("http://localhost/api").token("s3cret");
    let shown = format!("{builder:?} {:?}", builder.clone().build().unwrap());
    assert!(!shown.contains("s3cret"), "{shown}");
}
