//! The connection on which a process is told of tasks, and of their changes.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pgmill_schema::{Namespace, QueueName};
use serde::Deserialize;
use tokio_postgres::{AsyncMessage, Client};

use crate::connect::{ConnectError, ConnectOptions, Driver};
use crate::error::StoreError;
use crate::session::run;
use crate::statement::TEST_LISTENER;
use crate::waiter::Arrival;
use crate::watcher::{self, Told};

const LISTEN: &str = include_str!("../sql/listen.sql");
const LISTEN_EVENTS: &str = include_str!("../sql/listen_events.sql");
const UNLISTEN_EVENTS: &str = include_str!("../sql/unlisten_events.sql");
/// The channel of changes.
pub(crate) const EVENTS: &str = "pgmill_event";

/// A direct connection that listens. It is of no pool, and does not come back by itself when it breaks.
///
/// Whoever listens runs the connection too, rather than a task of its own: a notice then is on its way to those who wait one
/// hand-over earlier.
pub struct Listener {
    client: Client,
    /// `None` once the connection is gone: statements find that out when it is dropped.
    driver: Option<Driver>,
    /// Heard while something else was waited for.
    heard: VecDeque<Notice>,
    hears_events: bool,
}

/// What a listener hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Tasks have come into these queues, told by this process, if it told itself.
    In(Option<i64>, Vec<Arrival>),
    /// Tasks have come into more queues than can be named.
    Anywhere(Option<i64>),
    /// A test with this text, of whatever process.
    Test(String),
    /// Tasks have changed.
    Events(Told),
}

/// A notice as it travels.
#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    from: Option<i64>,
    #[serde(default, rename = "in")]
    arrivals: Option<Vec<(Namespace, QueueName, u64)>>,
    #[serde(default)]
    test: Option<String>,
}

impl Listener {
    /// Connects, and listens from then on. Behind a pooler in transaction mode nothing is heard, which a
    /// [test](Self::test) finds out.
    ///
    /// # Errors
    /// If there is no connection to be had, or it breaks at once.
    pub async fn connect(options: &ConnectOptions) -> Result<Self, ListenError> {
        let (client, driver) = options.connect().await?;
        let mut listener = Self { client, driver: Some(driver), heard: VecDeque::new(), hears_events: false };
        listener.batch(LISTEN).await?;
        Ok(listener)
    }

    /// What is heard next; `None` once the connection is gone. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Notice> {
        if let Some(notice) = self.heard.pop_front() {
            return Some(notice);
        }
        poll_fn(|cx| poll_notice(&mut self.driver, cx)).await
    }

    /// Hears of changes of tasks from now on, or no longer.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn hear_events(&mut self, hear: bool) -> Result<(), StoreError> {
        self.batch(if hear { LISTEN_EVENTS } else { UNLISTEN_EVENTS }).await?;
        self.hears_events = hear;
        Ok(())
    }

    /// Whether it hears of changes of tasks. At first it does not.
    pub fn hears_events(&self) -> bool {
        self.hears_events
    }

    /// Sends itself a test, which is to be heard soon.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn test(&mut self, text: &str) -> Result<(), StoreError> {
        let notice = serde_json::json!({ "test": text }).to_string();
        let Self { client, driver, heard, .. } = self;
        drive(driver, heard, run(client, &TEST_LISTENER, &[&notice])).await.map(drop)
    }

    async fn batch(&mut self, statements: &str) -> Result<(), StoreError> {
        let Self { client, driver, heard, .. } = self;
        Ok(drive(driver, heard, client.batch_execute(statements)).await?)
    }
}

/// Runs the connection until a statement on it is answered, and keeps what is heard meanwhile.
async fn drive<T>(
    driver: &mut Option<Driver>,
    heard: &mut VecDeque<Notice>,
    statement: impl Future<Output = T>,
) -> T {
    let mut statement = pin!(statement);
    poll_fn(|cx| {
        // The statement first, for it is sent by that; and again, for the connection may have brought its answer.
        if let Poll::Ready(answer) = statement.as_mut().poll(cx) {
            return Poll::Ready(answer);
        }
        while let Poll::Ready(Some(notice)) = poll_notice(driver, cx) {
            heard.push_back(notice);
        }
        statement.as_mut().poll(cx)
    })
    .await
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

/// Why a listener could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// No connection was to be had.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection does not do what it should.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The next notice; `None` once the connection is gone.
fn poll_notice(driver: &mut Option<Driver>, cx: &mut Context<'_>) -> Poll<Option<Notice>> {
    while let Some(open) = driver {
        match ready!(open.poll_message(cx)) {
            Some(Ok(AsyncMessage::Notification(notification))) => {
                match read(notification.channel(), notification.payload()) {
                    Some(notice) => return Poll::Ready(Some(notice)),
                    None => {
                        tracing::debug!(
                            "a notification that is none of pgmill's: {}",
                            notification.payload()
                        );
                    }
                }
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "the connection of the listener broke"
                );
                *driver = None;
            }
            None => *driver = None,
        }
    }
    Poll::Ready(None)
}

/// What a notification tells; `None` if it is none of pgmill's, for whoever may connect may send one.
pub(crate) fn read(channel: &str, payload: &str) -> Option<Notice> {
    if channel == EVENTS {
        return watcher::read(payload).map(Notice::Events);
    }
    let Wire { from, arrivals, test } = serde_json::from_str(payload).ok()?;
    Some(match (test, arrivals) {
        (Some(text), _) => Notice::Test(text),
        (None, Some(arrivals)) => {
            let arrivals = arrivals
                .into_iter()
                .map(|(namespace, queue, micros)| (namespace, queue, Duration::from_micros(micros)));
            Notice::In(from, arrivals.collect())
        }
        (None, None) => Notice::Anywhere(from),
    })
}
