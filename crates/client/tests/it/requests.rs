//! What the operations beyond the reference ask for, and what every request carries.

use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use pgmill_client::{Client, Lease, Retain, TraceEvent};
use pgmill_schema::{
    AuditFilter, ListRequest, Namespace, Outcome, Role, Status, TaskMeta, TokenMeta, minutes, seconds,
};
use serde_json::{Value, json};

use crate::stub::{Reply, SOON, Stub};

fn task(id: u64) -> Value {
    json!({"id": id, "payload": 1, "namespace": "default", "queue": "q", "created_at": "2030-01-01T00:00:00Z", "retries": 3})
}

#[tokio::test]
async fn every_request_carries_what_the_client_was_set_up_with() {
    let stub = Stub::always(Reply::json(200, &json!({"count": 0}))).await;
    let namespace = Namespace::new("shop").unwrap();
    let client =
        stub.builder().token(" s3cret\n").namespace(namespace).user_agent("tests/1").build().unwrap();
    client.list_namespaces().await.unwrap();
    client.with_namespace(&Namespace::new("other").unwrap()).list_namespaces().await.unwrap();
    let asked = stub.asked();
    let header = |number: usize, name: &str| asked[number].headers.get(name).cloned().unwrap_or_default();
    assert_eq!(header(0, "authorization"), "Bearer s3cret");
    assert_eq!(header(0, "content-type"), "application/json");
    assert_eq!(header(0, "accept"), "*/*");
    assert_eq!(header(0, "user-agent"), "tests/1");
    assert_eq!(header(0, "pgmill-namespace"), "shop");
    assert_eq!(header(1, "pgmill-namespace"), "other");
}

#[tokio::test]
async fn a_password_in_the_endpoint_is_the_token_and_is_not_shown() {
    let stub = Stub::always(Reply::error(404, "path_not_found")).await;
    let endpoint = stub.endpoint().replace("http://", "http://any:p%40ss@");
    let error = Client::new(endpoint).unwrap().list_namespaces().await.unwrap_err();
    assert_eq!(stub.only().headers["authorization"], "Bearer p@ss");
    assert!(!format!("{error} {error:?}").contains("p@ss"));
}

#[tokio::test]
async fn names_are_escaped_and_what_would_be_another_path_is_not_sent() {
    let stub = Stub::always(Reply::error(400, "invalid_name")).await;
    let client = stub.client();
    client.get_queue("a/b ?#%2F").await.unwrap_err();
    assert_eq!(stub.lines(), ["GET /api/queue/a%2Fb%20%3F%23%252F"]);
    for name in ["", ".", ".."] {
        assert!(client.delete_queue(name).await.unwrap_err().is_invalid());
    }
    assert_eq!(stub.asked().len(), 1);
}

#[tokio::test]
async fn an_endpoint_may_have_no_prefix_a_long_one_or_a_slash_at_its_end() {
    let stub = Stub::always(Reply::json(200, &json!({"count": 0}))).await;
    let root = stub.endpoint().replace("/api", "");
    for endpoint in [root.clone(), format!("{root}/"), format!("{root}/a/b/")] {
        Client::new(endpoint).unwrap().list_namespaces().await.unwrap();
    }
    assert_eq!(stub.lines(), ["GET /namespace", "GET /namespace", "GET /a/b/namespace"]);
}

#[tokio::test]
async fn several_tasks_are_retained_with_their_leases() {
    let mut first = task(1);
    first["lease"] = json!("aa");
    first["payload"] = json!({"deep": [1.50]});
    let stub = Stub::always(Reply::json(201, &json!({"count": 2, "body": [first, task(2)]}))).await;
    let retain = Retain::new("w").queues(["a", "b"]).count(5).wait(seconds(30)).lease(minutes(1));
    let tasks = stub.client().retain_tasks(&retain).await.unwrap();
    let leases: Vec<_> = tasks.iter().map(|task| task.lease.as_ref().map(Lease::as_str)).collect();
    assert_eq!(leases, [Some("aa"), None]);
    assert_eq!(
        stub.lines(),
        ["PUT /api/task?worker=w&queue=a&queue=b&wait=30000000000&lease=60000000000&n=5"]
    );
    let nothing = Stub::always(Reply::json(201, &json!({"count": 0}))).await;
    assert!(nothing.client().retain_tasks(&Retain::new("w").queues(["a"])).await.unwrap().is_empty());
    assert_eq!(nothing.lines(), ["PUT /api/task/a?worker=w&n=1"]);
}

