//! The stream of a connection, between its socket and whoever speaks HTTP on it.

use std::io::{ErrorKind, IoSlice, Read, Result};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::activity::Activity;

/// How long to read what still comes when all is sent, and how often before others get their turn.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_READS: usize = 16;

/// A stream that tells what happens on it. Its socket is shared with whoever looks whether the client is there.
#[derive(Debug)]
pub(super) struct Watched {
    socket: Arc<TcpStream>,
    activity: Arc<Activity>,
    /// Until when what still comes is read, once all is sent.
    lingering: Option<Pin<Box<Sleep>>>,
}

impl Watched {
    pub(super) fn new(socket: Arc<TcpStream>, activity: Arc<Activity>) -> Self {
        Self { socket, activity, lingering: None }
    }

    fn poll_receive(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<usize>> {
        loop {
            ready!(self.socket.poll_read_ready(cx))?;
            let mut received = 0;
            let tried = self.socket.try_io(Interest::READABLE, || {
                let room = buffer.initialize_unfilled();
                received = (&*SockRef::from(&*self.socket)).read(room)?;
                // What does not fill the room is all there was: as tokio does it, nothing is read again before more is
                // told to have come. So whoever is answered at once is answered though its end has come, too.
                let is_all = 0 < received && received < room.len();
                if is_all { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
            });
            match tried {
                Err(error) if error.kind() == ErrorKind::WouldBlock && received == 0 => {}
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
                _ => {
                    buffer.advance(received);
                    return Poll::Ready(Ok(received));
                }
            }
        }
    }

    /// Whether the time to read on is over.
    fn poll_lingered(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match &mut self.lingering {
            Some(lingering) => lingering.as_mut().poll(cx).map(Ok),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        send: impl Fn(&TcpStream) -> Result<usize>,
    ) -> Poll<Result<usize>> {
        let sent = loop {
            match self.socket.poll_write_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
            match send(&self.socket) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                sent => break Poll::Ready(sent),
            }
        };
        self.activity.sent(sent.is_ready());
        sent
    }
}

impl AsyncRead for Watched {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        if ready!(self.poll_receive(cx, buffer))? > 0 {
            self.activity.received();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize>> {
        self.poll_send(cx, |socket| socket.try_write(data))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        self.poll_send(cx, |socket| socket.try_write_vectored(data))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Says that all is sent, and reads on for a moment. Closed with something unread, as after a body that was too long,
    /// the answer might be lost on its way.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.lingering.is_none() {
            SockRef::from(&*self.socket).shutdown(Shutdown::Write)?;
            self.lingering = Some(Box::pin(sleep(LINGER)));
        }
        let mut unread = [0; 4096];
        for _ in 0..LINGER_READS {
            match self.poll_receive(cx, &mut ReadBuf::new(&mut unread)) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return self.poll_lingered(cx),
            }
        }
        // Others want to run too.
        cx.waker().wake_by_ref();
        self.poll_lingered(cx)
    }
}
