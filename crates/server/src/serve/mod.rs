//! The server around a router: sockets, limits, and an orderly end.
//!
//! ```text
//!   accept ──▶ connection ──▶ front (`layers`) ──▶ router
//!     │            └─ cut when it is too slow (`activity`)
//!     └─ too many: 503 and closed
//!
//!   told to stop:  accept no more ──▶ connections end with what is under way ──grace──▶ the rest is cut
//! ```

mod activity;
mod connection;
mod options;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use connection::Common;
pub use options::ServeOptions;

/// How long to wait when there are no more files to open for connections.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// A server of a router, with limits for what clients may take.
///
/// ```no_run
/// use pgmill_server::{Api, Options, ServeOptions, Server};
/// use tokio_util::sync::CancellationToken;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let manager = pgmill::Manager::connect("postgres://localhost/app").namespace("shop").await?;
/// let api = Api::new(manager, Options::new());
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// Server::new(api.router(), ServeOptions::new()).run(listener, CancellationToken::new()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    app: Router,
    options: ServeOptions,
}

impl Server {
    /// A server of this router.
    pub fn new(app: Router, options: ServeOptions) -> Self {
        Self { app, options }
    }

    /// Serves until the token is cancelled, and then until what is under way has ended, or the grace is over.
    ///
    /// Dropped, it cuts all connections at once.
    ///
    /// # Errors
    /// If the listener has no address.
    pub async fn run(self, listener: TcpListener, shutdown: CancellationToken) -> std::io::Result<()> {
        let grace = self.options.grace;
        let max_connections = self.options.max_connections;
        let common = Arc::new(Common { app: self.app, options: self.options, shutdown: shutdown.clone() });
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) if connections.len() < max_connections => {
                        connections.spawn(connection::serve(Arc::clone(&common), stream, peer));
                    }
                    Ok((stream, _)) => turn_away(stream).await,
                    Err(error) => {
                        tracing::warn!("no connection could be accepted: {error}");
                        sleep(EXHAUSTED).await;
                    }
                },
            }
        }
        drop(listener);
        let ended = async { while connections.join_next().await.is_some() {} };
        if timeout(grace, ended).await.is_err() {
            tracing::warn!("{} connections are cut: the grace of {grace:?} is over", connections.len());
        }
        Ok(())
    }
}

async fn turn_away(mut stream: TcpStream) {
    let _ = stream.shutdown().await;
}