#[tokio::test]
async fn each_outcome_has_its_keys() {
    let stub = Stub::always(Reply::json(201, &task(7))).await;
    let client = stub.client();
    let lease = Lease::new("ab");
    let outcomes = [
        (Outcome::done(&5).unwrap(), json!({"result": 5})),
        (
            Outcome::retry_in(seconds(2), "x").unwrap(),
            json!({"result": "x", "fail": true, "retry_in": 2_000_000_000}),
        ),
        (Outcome::failed("x").unwrap(), json!({"result": "x", "fail": true, "discard": true})),
        (Outcome::GiveBack, json!({"give_back": true})),
        (Outcome::Snooze(seconds(1)), json!({"snooze": 1_000_000_000})),
        (Outcome::cancelled("x").unwrap(), json!({"result": "x", "cancel": true})),
    ];
    for (number, (outcome, mut expected)) in outcomes.into_iter().enumerate() {
        client.release_task((7, lease.clone()), &outcome).await.unwrap();
        expected["lease"] = json!("ab");
        assert_eq!(stub.asked()[number].json(), expected);
    }
}

#[tokio::test]
async fn a_heartbeat_tells_until_when_the_task_is_held() {
    let stub = Stub::always(Reply::json(200, &json!({"id": 7, "lease_until": "2030-01-01T00:00:30Z"}))).await;
    let heartbeat = stub.client().heartbeat((7, Lease::new("ab")), Some(seconds(30))).await.unwrap();
    assert_eq!(heartbeat.lease_until.to_string(), "2030-01-01T00:00:30Z");
    assert_eq!(stub.only().line(), "POST /api/task/7/heartbeat");
    assert_eq!(stub.only().json(), json!({"lease": "ab", "extend": 30_000_000_000_u64}));
}

#[tokio::test]
async fn several_tasks_are_created_at_once() {
    let stub = Stub::always(Reply::json(201, &json!({"count": 2, "body": [task(1), task(2)]}))).await;
    let metas = [TaskMeta::json(&1).unwrap(), TaskMeta::json(&2).unwrap().priority(0)];
    let created = stub.client().create_tasks([("a", &metas[0]), ("b", &metas[1])]).await.unwrap();
    assert_eq!(created.iter().map(|task| task.id).collect::<Vec<_>>(), [1, 2]);
    let expected =
        json!([{"queue": "a", "payload": 1, "priority": 5}, {"queue": "b", "payload": 2, "priority": 0}]);
    assert_eq!((stub.only().line(), stub.only().json()), ("POST /api/task".to_owned(), expected));
}

#[tokio::test]
async fn tasks_and_queues_are_looked_at_and_changed_by_name_and_id() {
    let queue = json!({"queue": "q", "retries": 3, "retry_delay": 0, "namespace": "default"});
    let counts = json!({"queue": "q", "namespace": "default", "tasks": {"new": 2, "retry": 0}});
    let stub = Stub::start(move |_, asked| {
        Reply::json(
            200,
            &match asked.target.as_str() {
                "/api/queue/q/status" => counts.clone(),
                "/api/status?limit=1" => json!({"count": 1, "body": [counts]}),
                target if target.starts_with("/api/queue") => queue.clone(),
                _ => task(7),
            },
        )
    })
    .await;
    let client = stub.client();
    client.pause_queue("q").await.unwrap();
    client.resume_queue("q").await.unwrap();
    let status = client.queue_status("q").await.unwrap();
    assert_eq!((status.tasks.of(Status::New), status.tasks.of(Status::Failed)), (2, 0));
    assert_eq!(client.list_statuses(ListRequest::new().limit(1)).await.unwrap().body, [status]);
    assert_eq!(client.get_task(7).await.unwrap().id, 7);
    assert_eq!(client.cancel_task(7).await.unwrap().id, 7);
    assert_eq!(client.retry_task(7).await.unwrap().id, 7);
    let expected = [
        "POST /api/queue/q/pause",
        "POST /api/queue/q/resume",
        "GET /api/queue/q/status",
        "GET /api/status?limit=1",
        "GET /api/task/7",
        "DELETE /api/task/7",
        "POST /api/task/7/retry",
    ];
    assert_eq!(stub.lines(), expected);
}

