//! The streams of a connection of HTTP/2: each is a request and its answer, and is cut by itself.
//!
//! A client says for each stream how much of its answer it takes, and may take none of one while others go on; behind a proxy they
//! are those of other clients. hyper asks for the next part of an answer when there is room for the one before, and not at all while
//! there is none. So whoever runs a stream looks at how long that lasts, and drops it: h2 then resets the stream, and forgets what it
//! had still to send on it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::rt::Executor;
use tokio::time::{Instant, sleep_until};

use super::activity::Activity;

/// Since when a part of an answer waits for the client to take what came before.
#[derive(Debug, Default)]
pub(super) struct Unread(Mutex<Option<Instant>>);

impl Unread {
    /// A part is handed on.
    pub(super) fn offered(&self) {
        *self.since() = Some(Instant::now());
    }

    /// There is room for the next.
    pub(super) fn taken(&self) {
        *self.since() = None;
    }

    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when a part has waited for so long.
    async fn late(&self, limit: Duration) {
        loop {
            let now = Instant::now();
            // What is offered after this look cannot be late before the limit has passed.
            let at = self.since().unwrap_or(now) + limit;
            if at <= now {
                return;
            }
            sleep_until(at).await;
        }
    }
}

/// Runs the streams of a connection.
#[derive(Debug, Clone)]
pub(super) struct Streams {
    activity: Arc<Activity>,
    write_time: Duration,
}

impl Streams {
    pub(super) fn new(activity: &Arc<Activity>, write_time: Duration) -> Self {
        Self { activity: Arc::clone(activity), write_time }
    }
}

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        // hyper runs a stream right after it has had its request answered with a future, and so begun.
        let unread = self.activity.take_newest();
        let write_time = self.write_time;
        tokio::spawn(async move {
            let Some(unread) = unread else { return drop(stream.await) };
            tokio::select! {
                biased;
                _ = stream => {}
                () = unread.late(write_time) => tracing::debug!("a client took too little of an answer: its stream is cut"),
            }
        });
    }
}
