//! A server of a router that a test makes, on a socket of its own.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use pgmill_server::{ServeError, ServeOptions, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::fmt::MakeWriter;

use crate::http::Http;

/// Longer than anything takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// A limit that a test waits for.
pub(crate) const SOON: Duration = Duration::from_millis(200);

pub(crate) struct Scene {
    pub(crate) http: Http,
    pub(crate) shutdown: CancellationToken,
    running: JoinHandle<Result<(), ServeError>>,
}

impl Scene {
    pub(crate) async fn of(app: Router, options: ServeOptions) -> Self {
        Self::run(Server::new(app, options).unwrap()).await
    }

    pub(crate) async fn run(server: Server) -> Self {
        let listener = server.listen("127.0.0.1:0").await.unwrap();
        let http = Http::new(listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(server.run(listener, shutdown.clone()));
        Self { http, shutdown, running }
    }

    pub(crate) async fn connect(&self) -> Wire {
        Wire(TcpStream::connect(self.http.address).await.unwrap())
    }

    /// Waits until the server has ended by itself, which has to go well.
    pub(crate) async fn end(self) {
        timeout(PATIENCE, self.running).await.expect("the server ends").unwrap().unwrap();
    }
}

/// A connection, byte by byte.
pub(crate) struct Wire(pub(crate) TcpStream);

impl Wire {
    pub(crate) async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// What comes until this text has come.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        let mut heard = String::new();
        let listen = async {
            while !heard.contains(text) {
                let mut bytes = [0; 4096];
                let count = self.0.read(&mut bytes).await.unwrap();
                assert_ne!(count, 0, "closed before {text:?}: {heard:?}");
                heard.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        };
        timeout(PATIENCE, listen).await.expect("it comes");
        heard
    }

    /// What comes until the server closes the connection, in whatever way.
    pub(crate) async fn rest(&mut self) -> String {
        let mut heard = Vec::new();
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut heard)).await.expect("the server closes it");
        String::from_utf8_lossy(&heard).into_owned()
    }
}

/// What is logged on this thread.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// From now on, until the guard is dropped.
    pub(crate) fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let logs = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone());
        let guard = tracing::subscriber::set_default(logs.finish());
        (log, guard)
    }

    /// The lines with this text.
    pub(crate) fn lines(&self, text: &str) -> Vec<String> {
        let logged = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        logged.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
