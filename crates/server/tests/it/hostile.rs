//! Input that nobody means well with, on every route: a 4xx in the shape of the contract, and nothing has changed.

use std::collections::BTreeSet;

use pgmill::{QueueMeta, TaskMeta, TickerMeta};
use pgmill_server::{Options, Right, rights};

use crate::fixture::Fixture;
use crate::http::Reply;

const MAX_BODY: usize = 64 << 10;

/// What reads the body of its requests.
const READS: [(&str, &str); 8] = [
    ("POST", "/queue"),
    ("PATCH", "/queue/{name}"),
    ("POST", "/task"),
    ("PATCH", "/task/{id}"),
    ("POST", "/task/{id}/heartbeat"),
    ("POST", "/ticker"),
    ("PATCH", "/ticker/{name}"),
    ("POST", "/token"),
];

/// A server with a queue, a task that is retained, one that waits, and a ticker.
async fn scene() -> Fixture {
    let fixture = Fixture::with(Options::new().max_body(MAX_BODY)).await;
    let manager = &fixture.manager;
    manager.register_queue(QueueMeta::new("q")).await.unwrap();
    manager.register_ticker(TickerMeta::new("q").interval(pgmill::hours(1))).await.unwrap();
    for n in 0..2 {
        manager.create_task("q", TaskMeta::json(&n).unwrap()).await.unwrap();
    }
    manager.next_task("worker", &["q"]).await.unwrap().unwrap();
    fixture
}

impl Fixture {
    /// What there is to see.
    async fn state(&self) -> Vec<String> {
        let mut state = Vec::new();
        for path in ["queue", "task", "ticker", "token", "status", "audit", "namespace"] {
            state.push(self.get(&format!("/api/{path}")).await.body);
        }
        state
    }

    async fn bytes(&self, method: &str, path: &str, kind: Option<&[u8]>, body: &[u8]) -> Reply {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n").into_bytes();
        let kind = kind.map(|kind| [b"Content-Type: ", kind, b"\r\n"].concat()).unwrap_or_default();
        let length = format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes();
        self.http.raw(&[&head, &kind[..], &length, body].concat()).await
    }
}

/// Whether it is a refusal in the shape of the contract, by this name where one is asked for.
#[track_caller]
fn refused(what: &str, reply: &Reply, status: Option<u16>) {
    let what: String = what.chars().take(200).collect();
    assert!((400..500).contains(&reply.status), "{what}: {} {}", reply.status, reply.body);
    assert_eq!(reply.header("content-type"), Some("application/json"), "{what}");
    let body = reply.json();
    assert_eq!(body["code"], reply.status, "{what}");
    let reason = body["reason"].as_str().unwrap_or_default();
    assert!(!reason.is_empty(), "{what}: {}", reply.body);
    let name = body["error"].as_str().unwrap_or_default();
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    assert!(is_name, "{what}: {}", reply.body);
    assert_eq!(body.get("request_id"), None, "{what}");
    if let Some(status) = status {
        assert_eq!(reply.status, status, "{what}: {}", reply.body);
    }
}

