//! When to look for tasks again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pgmill_schema::NameError;
use tokio::time::Instant;

use crate::manager::Manager;
use crate::wakes::{Arrived, Waiting};

/// How long it is waited at most: what nobody told of is found then.
const LONGEST: Duration = Duration::from_secs(4);
/// How long it is waited first, when tasks were just there.
const SHORTEST: Duration = Duration::from_millis(100);

/// Tells when it is time to look for tasks of some queues.
///
/// Made by [`Manager::arrivals`], before the first look: what comes from then on is not missed.
pub struct Arrivals {
    waiting: Arc<Waiting>,
    pause: Duration,
}

impl Manager {
    /// Watches one, several or (`&[]`) any queue of the namespace for tasks.
    ///
    /// # Errors
    /// If a name is one no queue can have.
    ///
    /// ```no_run
    /// # async fn example(manager: pgmill::Manager) -> Result<(), Box<dyn std::error::Error>> {
    /// use pgmill::Outcome;
    ///
    /// let mut arrivals = manager.arrivals(&["emails"])?;
    /// loop {
    ///     while let Some(task) = manager.next_task("worker-1", &["emails"]).await? {
    ///         arrivals.found();
    ///         manager.release_task(&task, Outcome::done(&"sent")?).await?;
    ///     }
    ///     arrivals.wait().await;
    /// }
    /// # }
    /// ```
    pub fn arrivals(&self, queues: &[&str]) -> Result<Arrivals, NameError> {
        let waiting = self.shared.wakes.subscribe(self.demand(queues)?);
        Ok(Arrivals { waiting, pause: SHORTEST })
    }
}

impl Arrivals {
    /// Waits until a task may have come or become due since this was last called, at most 4 s; to be called after a look
    /// that found nothing. Returns where to look.
    pub async fn wait(&mut self) -> Arrived {
        match self.waiting.wait(Instant::now() + self.pause).await {
            Some(arrived) => arrived,
            None => {
                self.pause = (self.pause * 2).min(LONGEST);
                Arrived::Anywhere
            }
        }
    }

    /// Tasks were found: the next pauses are short ones again.
    pub fn found(&mut self) {
        self.pause = SHORTEST;
    }
}

impl fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrivals").field("demand", &self.waiting.demand).finish_non_exhaustive()
    }
}
