//! A proxy that breaks connections where a test wants them broken.
//!
//! - `hub` accepts connections and keeps what they share; `line` carries the bytes of one.
//! - `gate` decides when bytes may go on; `session`, with `frame`, knows which request they belong to.
//! - `cut` is where a connection is to break, or to suffer something else; `ambush` takes that back in time.

mod ambush;
mod cut;
mod frame;
mod gate;
mod hub;
mod line;
mod session;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub use ambush::Ambush;
pub use cut::{CutPoint, Mishap};
pub use gate::Direction;

use crate::url::Url;
use hub::Hub;

/// A TCP proxy in front of PostgreSQL, with which a test breaks the network where it wants.
///
/// Connect through [`url_for`](Self::url_for). All controls work at once, for the connections there are and those to come,
/// and from synchronous code too: the proxy runs in a thread of its own. Dropping it closes it, and all connections.
///
/// ```
/// # async fn example() {
/// use pgmill_store::{ConnectOptions, Store};
/// use pgmill_testkit::{ChaosProxy, CutPoint, TestDatabase};
///
/// let database = TestDatabase::create().await;
/// let proxy = ChaosProxy::start(database.url()).await;
/// let options = ConnectOptions::parse(&proxy.url_for(database.url())).expect("a good URL");
/// let store = Store::open(&options).expect("no files are read");
///
/// // The next enqueue is committed, and its answer is lost.
/// let fired = proxy.arm(CutPoint::BeforeAnswer, "enqueue_v1");
/// // … enqueue with `store` here …
/// fired.await;
/// # }
/// ```
pub struct ChaosProxy {
    hub: Arc<Hub>,
    address: SocketAddr,
    /// Ends the thread when it is dropped.
    _alive: oneshot::Sender<()>,
}

