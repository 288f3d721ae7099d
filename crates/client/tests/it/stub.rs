//! A server that answers what a test tells it to, and remembers what it was asked.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use pgmill_client::{Client, ClientBuilder};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Duration;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// By name in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a body of JSON")
    }
}

/// What the server does then.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Answers with this status, further headers, and body.
    Answer(u16, String, String),
    /// Closes the connection without a word.
    Hangup,
    /// Never answers.
    Silence,
    /// Answers with an event stream of these pieces, and then ends it, or stays silent.
    Events { pieces: Vec<String>, ends: bool },
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Reply {
        Reply::Answer(status, "Content-Type: application/json\r\n".to_owned(), body.to_string())
    }

    pub(crate) fn error(status: u16, code: &str) -> Reply {
        Reply::json(status, &serde_json::json!({"code": status, "reason": "Told So", "error": code}))
    }

    pub(crate) fn with_header(self, header: &str) -> Reply {
        match self {
            Reply::Answer(status, headers, body) => {
                Reply::Answer(status, format!("{headers}{header}\r\n"), body)
            }
            other => other,
        }
    }

    pub(crate) fn events(pieces: &[&str], ends: bool) -> Reply {
        Reply::Events { pieces: pieces.iter().map(|piece| (*piece).to_owned()).collect(), ends }
    }
}

#[derive(Debug)]
pub(crate) struct Stub {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// How many connections are open.
    open: watch::Receiver<usize>,
}

impl Stub {
    /// Answers each request by what `reply` says, which is given its number, from 0, and the request.
    pub(crate) async fn start(reply: impl Fn(usize, &Asked) -> Reply + Send + Sync + 'static) -> Stub {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, reply) = (Arc::clone(&asked), Arc::new(reply));
        let (count, open) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, reply, count) = (Arc::clone(&log), Arc::clone(&reply), count.clone());
                count.send_modify(|open| *open += 1);
                tokio::spawn(async move {
                    // A client that goes away is none of the stub's business.
                    let _ = serve(stream, &log, &*reply).await;
                    count.send_modify(|open| *open -= 1);
                });
            }
        });
        Stub { address, asked, open }
    }

    /// Answers the same to everything.
    pub(crate) async fn always(reply: Reply) -> Stub {
        Stub::start(move |_, _| reply.clone()).await
    }

    /// Answers these one after the other, and the last of them from then on.
    pub(crate) async fn replies(replies: Vec<Reply>) -> Stub {
        Stub::start(move |number, _| replies[number.min(replies.len() - 1)].clone()).await
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}/api", self.address)
    }

    pub(crate) fn builder(&self) -> ClientBuilder {
        Client::builder(self.endpoint())
    }

    pub(crate) fn client(&self) -> Client {
        self.builder().build().expect("a client")
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no test has panicked").clone()
    }

    /// What was asked, as `METHOD target`.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().iter().map(Asked::line).collect()
    }

    /// Waits until no connection is open any more.
    pub(crate) async fn all_closed(&self) {
        self.open.clone().wait_for(|open| *open == 0).await.expect("the server runs");
    }

    /// The only request there was.
    pub(crate) fn only(&self) -> Asked {
        let asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked.into_iter().next().expect("a request")
    }
}

async fn serve(
    stream: TcpStream,
    log: &Mutex<Vec<Asked>>,
    reply: &(dyn Fn(usize, &Asked) -> Reply + Send + Sync),
) -> io::Result<()> {
    let mut stream = BufStream::new(stream);
    while let Some(asked) = read(&mut stream).await? {
        let number = {
            let mut log = log.lock().expect("no test has panicked");
            log.push(asked.clone());
            log.len() - 1
        };
        match reply(number, &asked) {
            Reply::Answer(status, headers, body) => {
                let head = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(body.as_bytes()).await?;
                stream.flush().await?;
            }
            Reply::Hangup => return Ok(()),
            Reply::Silence => return wait_for_end(&mut stream).await,
            Reply::Events { pieces, ends } => {
                stream
                    .write_all(
                        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n",
                    )
                    .await?;
                for piece in pieces {
                    stream.write_all(piece.as_bytes()).await?;
                    stream.flush().await?;
                }
                stream.flush().await?;
                return if ends { Ok(()) } else { wait_for_end(&mut stream).await };
            }
        }
    }
    Ok(())
}

/// Holds the connection until the client closes it.
async fn wait_for_end(stream: &mut BufStream<TcpStream>) -> io::Result<()> {
    stream.read_to_end(&mut Vec::new()).await.map(|_| ())
}

/// Reads one request; `None` at the end of the connection.
async fn read(stream: &mut BufStream<TcpStream>) -> io::Result<Option<Asked>> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let mut first = head[0].split(' ').map(str::to_owned);
    let (method, target) = (first.next().expect("a method"), first.next().expect("a target"));
    let headers: BTreeMap<_, _> = head[1..]
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().expect("a length"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Some(Asked { method, target, headers, body }))
}

/// The longest that a test waits for what should come at once.
pub(crate) const SOON: Duration = Duration::from_secs(20);
