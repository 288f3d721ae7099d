//! The connection on which a process is told of tasks, and of their changes.

use std::fmt;
use std::future::poll_fn;
use std::time::Duration;

use pgmill_schema::{Namespace, QueueName};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client, Notification};

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
const EVENTS: &str = "pgmill_event";

/// A direct connection that listens. It is of no pool, and does not come back by itself when it breaks.
pub struct Listener {
    client: Client,
    notices: mpsc::UnboundedReceiver<Notice>,
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
        let (heard, notices) = mpsc::unbounded_channel();
        tokio::spawn(forward(driver, heard));
        client.batch_execute(LISTEN).await.map_err(StoreError::from)?;
        Ok(Self { client, notices, hears_events: false })
    }

    /// What is heard next; `None` once the connection is gone. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Notice> {
        self.notices.recv().await
    }

    /// Hears of changes of tasks from now on, or no longer.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn hear_events(&mut self, hear: bool) -> Result<(), StoreError> {
        self.client.batch_execute(if hear { LISTEN_EVENTS } else { UNLISTEN_EVENTS }).await?;
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
    pub async fn test(&self, text: &str) -> Result<(), StoreError> {
        let notice = serde_json::json!({ "test": text }).to_string();
        run(&self.client, &TEST_LISTENER, &[&notice]).await.map(drop)
    }
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

/// Runs the connection until it ends, or nobody listens any more.
async fn forward(mut driver: Driver, heard: mpsc::UnboundedSender<Notice>) {
    while let Some(message) = poll_fn(|cx| driver.poll_message(cx)).await {
        match message {
            Ok(AsyncMessage::Notification(notification)) => match read(&notification) {
                Some(notice) => {
                    if heard.send(notice).is_err() {
                        return;
                    }
                }
                None => {
                    tracing::debug!("a notification that is none of pgmill's: {}", notification.payload());
                }
            },
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "the connection of the listener broke"
                );
                return;
            }
        }
    }
}

fn read(notification: &Notification) -> Option<Notice> {
    if notification.channel() == EVENTS {
        return watcher::read(notification.payload()).map(Notice::Events);
    }
    let Wire { from, arrivals, test } = serde_json::from_str(notification.payload()).ok()?;
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
