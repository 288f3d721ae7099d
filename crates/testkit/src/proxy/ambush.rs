//! A mishap that belongs to whoever armed it, and ends with that.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::cut::Armed;
use super::hub::Hub;

/// A mishap that waits for its request, and is taken back when this is dropped: it cannot happen later, when nobody
/// reckons with it. Made by [`ChaosProxy::ambush`](super::ChaosProxy::ambush).
#[must_use = "it is taken back when it is dropped"]
pub struct Ambush {
    armed: Armed,
    hub: Arc<Hub>,
}

impl Ambush {
    pub(super) fn new(armed: Armed, hub: Arc<Hub>) -> Self {
        Self { armed, hub }
    }

    /// Waits until it has happened, for as long as that, and takes it back then. Tells whether it happened: a request came
    /// that it was for, and got as far as its point. It is told as soon as a delay or a silence has begun.
    pub async fn within(mut self, patience: Duration) -> bool {
        match timeout(patience, &mut self.armed.happened).await {
            Ok(happened) => happened.is_ok(),
            Err(_) if self.armed.settled.take_back() => false,
            // It came to its point at this very moment.
            Err(_) => (&mut self.armed.happened).await.is_ok(),
        }
    }
}

impl Drop for Ambush {
    fn drop(&mut self) {
        if self.armed.settled.take_back() || self.armed.settled.is_taken_back() {
            self.hub.arms().tidy();
        }
    }
}

impl fmt::Debug for Ambush {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ambush").field("armed", &self.armed).finish_non_exhaustive()
    }
}
