//! Whether a notice that is sent arrives.

use std::time::{Duration, Instant};

use pgmill_store::{ConnectOptions, ListenError, Listener, Notice};
use tokio::time::timeout;

use super::report::Check;
use super::run::causes;
use crate::manager::Manager;

const NAME: &str = "notify";
const DIRECT: &str = "Workers look every second, and so find tasks later than they could: give them a direct connection beside the pooler \
    (ManagerBuilder::listen_with), or session pooling for it.";

pub(super) async fn check(manager: &Manager, limit: Duration) -> Check {
    let Some(options) = manager.shared.listening.options() else {
        return match manager.store().is_pooler() {
            true => Check::skipped(
                NAME,
                "behind a pooler in transaction mode LISTEN does not work: workers look every second",
            ),
            false => Check::skipped(NAME, "there is no direct connection to listen on"),
        };
    };
    match timeout(limit, round_trip(options)).await {
        Ok(Ok(Some(took))) => {
            Check::ok(NAME, format!("a notice was heard within {} ms", took.as_millis() + 1))
        }
        Ok(Ok(None)) => Check::warn(NAME, "the connection closed before a notice was heard", DIRECT),
        Ok(Err(error)) => {
            Check::warn(NAME, "there was no connection to listen on", DIRECT).details([causes(&error)])
        }
        Err(_) => {
            let seen = format!(
                "no notice was heard within {limit:?}, as behind a pooler in transaction mode, where LISTEN does not work"
            );
            Check::warn(NAME, seen, DIRECT)
        }
    }
}

/// How long a notice took; `None` if the connection closed before it came.
async fn round_trip(options: &ConnectOptions) -> Result<Option<Duration>, ListenError> {
    let mut listener = Listener::connect(options).await?;
    let text = format!("{:x}", getrandom::u64().unwrap_or_default());
    let sent = Instant::now();
    listener.test(&text).await?;
    loop {
        match listener.next().await {
            Some(Notice::Test(heard)) if heard == text => return Ok(Some(sent.elapsed())),
            Some(_) => {}
            None => return Ok(None),
        }
    }
}
