//! Two servers on one database, as the captures had them.

use std::time::Duration;

use pgmill::Manager;
use pgmill_server::{Options, router};
use pgmill_testkit::TestDatabase;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::curl::Request;
use super::normalise::Run;
use crate::http::{Http, Reply};

/// Longer than any answer takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Scene {
    pub(crate) database: TestDatabase,
    /// Namespace `default`, prefix `/api`: port 18080 of the captures.
    pub(crate) first: Http,
    /// Namespace `other`, prefix `/v1`: port 18081.
    pub(crate) second: Http,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        let first = serve(&database, "default", "/api").await;
        let second = serve(&database, "other", "/v1").await;
        Self { database, first, second }
    }

    /// What our server answers. Ids of tasks in the path are those of this run. A task that waits for its retry only comes a
    /// moment later here, since the pause has jitter: it is asked for until it is there.
    pub(crate) async fn send(&self, request: &Request, captured: &Reply, run: &Run) -> Reply {
        let mut request = request.clone();
        request.target = with_id(&request.target, run);
        let asked_again = request.method == "PUT" && captured.status == 201;
        let asked = async {
            loop {
                let reply = self.once(&request, captured).await;
                if !(asked_again && reply.status == 404) {
                    return reply;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asked)
            .await
            .unwrap_or_else(|_| panic!("no answer as captured to {} {}", request.method, request.target))
    }

    async fn once(&self, request: &Request, captured: &Reply) -> Reply {
        let http = if request.port == 18081 { self.second } else { self.first };
        if !request.is_stream() {
            return http.raw(&request.bytes(true)).await;
        }
        let ticks = captured.body.matches("event: ticker").count();
        stream(http, &request.bytes(false), |text| text.matches("event: ticker").count() >= ticks).await
    }

    /// A call of the first server that the captures do not have; it has to succeed.
    pub(crate) async fn call(&self, method: &str, path: &str, body: &str, run: &Run) -> Reply {
        let json = [("Content-Type", "application/json")];
        let reply = self.first.send(method, &with_id(path, run), &json, body).await;
        assert!((200..300).contains(&reply.status), "{method} {path} {body}: {reply:?}");
        reply
    }
}

async fn serve(database: &TestDatabase, namespace: &str, prefix: &str) -> Http {
    let manager = Manager::connect(database.url()).namespace(namespace).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let http = Http::new(listener.local_addr().unwrap());
    let app = router(manager, Options::new().prefix(prefix));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    http
}

/// Reads a stream until it has what is wanted, and leaves.
pub(crate) async fn stream(http: Http, request: &[u8], enough: impl Fn(&str) -> bool) -> Reply {
    let mut connection = TcpStream::connect(http.address).await.unwrap();
    connection.write_all(request).await.unwrap();
    let mut bytes = Vec::new();
    let read = async {
        loop {
            if let Some(reply) = so_far(&bytes)
                && (!is_stream(&reply) || reply.body.ends_with("\n\n") && enough(&reply.body))
            {
                return reply;
            }
            let read = connection.read_buf(&mut bytes).await.unwrap();
            assert_ne!(read, 0, "the stream ended: {}", String::from_utf8_lossy(&bytes));
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("the events come")
}

/// The answer up to the last chunk that is whole.
fn so_far(bytes: &[u8]) -> Option<Reply> {
    let mut end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = Reply::parse(&[&bytes[..end], b"0\r\n\r\n"].concat());
    if !is_stream(&head) {
        return Some(head);
    }
    while let Some(line) = bytes[end..].windows(2).position(|window| window == b"\r\n") {
        let length = std::str::from_utf8(&bytes[end..end + line]).ok()?;
        let next = end + line + 4 + usize::from_str_radix(length, 16).ok()?;
        if next > bytes.len() {
            break;
        }
        end = next;
    }
    Some(Reply::parse(&[&bytes[..end], b"0\r\n\r\n"].concat()))
}

fn is_stream(reply: &Reply) -> bool {
    reply.header("content-type") == Some("text/event-stream")
}

/// The path with the id of this run in place of the captured one.
fn with_id(target: &str, run: &Run) -> String {
    let Some((before, after)) = target.split_once("/task/") else { return target.to_owned() };
    let (id, rest) = after.split_at(after.find(['/', '?']).unwrap_or(after.len()));
    format!("{before}/task/{}{rest}", run.here(id))
}
