//! Bodies of requests, as the contract reads them (1.4).

use serde_json::json;

use crate::fixture::Fixture;
use crate::http::Reply;

impl Fixture {
    async fn post_as(&self, kind: Option<&str>, path: &str, body: &str) -> Reply {
        let headers: Vec<_> = kind.iter().map(|kind| ("Content-Type", *kind)).collect();
        self.http.send("POST", path, &headers, body).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_needs_a_content_type_that_can_be_read() {
    let fixture = Fixture::new().await;
    let cases = [
        (None, "Bad Request: mime: no media type"),
        (Some("application/json; x"), "Bad Request: mime: invalid media parameter"),
        (Some("text/plain"), "Bad Request: unexpected content type \"text/plain\""),
        (
            Some("application/x-www-form-urlencoded"),
            "Bad Request: unexpected content type \"application/x-www-form-urlencoded\"",
        ),
    ];
    for (kind, reason) in cases {
        let refused = fixture.post_as(kind, "/api/queue", r#"{"queue":"q"}"#).await;
        assert_eq!((refused.status, refused.json()["reason"].as_str()), (400, Some(reason)));
        assert_eq!(refused.error(), "unsupported_content_type");
    }
    for kind in ["application/json", "Application/JSON; charset=utf-8", "application/json;"] {
        let queue = format!("{{\"queue\":\"q{}\"}}", kind.len());
        assert_eq!(fixture.post_as(Some(kind), "/api/queue", &queue).await.status, 201, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_read_as_the_reference_reads_it() {
    let fixture = Fixture::with_queue().await;
    let accepted = [
        r#"{"QUEUE":"q","Payload":1,"unknown":{"queue":"x"}}"#,
        r#"{"queue":"x","payload":0,"queue":"q","payload":1}"#,
        r#"{"queue":"q","payload":1,"delayed_at":null,"priority":null,"key":null}"#,
        r#"{"queue":"q","payload":1} trailing garbage"#,
    ];
    for body in accepted {
        let created = fixture.send("POST", "/api/task", body).await;
        assert_eq!((created.status, &created.json()["payload"]), (201, &json!(1)), "{body}");
    }
    let refused = [
        ("", "missing_body"),
        ("  \n", "missing_body"),
        (r#"{"queue":"q","payload":"#, "invalid_body"),
        (r#"{"queue":7,"payload":1}"#, "invalid_body"),
        (r#"{"queue":"q","payload":1,"delayed_at":"2300-01-01"}"#, "invalid_body"),
        (r#"{"queue":"q","payload":1,"priority":1.5}"#, "invalid_body"),
        (r#"{"queue":"q","payload":1,"priority":-1}"#, "invalid_body"),
        (r#"{"queue":"q","payload":"\u0000"}"#, "invalid_body"),
        (r#""q""#, "invalid_body"),
        ("null", "missing_name"),
    ];
    for (body, name) in refused {
        let refused = fixture.send("POST", "/api/task", body).await;
        assert_eq!((refused.status, refused.error().as_str()), (400, name), "{body}");
    }
    let missing = fixture.send("PATCH", "/api/task/1", "").await;
    assert_eq!(missing.json()["reason"], "Bad Request: Missing request body");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_may_come_in_chunks() {
    let fixture = Fixture::with_queue().await;
    let request = "POST /api/task HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n\
                   Transfer-Encoding: chunked\r\n\r\n10\r\n{\"queue\":\"q\",\"pa\r\nb\r\nyload\":[1]}\r\n1\r\n\n\r\n0\r\n\r\n";
    let created = fixture.http.raw(request.as_bytes()).await;
    assert_eq!((created.status, &created.json()["payload"]), (201, &json!([1])), "{}", created.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_has_a_part_for_each_key_but_no_payload() {
    let fixture = Fixture::new().await;
    let form = async |path: &str, parts: &[(&str, &str)]| {
        let mut body = String::new();
        for (name, value) in parts {
            let head = format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
            body.push_str(&format!("{head}{value}\r\n"));
        }
        fixture.post_as(Some("multipart/form-data; boundary=B"), path, &format!("{body}--B--\r\n")).await
    };
    let queue = form("/api/queue", &[("queue", "q"), ("ttl", "60000000000"), ("retries", "2")]).await;
    assert_eq!((queue.status, &queue.json()["ttl"]), (201, &json!(60_000_000_000_u64)), "{}", queue.body);
    let payload = form("/api/task", &[("queue", "q"), ("payload", "1")]).await;
    assert_eq!((payload.status, payload.error().as_str()), (400, "invalid_body"));
    assert!(payload.json()["reason"].as_str().unwrap().contains("unsupported kind"), "{}", payload.body);
    assert_eq!(form("/api/task", &[("queue", "q")]).await.error(), "missing_payload");
    let malformed = fixture.post_as(Some("multipart/form-data"), "/api/task", "x").await;
    assert_eq!((malformed.status, malformed.error().as_str()), (400, "invalid_body"));
}
