//! The other half of an open connection.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};

use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Connection, Error, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

type TlsStream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// Moves bytes between a client and its server. Nothing happens on a connection unless its driver is polled, by
/// [`run`](Self::run) or by [`poll_message`](Self::poll_message).
#[must_use = "a connection does nothing unless its driver runs"]
pub struct Driver {
    // Boxed, for it is more than a kilobyte, and is moved often before it settles in a task.
    connection: Box<Connection<Socket, TlsStream>>,
}

impl Driver {
    pub(super) fn new(connection: Connection<Socket, TlsStream>) -> Self {
        Self { connection: Box::new(connection) }
    }

    /// Runs until the client is dropped and all it asked for is done. Notices go to the log, notifications nowhere.
    ///
    /// # Errors
    /// If the connection breaks, or the server closes it.
    pub async fn run(mut self) -> Result<(), Error> {
        while let Some(message) = poll_fn(|cx| self.poll_message(cx)).await.transpose()? {
            if let AsyncMessage::Notice(notice) = message {
                tracing::debug!(
                    severity = notice.severity(),
                    code = notice.code().code(),
                    "{}",
                    notice.message()
                );
            }
        }
        Ok(())
    }

    /// Does what there is to do, and returns the next notice or notification; `None` once the connection is closed.
    pub fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<AsyncMessage, Error>>> {
        self.connection.poll_message(cx)
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}
