//! Fires the tickers that make tasks, in every process that runs [`Manager::run`].

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::claimer::Claimer;
use super::puller::{PERIOD, Pulled, Puller};
use crate::manager::Manager;

/// How many ticks one statement takes.
const BATCH: u32 = 100;

impl Manager {
    /// Makes the tasks of tickers with a target queue, of all namespaces, until the token is cancelled.
    pub(crate) async fn fire_tickers(&self, shutdown: &CancellationToken) {
        let claimer = Claimer::new(Arc::clone(&self.shared), None, None, BATCH);
        let mut puller = Puller::new("tickers cannot be fired", claimer, PERIOD, shutdown.clone());
        let firing = async { while matches!(puller.pull(BATCH).await, Pulled::Ticks(_)) {} };
        // A statement that is under way makes its tasks or does not, whoever waits for it: at its end nothing is lost but
        // that workers of this process are woken.
        shutdown.run_until_cancelled(firing).await;
    }
}
