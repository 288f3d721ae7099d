//! What happens to bytes on their way: delayed, held, swallowed or passed on.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Which way bytes go through the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the server: requests.
    ToServer,
    /// From the server to the client: answers and notifications.
    ToClient,
    /// Both ways.
    Both,
}

impl Direction {
    pub(super) fn ways(self) -> &'static [Way] {
        match self {
            Self::ToServer => &[Way::ToServer],
            Self::ToClient => &[Way::ToClient],
            Self::Both => &[Way::ToServer, Way::ToClient],
        }
    }
}

/// One of the two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    ToServer,
    ToClient,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    held: bool,
    swallowing: bool,
    delay: Duration,
}

/// The gate of one way, for all connections of a proxy.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: watch::Sender<State>,
}

impl Gate {
    pub(super) fn hold(&self, held: bool) {
        self.state.send_modify(|state| state.held = held);
    }

    pub(super) fn swallow(&self, swallowing: bool) {
        self.state.send_modify(|state| state.swallowing = swallowing);
    }

    pub(super) fn delay(&self, delay: Duration) {
        self.state.send_modify(|state| state.delay = delay);
    }

    /// Waits until what arrived at this time may go on.
    pub(super) async fn pass(&self, arrived: Instant) {
        let mut state = self.state.subscribe();
        loop {
            let State { held, delay, .. } = *state.borrow_and_update();
            let due = arrived + delay;
            if held {
                // The gate outlives its waiters, so there is a next change or none.
                let _ = state.changed().await;
            } else if due > Instant::now() {
                tokio::select! {
                    () = tokio::time::sleep_until(due) => {}
                    _ = state.changed() => {}
                }
            } else {
                return;
            }
        }
    }

    pub(super) fn swallows(&self) -> bool {
        self.state.borrow().swallowing
    }
}
