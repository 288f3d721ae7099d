//! The server around a router: sockets, limits, and an orderly end.
//!
//! ```text
//!   accept ──▶ TLS ──▶ connection ──▶ front (`layers`) ──▶ router
//!     │                    └─ cut when it is too slow (`activity`)
//!     └─ too many: 503 and closed (`crowd`)
//!
//!   told to stop:  accept no more ──▶ connections end with what is under way ──grace──▶ the rest is cut
//! ```

mod activity;
mod address;
mod connection;
mod crowd;
mod error;
mod options;
mod streams;
mod tls;
mod watched;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

pub(crate) use self::activity::Flight;
use self::connection::Common;
use self::crowd::Crowd;
pub use self::error::ServeError;
pub use self::options::ServeOptions;
use self::tls::Tls;
pub use self::tls::{Reloader, TlsFiles};
use crate::layers::{Front, Names, Origins, Peers, front};

/// How long to wait when a connection cannot be accepted, as when there are no more files to open.
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
/// let server = Server::new(api.router(), ServeOptions::new())?;
/// let listener = server.listen("127.0.0.1:8080").await?;
/// server.run(listener, CancellationToken::new()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    app: Router,
    options: ServeOptions,
    tls: Option<Tls>,
    reloader: Reloader,
}

impl Server {
    /// A server of this router.
    ///
    /// # Errors
    /// If the files of TLS cannot be used, or an origin that is to be allowed is none.
    pub fn new(app: Router, options: ServeOptions) -> Result<Self, ServeError> {
        if let Some(origin) = options.origins.iter().find(|origin| !Origins::is_origin(origin)) {
            return Err(ServeError::Origin { origin: origin.clone() });
        }
        let tls = options.tls.as_ref().map(Tls::open).transpose()?;
        Ok(Self { app, options, tls, reloader: Reloader::new() })
    }

    /// Listens at `host:port`. A missing host stands for all interfaces, and port 0 for any that is free.
    ///
    /// # Errors
    /// [`ServeError::Unencrypted`] and [`ServeError::Open`] if it can be reached from elsewhere and may not;
    /// [`ServeError::Address`] and [`ServeError::Listen`] if it is no address, or one that cannot be had.
    pub async fn listen(&self, address: &str) -> Result<TcpListener, ServeError> {
        address::listen(address, &self.options).await
    }

    /// What has the certificate read again. It also is when its files change.
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// Serves until the token is cancelled, and then until what is under way has ended, or the grace is over.
    ///
    /// Streams must be ended by whoever serves them, as [`Api::shutdown`](crate::Api::shutdown) does, or they go on until the
    /// grace is over. Dropped, the future cuts all connections at once.
    ///
    /// # Errors
    /// If the listener has an address at which it may not listen, or none.
    pub async fn run(self, listener: TcpListener, shutdown: CancellationToken) -> Result<(), ServeError> {
        let bound = listener.local_addr();
        let bound =
            bound.map_err(|source| ServeError::Listen { address: "a closed socket".to_owned(), source })?;
        address::allowed(bound, &self.options)?;
        let acceptor = self.tls.as_ref().map(Tls::acceptor).transpose()?;
        let front_state = Arc::new(front_of(&self.options, bound));
        let common = Arc::new(Common {
            app: self.app.layer(from_fn_with_state(front_state, front)),
            options: self.options,
            acceptor,
            shutdown: shutdown.clone(),
        });
        let fresh = async {
            match self.tls {
                Some(tls) => tls.keep_fresh(&self.reloader).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = serve(common, listener, &shutdown) => {}
            () = fresh => {}
        }
        Ok(())
    }
}

/// Accepts and serves until told to stop, and until that is done.
async fn serve(common: Arc<Common>, listener: TcpListener, shutdown: &CancellationToken) {
    let mut connections = JoinSet::new();
    let mut crowd = Crowd::new(common.acceptor.is_some());
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) if connections.len() < common.options.max_connections => {
                    connections.spawn(connection::serve(Arc::clone(&common), stream, peer));
                }
                Ok((stream, _)) => crowd.turn_away(stream),
                Err(error) => {
                    tracing::warn!("no connection could be accepted: {error}");
                    sleep(EXHAUSTED).await;
                }
            },
        }
    }
    // Its port is free for a successor.
    drop(listener);
    let grace = common.options.grace;
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(grace, ended).await.is_err() {
        tracing::warn!("the grace of {grace:?} is over, and {} connections are cut", connections.len());
    }
}

fn front_of(options: &ServeOptions, bound: SocketAddr) -> Front {
    let certificate = options.tls.as_ref().and_then(|files| files.wanted_name());
    let others = options.hosts.iter().map(String::as_str).chain(certificate).map(str::to_owned).collect();
    Front {
        peers: Peers { trust_proxy: options.trust_proxy },
        origins: Origins {
            allowed: options.origins.clone(),
            // With a token a request is not one that a page could make.
            names: (!options.authenticated).then_some(Names { bound, others }),
            trust_proxy: options.trust_proxy,
        },
        request_time: options.request_time,
        body_time: options.body_time,
        encrypted: options.tls.is_some(),
    }
}