impl ChaosProxy {
    /// Starts a proxy before the server of this URL, or of `host:port`. The server need not run yet: a client whose server
    /// cannot be reached finds its connection closed.
    ///
    /// # Panics
    /// If no port can be listened on.
    pub async fn start(target: &str) -> Self {
        let target =
            if target.contains("://") { with_port(&Url::parse(target).host) } else { with_port(target) };
        let hub = Arc::new(Hub::new(target));
        let (alive, ended) = oneshot::channel();
        let (listening, address) = oneshot::channel();
        let worker = Arc::clone(&hub);
        let spawned = thread::Builder::new().name("pgmill-testkit-proxy".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                let _ = listening.send(listener.local_addr()?);
                tokio::select! {
                    () = worker.listen(listener) => {}
                    _ = ended => {}
                }
                Ok::<(), std::io::Error>(())
            })
        });
        match (spawned, address.await) {
            (Ok(_), Ok(address)) => Self { hub, address, _alive: alive },
            (Err(error), _) => panic!("the thread of a proxy could not be started: {error}"),
            (_, Err(_)) => panic!("a proxy could not listen on a port of 127.0.0.1"),
        }
    }

    /// Where the proxy listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a database of the server, led through the proxy. TLS is turned off (`sslmode=disable`), as the proxy reads
    /// along; several hosts become the one.
    ///
    /// # Panics
    /// If it is no URL.
    pub fn url_for(&self, url: &str) -> String {
        Url::parse(url).with_plain_host(self.address.to_string()).to_string()
    }

    /// How many connections go through the proxy now.
    pub fn connections(&self) -> usize {
        self.hub.connections()
    }

    /// Breaks all connections, also those that are being made; whatever was [held](Self::hold) or delayed on them is lost.
    /// Both sides find them closed when the call returns. New ones are accepted.
    pub fn cut(&self) {
        self.hub.cut();
    }

    /// Whether new connections are closed as soon as they are made. Does not concern those there are.
    pub fn refuse(&self, refuse: bool) {
        self.hub.refuse(refuse);
    }

    /// Whether bytes are lost on their way, as in a network that has fallen silent: connections stay open, new ones are made,
    /// and neither side learns that the other has closed.
    ///
    /// As in TCP, nothing that comes after a gap is ever delivered: a connection that has lost bytes stays silent in that
    /// direction when this is turned off again, until it is cut or given up by its owner. New ones work.
    pub fn swallow(&self, direction: Direction, swallow: bool) {
        for way in direction.ways() {
            self.hub.gate(*way).swallow(swallow);
        }
    }

    /// How many bytes were [swallowed](Self::swallow) so far.
    pub fn swallowed(&self, direction: Direction) -> u64 {
        direction.ways().iter().map(|way| self.hub.all_swallowed(*way)).sum()
    }

    /// Lets bytes arrive this much later, in order. Zero, the default, is no delay.
    pub fn delay(&self, direction: Direction, delay: Duration) {
        for way in direction.ways() {
            self.hub.gate(*way).delay(delay);
        }
    }

    /// Keeps bytes, and the news that a side has closed, until they are [released](Self::release).
    pub fn hold(&self, direction: Direction) {
        for way in direction.ways() {
            self.hub.gate(*way).hold(true);
        }
    }

    /// Delivers what was [held](Self::hold), in order, even if the sender has closed its connection meanwhile, and passes on
    /// what comes.
    pub fn release(&self, direction: Direction) {
        for way in direction.ways() {
            self.hub.gate(*way).hold(false);
        }
    }

    /// How many bytes are on their way, held or delayed: wait for this to become more than zero to know that something
    /// has been sent.
    pub fn waiting(&self, direction: Direction) -> usize {
        direction.ways().iter().map(|way| self.hub.waiting(*way)).sum()
    }

    /// Cuts one connection, once, at the given point of the next request whose statement contains the needle (exact case). The
    /// future resolves when that has happened; whether it is awaited or dropped, the cut stays armed.
    ///
    /// Prepared statements are recognised by the text they were prepared with, each time they are executed; preparing is no
    /// request. Several cuts may be armed at a time. Of a COPY from the client the answer is the server's readiness for
    /// rows: to cut after the rows, use a transaction and arm its `COMMIT`.
    ///
    /// # Panics
    /// The future panics if the connection ends, or the proxy is dropped, before the cut.
    pub fn arm(&self, point: CutPoint, needle: &str) -> impl Future<Output = ()> + Send + use<> {
        self.arm_nth(point, needle, 1)
    }

    /// As [`arm`](Self::arm), for the n-th such request from now on; 1 (and 0) is the next.
    ///
    /// # Panics
    /// As for [`arm`](Self::arm).
    pub fn arm_nth(
        &self,
        point: CutPoint,
        needle: &str,
        n: usize,
    ) -> impl Future<Output = ()> + Send + use<> {
        let armed = self.hub.arms().add(point, Mishap::Cut, needle, n);
        let what = format!("the cut {point:?} of {needle:?}");
        async move {
            if armed.happened.await.is_err() {
                panic!("{what} did not happen: the connection ended before, or the proxy was dropped");
            }
        }
    }

    /// As [`arm_nth`](Self::arm_nth), for any [`Mishap`], and where connections end for other reasons too, or where no such
    /// request may come: tells whether it happened, and takes it back when it is dropped.
    pub fn ambush(&self, point: CutPoint, mishap: Mishap, needle: &str, n: usize) -> Ambush {
        Ambush::new(self.hub.arms().add(point, mishap, needle, n), Arc::clone(&self.hub))
    }
}

/// The first of the hosts, with its port.
fn with_port(hosts: &str) -> String {
    let host = hosts.split(',').next().unwrap_or_default();
    let name_ends = host.rfind(']').unwrap_or(0);
    match host {
        "" => "localhost:5432".to_owned(),
        host if host[name_ends..].contains(':') => host.to_owned(),
        host => format!("{host}:5432"),
    }
}

impl Drop for ChaosProxy {
    fn drop(&mut self) {
        self.hub.refuse(true);
        self.hub.cut();
    }
}

impl fmt::Debug for ChaosProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChaosProxy")
            .field("address", &self.address)
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::with_port;

    #[test]
    fn a_port_that_is_not_given_is_that_of_postgresql() {
        let cases = [
            ("db", "db:5432"),
            ("db:7", "db:7"),
            ("[::1]", "[::1]:5432"),
            ("[::1]:7", "[::1]:7"),
            ("", "localhost:5432"),
            ("a:1,b:2", "a:1"),
        ];
        for (given, full) in cases {
            assert_eq!(with_port(given), full);
        }
    }
}