#[tokio::test]
async fn tokens_are_managed_and_the_audit_is_read() {
    let token = json!({"id": 3, "name": "t", "role": "worker", "created_at": "2030-01-01T00:00:00Z", "created_by": "cli"});
    let secret = format!("pgmill_3_{}", "ab".repeat(32));
    let mut created = token.clone();
    created["token"] = json!(secret);
    let stub = Stub::start(move |_, asked| match asked.line().as_str() {
        "POST /api/token" => Reply::json(201, &created),
        "GET /api/token?limit=5" => Reply::json(200, &json!({"count": 1, "body": [token]})),
        line if line.starts_with("GET /api/audit") => Reply::json(200, &json!({"count": 0})),
        _ => Reply::json(200, &token),
    })
    .await;
    let client = stub.client();
    let created =
        client.create_token(&TokenMeta::new("t", Role::Worker).expires_in(minutes(1))).await.unwrap();
    assert_eq!((created.token.id, created.secret.expose()), (3, secret.as_str()));
    assert_eq!(client.list_tokens(ListRequest::new().limit(5)).await.unwrap().body.len(), 1);
    assert_eq!(client.get_token(3).await.unwrap().role, Role::Worker);
    assert_eq!(client.revoke_token(3).await.unwrap().id, 3);
    client.list_audit(&AuditFilter::new().action("pause_queue").target("q")).await.unwrap();
    let expected = [
        "POST /api/token",
        "GET /api/token?limit=5",
        "GET /api/token/3",
        "DELETE /api/token/3",
        "GET /api/audit?action=pause_queue&target=q",
    ];
    assert_eq!(stub.lines(), expected);
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_not_in_the_error() {
    let stub = Stub::always(Reply::json(201, &json!({"id": 3, "token": "pgmill_3_typing_error"}))).await;
    let error = stub.client().create_token(&TokenMeta::new("t", Role::Worker)).await.unwrap_err();
    assert!(error.is_decode());
    assert!(!format!("{error} {error:?} {:?}", error.body()).contains("typing_error"));
}

#[tokio::test]
async fn a_server_that_is_not_ready_is_an_answer_and_not_an_error() {
    let body =
        json!({"status": "unavailable", "checks": {"database": {"status": "unavailable", "detail": "gone"}}});
    let stub = Stub::replies(vec![
        Reply::json(503, &body),
        Reply::json(200, &json!({"status": "ok"})),
        Reply::error(404, "x"),
    ])
    .await;
    let client = stub.client();
    let health = client.health_ready().await.unwrap();
    assert!(!health.is_ok());
    assert_eq!(health.checks["database"].detail.as_deref(), Some("gone"));
    assert!(client.health_live().await.unwrap().is_ok());
    assert!(client.health_ready().await.unwrap_err().is_not_found());
    let paths = ["/api/health/ready", "/api/health/live", "/api/health/ready"];
    assert_eq!(stub.lines(), paths.map(|path| format!("GET {path}")));
}

#[tokio::test]
async fn texts_come_as_they_are() {
    let stub = Stub::always(Reply::Answer(200, String::new(), "queue_tasks 1\n".to_owned())).await;
    assert_eq!(stub.client().metrics().await.unwrap(), "queue_tasks 1\n");
    stub.client().openapi().await.unwrap();
    assert_eq!(stub.lines(), ["GET /api/metrics", "GET /api/openapi.json"]);
}

#[tokio::test]
async fn b49_calls_run_beside_each_other_and_beside_streams() {
    let stub = Stub::start(|_, asked| match asked.target.as_str() {
        "/api/queue/slow" => Reply::Silence,
        "/api/ticker" => Reply::events(&["event: ping\n\n"], false),
        _ => Reply::json(200, &json!({"count": 0})),
    })
    .await;
    let client = stub.client();
    let slow = tokio::spawn({
        let client = client.clone();
        async move { client.get_queue("slow").await }
    });
    let stream = tokio::spawn({
        let client = client.clone();
        async move { futures_util::StreamExt::count(client.ticks()).await }
    });
    let calls = join_all((0..20).map(|_| client.list_namespaces()));
    let answers = tokio::time::timeout(SOON, calls).await.expect("nobody waits for anybody");
    assert!(answers.iter().all(Result::is_ok));
    slow.abort();
    stream.abort();
}

#[tokio::test]
async fn a_trace_shows_requests_and_answers_without_the_token() {
    let stub = Stub::always(Reply::error(404, "queue_not_found").with_header("X-Thing: yes")).await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&told);
    let client = stub.builder().token("s3cret").trace(move |event| {
        log.lock().unwrap().push(match event {
            TraceEvent::Request { method, url, headers, body, .. } => {
                format!("{method} {url} {headers:?} {body:?}")
            }
            TraceEvent::Response { status, headers, .. } => format!("{status} {headers:?}"),
            other => format!("{other:?}"),
        });
    });
    client.build().unwrap().create_task("q", &TaskMeta::json(&1).unwrap()).await.unwrap_err();
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with(&format!("POST {}/task ", stub.endpoint())), "{told:?}");
    assert!(told[0].contains(r#"("authorization", "***")"#) && told[0].contains("payload"), "{told:?}");
    assert!(told[1].starts_with("404 Not Found ") && told[1].contains(r#"("x-thing", "yes")"#), "{told:?}");
    assert!(!told.concat().contains("s3cret"));
}
