//! The calls that were captured against a stand-in for the server, made again against one: what is sent for each, and how it
//! ends. What the stand-in of the capture answered was no object of the system, so that what was printed for it says nothing.

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::transcript::{STUB, runs};
use crate::support::{output, pgmill, stderr};

/// What each call of the capture sends: the method, the path with its query, and the body without keys that are null. Nothing
/// where the program refuses by itself.
fn expected() -> Vec<Option<(&'static str, &'static str, Value)>> {
    let get = |path| Some(("GET", path, Value::Null));
    let call = |method, path, body| Some((method, path, body));
    vec![
        get("/api/namespace"),
        get("/api/queue"),
        get("/api/queue?limit=0&offset=5"),
        get("/api/queue/Foo"),
        // The reference cleans the path before it sends it, and asks for another queue than was named.
        get("/api/queue/a%2F..%2Fb"),
        get("/api/queue/a%252Fb"),
        call("POST", "/api/queue", json!({ "queue": "q", "ttl": 3_600_000_000_000_u64, "retries": 3 })),
        call("POST", "/api/queue", json!({ "queue": "q" })),
        call("PATCH", "/api/queue/q", json!({ "retry_delay": 90_000_000_000_u64 })),
        call("DELETE", "/api/queue/q", Value::Null),
        get("/api/task?limit=100"),
        get("/api/task?limit=5&offset=1&queue=q&status=new"),
        call("POST", "/api/task", json!({ "queue": "q" })),
        call("POST", "/api/task", json!({ "queue": "q", "payload": { "a": 1 } })),
        None,
        call(
            "POST",
            "/api/task",
            json!({ "queue": "q", "payload": 1, "delayed_at": "2029-12-31T23:00:00Z" }),
        ),
        call("PUT", "/api/task?worker=w", Value::Null),
        // The reference leaves out all queues but the first.
        call("PUT", "/api/task?queue=a&queue=b&worker=w", Value::Null),
        call("PATCH", "/api/task/7", json!({})),
        call("PATCH", "/api/task/7", json!({ "result": "x", "fail": true })),
        call("PATCH", "/api/task/7", json!({})),
        None,
        get("/api/ticker"),
        call("POST", "/api/ticker", json!({ "ticker": "t", "interval": 5_000_000_000_u64, "payload": [1] })),
        None,
        call("PATCH", "/api/ticker/t", json!({})),
        call("DELETE", "/api/ticker/t", Value::Null),
        get("/api/ticker/t"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_that_was_captured_without_a_server_sends_what_it_should_and_ends_as_it_did() {
    let mut stand_in = StandIn::start().await;
    let (runs, expected) = (runs(STUB), expected());
    assert_eq!(runs.len(), expected.len());
    for (captured, expected) in runs.iter().zip(expected) {
        let args: Vec<&str> = captured.args.iter().map(String::as_str).collect();
        let mut command = pgmill(&args);
        command.env("PGQUEUE_ADDR", &stand_in.address).env_remove("PGMILL_ADDR").env_remove("PGMILL_TOKEN");
        let ended = output(&mut command).await;
        assert_eq!(ended.status.code(), Some(captured.code), "{args:?}: {}", stderr(&ended));
        let sent = stand_in.requests.try_recv().ok();
        let expected = expected.map(|(method, path, body)| (method.to_owned(), path.to_owned(), body));
        assert_eq!(sent, expected, "{args:?}");
        // What is wrong with the text is told in the words of the library that reads it.
        let told = captured.stderr.split(": invalid character").next().unwrap_or_default().trim_end();
        // B48: a payload is looked at before it is sent, as that of a ticker is.
        let told =
            told.replace("json: error calling MarshalJSON for type json.RawMessage", "invalid payload JSON");
        assert!(stderr(&ended).starts_with(&told), "{args:?}: {} is not {told}", stderr(&ended));
    }
}

/// Something that answers every request with an object of the kind that is asked for, and tells what it was asked.
struct StandIn {
    address: String,
    requests: mpsc::UnboundedReceiver<(String, String, Value)>,
}

impl StandIn {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (tell, requests) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, tell.clone()));
            }
        });
        Self { address, requests }
    }
}

async fn answer(stream: TcpStream, tell: mpsc::UnboundedSender<(String, String, Value)>) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|count| count > 0) {
        let mut words = line.split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let mut length = 0;
        loop {
            line.clear();
            stream.read_line(&mut line).await.unwrap();
            if line.trim().is_empty() {
                break;
            }
            if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = text.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let body = serde_json::from_slice(&body).map_or(Value::Null, given);
        tell.send((method.clone(), sorted(&target), body)).unwrap();
        let answer = object(&method, &target).to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        stream.get_mut().write_all((head + &answer).as_bytes()).await.unwrap();
        line.clear();
    }
}

/// A body without the keys that say nothing: null, no name, the priority that a task has anyhow.
fn given(body: Value) -> Value {
    match body {
        Value::Object(keys) => {
            let default = |key: &str| match key {
                "ticker" => json!(""),
                "priority" => json!(pgmill::DEFAULT_PRIORITY),
                _ => Value::Null,
            };
            let is_given = |(key, value): &(String, Value)| !value.is_null() && *value != default(key);
            Value::Object(keys.into_iter().filter(is_given).collect())
        }
        other => other,
    }
}

/// A path whose query is sorted: its order means nothing.
fn sorted(target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
    let mut pairs: Vec<_> = query.split('&').collect();
    pairs.sort_unstable();
    format!("{path}?{}", pairs.join("&"))
}

fn object(method: &str, target: &str) -> Value {
    let path = target.split('?').next().unwrap_or_default();
    let is_list = method == "GET" && path.matches('/').count() == 2;
    match path.split('/').nth(2) {
        _ if is_list => json!({ "count": 0 }),
        Some("queue") => json!({ "queue": "q", "retries": 3, "retry_delay": 0, "namespace": "default" }),
        Some("ticker") => json!({ "ticker": "t", "namespace": "default" }),
        _ => {
            json!({ "id": 7, "namespace": "default", "queue": "q", "created_at": "2026-01-01T00:00:00Z", "retries": 3 })
        }
    }
}
