//! A client of HTTP/1.1 that costs little, for it runs on the cores of what it measures: requests and answers on a
//! connection that is kept, and streams of events.

use std::net::SocketAddr;

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How much is read at a time, at least.
const ROOM: usize = 2 << 10;

/// A connection to the server.
#[derive(Debug)]
pub(crate) struct Http {
    stream: TcpStream,
    /// The request that is sent.
    request: Vec<u8>,
    /// What was read, of which the answer before is still a part.
    read: Vec<u8>,
    /// How much of it is that answer.
    done: usize,
}

/// What the server answered.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

/// The first lines of an answer.
struct Head {
    status: u16,
    /// How long the head is, and the body after it.
    head: usize,
    body: usize,
}

impl Http {
    pub(crate) async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.context("no connection to the server")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, request: Vec::new(), read: Vec::new(), done: 0 })
    }

    /// Sends a request, and reads the answer to its end.
    pub(crate) async fn ask(&mut self, method: &str, target: &str, body: &str) -> anyhow::Result<Answer<'_>> {
        self.send(method, target, "*/*", body).await?;
        let Head { status, head, body } = self.head().await?;
        while self.read.len() < head + body {
            self.more().await?;
        }
        self.done = head + body;
        Ok(Answer { status, body: &self.read[head..self.done] })
    }

    /// The same, with an answer that must have this status.
    pub(crate) async fn ask_for(
        &mut self,
        wanted: u16,
        method: &str,
        target: &str,
        body: &str,
    ) -> anyhow::Result<&[u8]> {
        let Answer { status, body } = self.ask(method, target, body).await?;
        ensure!(
            status == wanted,
            "{method} {target} was answered {status}, {}",
            String::from_utf8_lossy(body)
        );
        Ok(body)
    }

    /// Asks for a stream of events, and waits until it has begun.
    pub(crate) async fn open(&mut self, target: &str) -> anyhow::Result<()> {
        self.send("GET", target, "text/event-stream", "").await?;
        let Head { status, head, .. } = self.head().await?;
        ensure!(status == 200, "GET {target} was answered {status}");
        self.done = head;
        Ok(())
    }

    /// The name of the next event of a stream. Each is a chunk of its own, of which the event is what does not matter.
    pub(crate) async fn event(&mut self) -> anyhow::Result<String> {
        self.forget();
        loop {
            if let Some(end) = position(&self.read, b"\n\n") {
                self.done = end + 2;
                let text = String::from_utf8_lossy(&self.read[..end]);
                let name = text.lines().find_map(|line| line.strip_prefix("event: "));
                return Ok(name.context("an event has a name")?.to_owned());
            }
            self.more().await?;
        }
    }

    async fn send(&mut self, method: &str, target: &str, accept: &str, body: &str) -> anyhow::Result<()> {
        let length = body.len();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nhost: localhost\r\naccept: {accept}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        self.request.clear();
        self.request.extend(head.as_bytes());
        self.request.extend(body.as_bytes());
        self.stream.write_all(&self.request).await.context("the server closed a connection")
    }

    async fn head(&mut self) -> anyhow::Result<Head> {
        self.forget();
        loop {
            if let Some(end) = position(&self.read, b"\r\n\r\n") {
                return head(&self.read[..end]);
            }
            self.more().await?;
        }
    }

    fn forget(&mut self) {
        self.read.drain(..std::mem::take(&mut self.done));
    }

    async fn more(&mut self) -> anyhow::Result<()> {
        self.read.reserve(ROOM);
        let read = self.stream.read_buf(&mut self.read).await.context("the server broke a connection")?;
        ensure!(read > 0, "the server closed a connection");
        Ok(())
    }
}

fn head(text: &[u8]) -> anyhow::Result<Head> {
    let text = std::str::from_utf8(text).context("an answer begins with text")?;
    let mut lines = text.split("\r\n");
    let Some(status) = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)) else {
        bail!("the server answered {text:?}");
    };
    let lengths = lines.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim())
    });
    let body = lengths.map(str::parse).next().transpose()?.unwrap_or(0);
    Ok(Head { status: status.parse()?, head: text.len() + 4, body })
}

fn position(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A connection to a server that sends this whatever it is asked.
    async fn answered(pieces: &'static [&'static str]) -> Http {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            for piece in pieces {
                stream.write_all(piece.as_bytes()).await.expect("written");
                stream.flush().await.expect("flushed");
            }
            drop(stream.read_to_end(&mut Vec::new()).await);
        });
        Http::connect(address).await.expect("a connection")
    }

    #[tokio::test]
    async fn answers_on_one_connection_are_told_apart() {
        let mut http = answered(&[
            "HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhe",
            "lloHTTP/1.1 404 Not Found\r\nx: y\r\ncontent-length: 0\r\n\r\n",
        ])
        .await;
        let first = http.ask("POST", "/", "{}").await.expect("an answer");
        assert_eq!((first.status, first.body), (201, &b"hello"[..]));
        let second = http.ask("PUT", "/", "").await.expect("an answer");
        assert_eq!((second.status, second.body), (404, &b""[..]));
    }

    #[tokio::test]
    async fn a_stream_is_its_events() {
        let mut http = answered(&[
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nd\r\nevent: ping\n",
            "\n\r\n19\r\nevent: task\ndata: {\"id\":1}\n\n\r\n",
        ])
        .await;
        http.open("/event").await.expect("a stream");
        assert_eq!(http.event().await.expect("an event"), "ping");
        assert_eq!(http.event().await.expect("an event"), "task");
    }

    #[tokio::test]
    async fn an_answer_of_another_status_is_an_error_that_tells_it() {
        let mut http = answered(&["HTTP/1.1 400 Bad Request\r\ncontent-length: 3\r\n\r\nwhy"]).await;
        let error = http.ask_for(201, "POST", "/task", "{}").await.expect_err("refused").to_string();
        assert!(error.contains("400") && error.contains("why"), "{error}");
    }
}
