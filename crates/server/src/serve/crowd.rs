//! Connections beyond the limit.
//!
//! They are answered and closed at once, rather than left waiting to be accepted: a client that hears 503 can go elsewhere or
//! come again, and whoever looks sees what is the matter; one that waits learns nothing until it gives up.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::error::ApiError;

/// How many of them are answered at the same time. The rest are closed without a word.
const ANSWERED: usize = 64;
/// How long a client may take to read the answer.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Crowd {
    leaving: JoinSet<()>,
    /// An answer would need a handshake, which is what is to be spared.
    encrypted: bool,
    told: bool,
}

impl Crowd {
    pub(super) fn new(encrypted: bool) -> Self {
        Self { leaving: JoinSet::new(), encrypted, told: false }
    }

    pub(super) fn turn_away(&mut self, stream: TcpStream) {
        if !std::mem::replace(&mut self.told, true) {
            tracing::warn!("there are too many connections: those that come are turned away");
        }
        while self.leaving.try_join_next().is_some() {}
        if !self.encrypted && self.leaving.len() < ANSWERED {
            self.leaving.spawn(async move {
                let _ = timeout(PATIENCE, refuse(stream)).await;
            });
        }
    }
}

async fn refuse(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(answer().as_bytes()).await?;
    stream.shutdown().await?;
    // Closed with something unread, the answer might be lost on its way.
    let mut unread = [0; 1024];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}

fn answer() -> String {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let body = ApiError::new(status, "too_many_connections", "too many connections").text();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nretry-after: 1\r\n\
         cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}
