//! A pool of connections that are opened as [`ConnectOptions::connect`] opens them.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use deadpool_postgres::{Connect, Manager, ManagerConfig, Pool, QueueMode, RecyclingMethod, Runtime};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};

use super::dial;
use super::error::ConnectError;
use super::options::ConnectOptions;

const SESSION: &str = include_str!("../../sql/session.sql");

/// How long a caller waits for one of the connections to come free.
const WAIT: Duration = Duration::from_secs(10);

impl ConnectOptions {
    /// Makes a pool of at most [`pool_size`](Self::pool_size) connections, each opened when it is first needed.
    ///
    /// In direct mode every new connection gets the session defaults of pgmill: read committed, UTC, and timeouts for
    /// statements (30 s), locks (5 s) and idle transactions (60 s). In pooler mode nothing is set.
    ///
    /// A caller waits up to 10 s for a connection to come free, and for a new one as long as `connect_timeout` allows
    /// for each host. Why a connection could not be opened is told by [`ConnectError::find`].
    ///
    /// # Errors
    /// If the files of the TLS parameters are missing or of no use. No connection is opened yet.
    pub fn pool(&self) -> Result<Pool, ConnectError> {
        dial::check_files(self)?;
        let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_connect(Config::new(), Opener(Arc::new(self.clone())), config);
        let pool = Pool::builder(manager)
            .max_size(self.pool_size())
            // The connection that was used last has its statements prepared and its caches warm. In turn, a process with
            // little to do would have a cold one for nearly every statement.
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(WAIT))
            .create_timeout(self.create_timeout())
            .recycle_timeout(Some(WAIT))
            .build()
            .expect("a pool with timeouts needs a runtime, and has one");
        Ok(pool)
    }

    /// Enough for the last of several hosts to be reached after all others were silent, and for the session defaults.
    fn create_timeout(&self) -> Option<Duration> {
        let hosts = u32::try_from(self.hosts.len()).unwrap_or(u32::MAX);
        self.connect_timeout.map(|timeout| timeout.saturating_mul(hosts.saturating_add(1)))
    }
}

/// Opens the connections of a pool.
struct Opener(Arc<ConnectOptions>);

impl Connect for Opener {
    fn connect(
        &self,
        _: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), tokio_postgres::Error>> + Send + '_>>
    {
        Box::pin(async {
            let (client, driver) = match self.0.connect().await {
                Ok(connected) => connected,
                Err(error) => return Err(smuggle(error).await),
            };
            let running = tokio::spawn(async {
                if let Err(error) = driver.run().await {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "a connection of the pool broke"
                    );
                }
            });
            if !self.0.is_pooler() {
                client.batch_execute(SESSION).await?;
            }
            Ok((client, running))
        })
    }
}

/// Puts an error of ours into the driver's error type, which is all that the pool lets through and which cannot be made
/// outside of the driver. It reports what a stream fails with, so it is given a stream that fails with ours.
async fn smuggle(error: ConnectError) -> tokio_postgres::Error {
    let mut config = Config::new();
    config.user("nobody").ssl_mode(SslMode::Disable);
    match config.connect_raw(Failing(Some(error)), NoTls).await {
        Err(error) => error,
        Ok(_) => unreachable!("every write to this stream fails"),
    }
}

struct Failing(Option<ConnectError>);

impl Failing {
    fn fail<T>(&mut self) -> Poll<io::Result<T>> {
        Poll::Ready(Err(self.0.take().map_or_else(|| io::ErrorKind::BrokenPipe.into(), io::Error::other)))
    }
}

impl AsyncRead for Failing {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.fail()
    }
}

impl AsyncWrite for Failing {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        self.fail()
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.fail()
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.fail()
    }
}
