//! What happens on a connection, and whether it has taken too long.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::options::ServeOptions;

/// How long to read what still comes when all is sent, and how often before others get their turn.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_READS: usize = 16;
/// No such time.
const NEVER: u64 = u64::MAX;

/// What is going on on one connection, told by those who see it: times in milliseconds since it was opened.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    /// Requests whose answers are not sent to the end.
    requests: AtomicUsize,
    /// When the head of a request began to arrive.
    head_since: AtomicU64,
    /// When the last request ended.
    idle_since: AtomicU64,
    /// Since when the client takes nothing of what is sent to it.
    stalled_since: AtomicU64,
    /// Whether what comes in between requests is taken for the head of one.
    heads: AtomicBool,
}

/// Whether the head of a request is told by bytes that come while there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heads {
    Seen,
    /// All sorts of things may come: the frames of HTTP/2, or a handshake.
    Hidden,
}

/// What is to become of a connection that has taken too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    /// Nothing is lost: it is closed when what is under way has ended.
    Idle,
    /// The client is too slow, or gone: it is cut.
    Slow,
}

/// A request whose answer is not sent to the end: ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Flight(Arc<Activity>);

impl Activity {
    /// Of a connection that is being opened now. The head of its first request is waited for from now on.
    pub(super) fn new(heads: Heads) -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            requests: AtomicUsize::new(0),
            head_since: AtomicU64::new(0),
            idle_since: AtomicU64::new(0),
            stalled_since: AtomicU64::new(NEVER),
            heads: AtomicBool::new(heads == Heads::Seen),
        })
    }

    /// What comes from now on in between requests is the head of one.
    pub(super) fn see_heads(&self) {
        self.heads.store(true, Ordering::Release);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(NEVER - 1)
    }

    /// The head of a request is there.
    pub(super) fn begin(self: &Arc<Self>) -> Flight {
        self.requests.fetch_add(1, Ordering::AcqRel);
        self.head_since.store(NEVER, Ordering::Release);
        Flight(Arc::clone(self))
    }

    fn received(&self) {
        if self.heads.load(Ordering::Acquire) && self.requests.load(Ordering::Acquire) == 0 {
            let _ = self.head_since.compare_exchange(NEVER, self.now(), Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    fn sent(&self, sent: bool) {
        if sent {
            self.stalled_since.store(NEVER, Ordering::Release);
        } else {
            let now = self.now();
            let _ = self.stalled_since.compare_exchange(NEVER, now, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// Returns when the connection has taken too long for something.
    ///
    /// It looks again only when something may be late: what begins after a look cannot be late before the shortest of
    /// the limits has passed.
    pub(super) async fn late(&self, options: &ServeOptions) -> Late {
        let shortest = options.header_time.min(options.idle_time).min(options.write_time);
        loop {
            let now = Instant::now();
            let since = |mark: &AtomicU64, limit: Duration| {
                let mark = mark.load(Ordering::Acquire);
                (mark != NEVER).then(|| self.opened + Duration::from_millis(mark) + limit)
            };
            let stalled = since(&self.stalled_since, options.write_time);
            let (head, idle) = match self.requests.load(Ordering::Acquire) {
                0 => {
                    (since(&self.head_since, options.header_time), since(&self.idle_since, options.idle_time))
                }
                _ => (None, None),
            };
            if [stalled, head].into_iter().flatten().any(|at| at <= now) {
                return Late::Slow;
            }
            if idle.is_some_and(|at| at <= now) && head.is_none() {
                return Late::Idle;
            }
            let next = [stalled, head, idle].into_iter().flatten().filter(|at| *at > now).min();
            sleep_until(next.map_or(now + shortest, |at| at.min(now + shortest))).await;
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.idle_since.store(self.0.now(), Ordering::Release);
        self.0.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A stream that tells what happens on it.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
    /// Until when what still comes is read, once all is sent.
    lingering: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, activity, lingering: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.activity.received();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, data);
        self.activity.sent(written.is_ready());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, data);
        self.activity.sent(written.is_ready());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Says that all is sent, and reads on for a moment. Closed with something unread, as after a body that was too long,
    /// the answer might be lost on its way.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let Self { stream, lingering, .. } = &mut *self;
        let lingering = match lingering {
            Some(lingering) => lingering,
            None => {
                ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
                lingering.insert(Box::pin(sleep(LINGER)))
            }
        };
        let mut unread = [0; 4096];
        for _ in 0..LINGER_READS {
            let mut buffer = ReadBuf::new(&mut unread);
            match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return lingering.as_mut().poll(cx).map(Ok),
            }
        }
        // Others want to run too.
        cx.waker().wake_by_ref();
        lingering.as_mut().poll(cx).map(Ok)
    }
}