/// The path of a route, of things that there are.
fn real(right: &Right) -> String {
    let named = right.path().replace("{name}", "q");
    let named = if right.path().starts_with("/token") { named.replace("{id}", "999") } else { named };
    let queue = if right.method() == "PUT" { "q" } else { "1" };
    format!("/api{}", named.replace("{id}", queue))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_name_and_no_number_in_a_path_is_refused() {
    let fixture = scene().await;
    let before = fixture.state().await;
    let (long, longer) = ("a".repeat(65), "7".repeat(5_000));
    let never = [
        "%00",
        "q%00",
        "q%0A%0Dx",
        "%FF",
        "%C3%28",
        "%ED%A0%80",
        "%",
        "%zz",
        "q%2Fq",
        "..%2F..",
        "%2E%2E",
        "*",
        "q;",
        "q'--",
        "%F0%9F%92%A5",
        "-1",
        "+1",
        "0x1",
        "1e3",
        "1.5",
        "%EF%BC%91",
        "9223372036854775808",
        "18446744073709551616",
        &long,
        &longer,
    ];
    for right in rights().iter().filter(|right| right.path().contains('{')) {
        for segment in never {
            let path = right.path().replace("{name}", segment).replace("{id}", segment);
            let what = format!("{} {path}", right.method());
            let query = if right.method() == "PUT" { "?worker=w" } else { "" };
            let reply = fixture
                .bytes(
                    right.method(),
                    &format!("/api{path}{query}"),
                    Some(b"application/json"),
                    b"{\"fail\":true}",
                )
                .await;
            refused(&what, &reply, None);
        }
    }
    assert_eq!(fixture.state().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_in_a_query_is_refused_or_ignored() {
    let fixture = scene().await;
    let before = fixture.state().await;
    let long = format!("namespace={}", "n".repeat(5_000));
    let never =
        ["namespace=%00", "namespace=%FF", "namespace=", "namespace=a%20b", "namespace=pgqueue", &long];
    let unless_ignored = [
        "offset=-1",
        "offset=9223372036854775808",
        "limit=",
        "limit=%00",
        "limit=1e3",
        "n=0",
        "n=1001",
        "n=%FF",
        "wait=5",
        "wait=1h",
        "wait=-1s",
        "lease=1ns",
        "lease=99999999999h",
        "worker=%00",
        "worker=%20",
        "queue=%00",
        "queue=%FF",
        "queue=a%20b",
        "status=%00",
        "status=done",
        "id=%00",
        "id=-1",
        "id=0",
        "action=%00",
        "target=%00",
    ];
    for right in rights().iter().filter(|right| ["GET", "PUT"].contains(&right.method())) {
        let path = real(right);
        let ask =
            async |query: &str| fixture.http.open(right.method(), &format!("{path}?{query}"), &[], "").await;
        for query in never.iter().filter(|_| right.role().is_some()) {
            let status = (*query != "namespace=pgqueue").then_some(400);
            refused(&format!("{path}?{query}"), &ask(query).await, status);
        }
        for query in unless_ignored {
            let reply = ask(query).await;
            let what = format!("{} {path}?{query}", right.method());
            match reply.status {
                200 => {}
                _ => refused(&what, &reply, None),
            }
        }
    }
    assert_eq!(fixture.state().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_body_is_refused() {
    let fixture = scene().await;
    let before = fixture.state().await;
    let deep = "[".repeat(MAX_BODY / 3);
    let nested = format!("{{\"queue\":\"q\",\"ticker\":\"x\",\"result\":{deep},\"payload\":{deep}");
    let closed = format!("{{\"payload\":{}{}}}", "[".repeat(2_000), "]".repeat(2_000));
    let long = format!(
        "{{\"queue\":\"{0}\",\"ticker\":\"{0}\",\"lease\":\"{0}\",\"name\":\"{0}\"}}",
        "a".repeat(9_999)
    );
    let bodies: [&[u8]; 22] = [
        b"",
        b" \n\t",
        b"nul",
        b"{",
        b"{\"",
        b"}",
        b"{,}",
        b"{\"queue\":\"q\",,}",
        b"{'queue':'q'}",
        b"[]",
        b"[1]",
        b"[[{}]]",
        b"\"q\"",
        b"1e999",
        b"\xff\xfe{\0}\0",
        b"{\"queue\":\"\xff\",\"ticker\":\"\xff\",\"lease\":\"\xff\",\"name\":\"\xff\"}",
        b"{\"queue\":\"\\ud800\",\"ticker\":\"\\ud800\",\"lease\":\"\\ud800\",\"name\":\"\\ud800\"}",
        b"{\"queue\":\"a\\u0000\",\"ticker\":\"a\\u0000\",\"lease\":\"\\u0000\",\"name\":\"\\u0000\",\"role\":\"admin\"}",
        b"{\"queue\":[],\"ticker\":{},\"lease\":1,\"name\":true}",
        b"{\"queue\":\"q\",\"queue\":\"\\u0000\",\"ticker\":\"q\",\"ticker\":\"\\u0000\",\"lease\":\"\"}",
        nested.as_bytes(),
        long.as_bytes(),
    ];
    let kinds: [Option<&[u8]>; 9] = [
        None,
        Some(b""),
        Some(b"text/plain"),
        Some(b"application/x-www-form-urlencoded"),
        Some(b"application/json; x"),
        Some(b"application/\xff"),
        Some(b"application/json, text/plain"),
        Some(b"multipart/form-data"),
        Some(b"multipart/form-data; boundary=B"),
    ];
    let json: Option<&[u8]> = Some(b"application/json");
    for right in rights().iter().filter(|right| READS.contains(&(right.method(), right.path()))) {
        let path = real(right);
        let what = |which: &[u8]| format!("{} {path} {}", right.method(), String::from_utf8_lossy(which));
        for body in bodies {
            refused(&what(body), &fixture.bytes(right.method(), &path, json, body).await, Some(400));
        }
        for kind in kinds {
            let reply = fixture.bytes(right.method(), &path, kind, b"{\"fail\":true,\"ttl\":1}").await;
            refused(&what(kind.unwrap_or(b"nothing")), &reply, Some(400));
        }
        let much = [b"{\"queue\":\"", "a".repeat(MAX_BODY).as_bytes(), b"\"}"].concat();
        refused(&what(b"much"), &fixture.bytes(right.method(), &path, json, &much).await, Some(413));
        if right.path() == "/task" {
            refused(
                &what(b"deep"),
                &fixture.bytes(right.method(), &path, json, closed.as_bytes()).await,
                Some(400),
            );
        }
    }
    assert_eq!(fixture.state().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_a_path_does_not_have_is_refused_and_the_others_are_named_whatever_else_is_asked() {
    let fixture = scene().await;
    let before = fixture.state().await;
    let paths: BTreeSet<&str> = rights().iter().map(Right::path).collect();
    for path in paths {
        let of_path = rights().iter().filter(|right| right.path() == path);
        let allowed: BTreeSet<&str> = of_path.map(Right::method).collect();
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            if allowed.contains(method) {
                continue;
            }
            for query in ["", "?namespace=", "?namespace=elsewhere&limit=x"] {
                let asked = format!("/api{}{query}", path.replace("{name}", "q").replace("{id}", "1"));
                let reply = fixture.bytes(method, &asked, None, b"").await;
                assert_eq!(reply.status, 405, "{method} {asked}: {}", reply.body);
                let named: BTreeSet<&str> = reply.header("allow").unwrap_or_default().split(", ").collect();
                assert_eq!(named, allowed, "{method} {asked}");
                if method != "HEAD" {
                    refused(&asked, &reply, Some(405));
                    assert_eq!(reply.error(), "method_not_allowed");
                }
            }
        }
    }
    assert_eq!(fixture.state().await, before);
}
