//! Keeps the connection on which this process is told of tasks, and of their changes while somebody watches.
//!
//! ```text
//!   connect ──▶ test ──heard──▶ listening ──every 5 s──▶ test
//!     ▲          │                  │                     │
//!     │          │ not heard        │ connection gone     │ not heard within 3 s
//!     └─ pause ◀─┴──────────────────┴─────────────────────┘      polling alone until then
//! ```

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pgmill_store::{ConnectOptions, ListenError, Listener, Notice};
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Wakes;
use crate::home::Home;
use crate::jitter::jittered;
use crate::pace::Pace;

const TEST_EVERY: Duration = Duration::from_secs(5);
const TEST_LIMIT: Duration = Duration::from_secs(3);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How a manager is told of tasks: begun by the first who waits, and ended with the manager.
pub(crate) struct Listening {
    options: Option<ConnectOptions>,
    home: Home,
    end: CancellationToken,
    begun: OnceLock<()>,
    _end: DropGuard,
}

impl Listening {
    /// Must be called within a tokio runtime. Without options there is polling alone.
    pub(crate) fn new(options: Option<ConnectOptions>) -> Self {
        let end = CancellationToken::new();
        let guard = end.clone().drop_guard();
        Self { options, home: Home::current(), end, begun: OnceLock::new(), _end: guard }
    }

    /// Begins, unless it has begun.
    pub(crate) fn begin(&self, wakes: &Arc<Wakes>) {
        self.begun.get_or_init(|| {
            wakes.listening();
            let Some(options) = self.options.clone() else {
                return tracing::info!(
                    "without a direct connection of their own, workers are not told of tasks that other processes \
                     create: they look every second (ManagerBuilder::listen_with gives them one)"
                );
            };
            let (wakes, end) = (Arc::clone(wakes), self.end.clone());
            self.home.runtime().spawn(async move {
                let deaf = Deaf(&wakes);
                until_ended(&end, keep_listening(&wakes, &options, &end)).await;
                drop(deaf);
            });
        });
    }

    /// Whether it has begun, and there is a way to listen.
    pub(crate) fn is_wanted(&self) -> bool {
        self.options.is_some() && self.begun.get().is_some()
    }

    /// How to connect directly, if there is a way.
    pub(crate) fn options(&self) -> Option<&ConnectOptions> {
        self.options.as_ref()
    }

    /// Whether there is a connection to be had.
    pub(crate) fn can_begin(&self) -> bool {
        self.options.is_some() && !self.end.is_cancelled()
    }

    /// Ends for good.
    pub(crate) fn end(&self) {
        self.end.cancel();
    }
}

/// Listens until the end. That is looked at first: a server that ends with the process is no news then.
async fn until_ended(end: &CancellationToken, listening: impl Future) {
    tokio::select! {
        biased;
        () = end.cancelled() => {}
        _ = listening => {}
    }
}

/// Leaves polling behind, however the listening ends: also with its runtime.
struct Deaf<'a>(&'a Wakes);

impl Drop for Deaf<'_> {
    fn drop(&mut self) {
        self.0.set_listening(false);
    }
}

/// Why a listener is given up.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("no answer within {limit:?}")]
    Late { limit: Duration },
    #[error("a notification that was sent did not arrive: is there a pooler in transaction mode in between?")]
    Unheard,
    #[error("the connection was closed")]
    Closed,
    #[error(transparent)]
    Listen(#[from] ListenError),
}

async fn keep_listening(wakes: &Wakes, options: &ConnectOptions, end: &CancellationToken) {
    let mut pace = Pace::of_tries();
    let mut silent = false;
    loop {
        let connected = timeout(CONNECT_LIMIT, Listener::connect(options)).await;
        let lost = match connected {
            Err(_) => Lost::Late { limit: CONNECT_LIMIT },
            Ok(Err(error)) => Lost::Listen(error),
            Ok(Ok(listener)) => {
                listen(wakes, listener, || {
                    if std::mem::take(&mut silent) {
                        tracing::info!("told of tasks by other processes again");
                    }
                    pace.reset();
                })
                .await
            }
        };
        wakes.set_listening(false);
        // A server that was stopped behind the end may be met before that is looked at.
        if end.is_cancelled() {
            return;
        }
        // Once for each outage.
        if !std::mem::replace(&mut silent, true) {
            tracing::warn!(
                error = &lost as &dyn std::error::Error,
                "not told of tasks by other processes, looking for them every second: {lost}"
            );
        }
        sleep(pace.pause()).await;
    }
}

/// Listens until it turns out that nothing is heard any more.
async fn listen(wakes: &Wakes, mut listener: Listener, mut works: impl FnMut()) -> Lost {
    loop {
        if let Err(lost) = test(wakes, &mut listener).await {
            return lost;
        }
        if wakes.listens().is_none() {
            wakes.set_listening(true);
        }
        works();
        if let Ok(lost) = timeout(jittered(TEST_EVERY), hear(wakes, &mut listener)).await {
            return lost;
        }
    }
}

/// Hears until the connection is gone.
async fn hear(wakes: &Wakes, listener: &mut Listener) -> Lost {
    loop {
        let watched = wakes.events.is_watched();
        if watched != listener.hears_events() {
            match timeout(TEST_LIMIT, listener.hear_events(watched)).await {
                Err(_) => return Lost::Late { limit: TEST_LIMIT },
                Ok(Err(error)) => return Lost::Listen(error.into()),
                Ok(Ok(())) => wakes.events.set_hearing(watched),
            }
        }
        tokio::select! {
            () = wakes.events.watched_changed() => {}
            notice = listener.next() => match notice {
                Some(notice) => wakes.hear(notice),
                None => return Lost::Closed,
            },
        }
    }
}

/// Sends the listener a test, and waits until it hears it.
async fn test(wakes: &Wakes, listener: &mut Listener) -> Result<(), Lost> {
    let text = format!("{:x}", getrandom::u64().unwrap_or_default());
    let sent = timeout(TEST_LIMIT, listener.test(&text)).await;
    sent.map_err(|_| Lost::Late { limit: TEST_LIMIT })?.map_err(ListenError::from)?;
    let heard = async {
        loop {
            match listener.next().await {
                Some(Notice::Test(heard)) if heard == text => return Ok(()),
                Some(notice) => wakes.hear(notice),
                None => return Err(Lost::Closed),
            }
        }
    };
    timeout(TEST_LIMIT, heard).await.unwrap_or(Err(Lost::Unheard))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::pending;
    use std::pin::pin;

    use futures_util::FutureExt;
    use tokio::sync::Notify;
    use tokio_util::sync::CancellationToken;

    use super::until_ended;

    #[tokio::test]
    async fn a_connection_that_breaks_at_the_end_is_not_told() {
        let (end, broken, told) = (CancellationToken::new(), Notify::new(), Cell::new(false));
        let mut listening = pin!(until_ended(&end, async {
            broken.notified().await;
            told.set(true);
            pending::<()>().await;
        }));
        assert!(listening.as_mut().now_or_never().is_none());
        broken.notify_one();
        end.cancel();
        assert!(listening.now_or_never().is_some());
        assert!(!told.get());
    }
}
