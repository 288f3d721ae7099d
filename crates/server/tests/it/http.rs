//! HTTP/1.1 as it is on the wire, without a client that would mend what is sent or hide what comes back.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Where to send requests: a connection for each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Http {
    pub(crate) address: SocketAddr,
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Http {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// One request with a `Content-Length`, and the whole of its answer.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.raw(self.request(method, path, headers, body).as_bytes()).await
    }

    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        request.push_str(body);
        request
    }

    /// The bytes of an answer whose body is not text.
    pub(crate) async fn bytes(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
        self.exchange(self.request(method, path, headers, "").as_bytes()).await
    }

    /// One request, and its answer; of a stream the head alone.
    pub(crate) async fn open(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(self.request(method, path, headers, body).as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        loop {
            let is_whole = stream.read_buf(&mut bytes).await.unwrap() == 0;
            let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |end| end + 4);
            if is_whole || (head > 0 && bytes[..head].windows(17).any(|text| text == b"text/event-stream")) {
                bytes.truncate(if is_whole { bytes.len() } else { head });
                return if is_whole { Reply::parse(&bytes) } else { Reply::head(&bytes) };
            }
        }
    }

    /// These bytes, and the whole of what comes back until the server closes the connection.
    pub(crate) async fn raw(&self, request: &[u8]) -> Reply {
        Reply::parse(&self.exchange(request).await)
    }

    async fn exchange(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        bytes
    }
}

impl Reply {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a reply has a head");
        let reply = Self::head(&bytes[..end]);
        let body = &bytes[end + 4..];
        let body = if reply.header("transfer-encoding") == Some("chunked") {
            unchunked(body)
        } else {
            body.to_vec()
        };
        Self { body: String::from_utf8(body).unwrap(), ..reply }
    }

    fn head(bytes: &[u8]) -> Self {
        let head = std::str::from_utf8(bytes).unwrap().trim_end();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(':').unwrap());
        let headers =
            headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        Self { status, headers, body: String::new() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    /// The stable name of an error.
    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n").expect("a chunk has a length");
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            return whole;
        }
        whole.extend(&rest[end + 2..end + 2 + length]);
        rest = &rest[end + 4 + length..];
    }
}
