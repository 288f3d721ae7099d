//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, Interest, Ready};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::activity::{Activity, Heads, Late};
use super::options::ServeOptions;
use super::streams::Streams;
use super::watched::Watched;

/// How often to ask over HTTP/2 whether the client is still there, and how long it may take to say so.
const PING: Duration = Duration::from_secs(20);
/// How long a client that has sent all it will may still be answered, where hyper does not see that it is gone.
const DEPARTURE: Duration = Duration::from_secs(1);
/// How many requests a connection of HTTP/2 may have under way.
const STREAMS: u32 = 128;

/// What all connections of a server share.
pub(super) struct Common {
    pub(super) app: Router,
    pub(super) options: ServeOptions,
    pub(super) acceptor: Option<TlsAcceptor>,
    pub(super) shutdown: CancellationToken,
}

/// Serves a connection until it ends, is cut, or the server is told to stop and what is under way has ended.
pub(super) async fn serve(common: Arc<Common>, stream: TcpStream, peer: SocketAddr) {
    // Answers are written whole: there is nothing to wait for.
    let _ = stream.set_nodelay(true);
    let stream = Arc::new(stream);
    tokio::select! {
        () = exchange(&common, &stream, peer) => {}
        () = departure(&stream) => tracing::debug!("a client went away, and left requests behind"),
    }
}

/// Returns when a client has sent its end, and still has not been answered, or found to be gone, some time later. hyper looks
/// for the end no longer once it has bytes of a request that follows the one under way: a client that sends one and goes
/// away would leave a long-poll behind, which then takes a task for nobody.
#[cfg(any(target_os = "linux", target_os = "android"))]
async fn departure(stream: &TcpStream) {
    // Of what is told apart there, this is ready at the end of what comes, and not when there is something to read.
    let end = stream.ready(Interest::PRIORITY).await;
    if end.is_ok_and(Ready::is_read_closed) {
        sleep(DEPARTURE).await;
    } else {
        // Urgent data, which nobody sends, or a socket that cannot be asked.
        pending::<()>().await;
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
async fn departure(_: &TcpStream) {
    pending::<()>().await;
}

async fn exchange(common: &Common, stream: &Arc<TcpStream>, peer: SocketAddr) {
    let Some(acceptor) = &common.acceptor else {
        let activity = Activity::new(Heads::Seen);
        let stream = Watched::new(Arc::clone(stream), Arc::clone(&activity));
        return http1(common, stream, peer, &activity).await;
    };
    let activity = Activity::new(Heads::Hidden);
    let stream = Watched::new(Arc::clone(stream), Arc::clone(&activity));
    let shaken = tokio::select! {
        shaken = acceptor.accept(stream) => shaken,
        _ = activity.late(&common.options) => return,
        () = common.shutdown.cancelled() => return,
    };
    match shaken {
        Ok(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
            http2(common, stream, peer, &activity).await;
        }
        Ok(stream) => {
            activity.see_heads();
            http1(common, stream, peer, &activity).await;
        }
        Err(error) => tracing::debug!("a TLS handshake failed: {error}"),
    }
}

async fn http1<S>(common: &Common, stream: S, peer: SocketAddr, activity: &Arc<Activity>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // The limits of time are those of `Activity`, which tells a connection without a request from a slow head.
        .header_read_timeout(None)
        .max_header_size(common.options.max_header_bytes)
        .max_headers(common.options.max_headers)
        // Who has sent an end wants no answer: that a client has gone cannot be told from it otherwise, and a long poll
        // would go on, and retain a task for nobody.
        .half_close(false);
    let connection = builder.serve_connection(TokioIo::new(stream), service(common, peer, activity));
    drive(connection, common, activity).await;
}

async fn http2<S>(common: &Common, stream: S, peer: SocketAddr, activity: &Arc<Activity>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut builder = http2::Builder::new(Streams::new(activity, common.options.write_time));
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(common.options.max_header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    let connection = builder.serve_connection(TokioIo::new(stream), service(common, peer, activity));
    drive(connection, common, activity).await;
}

/// What answers the requests of a connection.
fn service(
    common: &Common,
    peer: SocketAddr,
    activity: &Arc<Activity>,
) -> impl Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send> + use<> {
    let app = TowerToHyperService::new(common.app.clone());
    let activity = Arc::clone(activity);
    service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(Arc::new(activity.begin()));
        app.call(request)
    })
}

/// A connection of either version of HTTP.
trait Connection: Future<Output = Result<(), hyper::Error>> {
    /// Takes no more requests, and ends when those that were taken are answered.
    fn stop(self: Pin<&mut Self>);
}

impl<I, S> Connection for http1::Connection<I, S>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    S: hyper::service::HttpService<Incoming, ResBody = Body>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn stop(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S> Connection for http2::Connection<I, S, Streams>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    S: hyper::service::HttpService<Incoming, ResBody = Body, Error = Infallible, Future: Send + 'static>,
{
    fn stop(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

async fn drive(connection: impl Connection, common: &Common, activity: &Activity) {
    let mut connection = pin!(connection);
    let mut late = pin!(activity.late(&common.options));
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!("a connection broke: {error}");
                }
                return;
            }
            () = common.shutdown.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().stop();
            }
            late = late.as_mut() => {
                if late == Late::Idle {
                    connection.as_mut().stop();
                    // A request that came at this moment is answered still.
                    let _ = timeout(common.options.request_time, connection).await;
                }
                return;
            }
        }
    }
}
