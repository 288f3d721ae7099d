//! A connection that is held open: what comes back is read as it comes.

use std::time::Duration;

use pgmill::Manager;
use pgmill_testkit::wait_until;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http::Http;

pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) struct Wire {
    stream: TcpStream,
    pub(crate) text: String,
}

impl Wire {
    /// Sends a request, and reads nothing yet.
    pub(crate) async fn open(http: Http, method: &str, path: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(http.address).await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", http.address);
        stream.write_all(request.as_bytes()).await.unwrap();
        Self { stream, text: String::new() }
    }

    /// Sends more.
    pub(crate) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads until this came.
    pub(crate) async fn until(&mut self, part: &str) {
        let mut searched = 0;
        while !self.text[searched..].contains(part) {
            searched = self.text.floor_char_boundary(self.text.len().saturating_sub(part.len()));
            let mut bytes = [0; 65536];
            let read = tokio::time::timeout(SOON, self.stream.read(&mut bytes)).await;
            let count = read.unwrap_or_else(|_| panic!("no {part:?} in {:?}", self.text)).unwrap();
            assert!(count > 0, "closed before {part:?}, after {:?}", self.text);
            self.text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
    }

    /// Reads whatever has come by now.
    pub(crate) fn read_on(&mut self) {
        let mut bytes = [0; 65536];
        while let Ok(count) = self.stream.try_read(&mut bytes)
            && count > 0
        {
            self.text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
    }

    /// Reads until the server closes the connection.
    pub(crate) async fn until_closed(&mut self) {
        let mut rest = Vec::new();
        // A connection that is reset is closed, too.
        let _ = tokio::time::timeout(SOON, self.stream.read_to_end(&mut rest)).await.expect("it is closed");
        self.text.push_str(std::str::from_utf8(&rest).unwrap());
    }

    /// Goes away, and waits until the server has noticed.
    pub(crate) async fn hang_up(mut self) {
        self.stream.shutdown().await.unwrap();
        self.until_closed().await;
    }

    /// The data of all events of this name that came.
    pub(crate) fn events(&self, name: &str) -> Vec<serde_json::Value> {
        let head = format!("event: {name}\ndata: ");
        let data = self.text.split(&head).skip(1).filter_map(|rest| rest.split_once("\n\n"));
        data.map(|(data, _)| serde_json::from_str(data).unwrap()).collect()
    }
}

/// The tasks of the runtime that are none of the connections to the database, of which each has one.
pub(crate) fn alive(manager: &Manager) -> usize {
    let all = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    all.saturating_sub(manager.pool().status().size)
}

/// Waits until there are no more of them than this.
pub(crate) async fn until_only_so_many(count: usize, manager: &Manager) {
    wait_until("tasks to end", SOON, async || alive(manager) <= count).await;
}
