//! When to look for tasks again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pgmill_schema::NameError;
use tokio::time::Instant;

use super::waiting::{Arrived, Ended, Waiting};
use crate::jitter::jittered;
use crate::manager::Manager;

/// How long it is waited at most: what nobody told of is found then.
const LONGEST: Duration = Duration::from_secs(4);
/// The same while this process is not told by others.
const LONGEST_DEAF: Duration = Duration::from_secs(1);
/// How long it is waited first after a run of tasks: there may be more, which another process was looking at just then.
const SHORTEST: Duration = Duration::from_millis(10);
/// After a shorter pause than this, what is found may be what another process was looking at the last time.
const QUIET: Duration = Duration::from_millis(500);
/// How soon a task that is due and was not to be had is looked for again.
const SOON: Duration = Duration::from_millis(5);
/// How long it is waited without a word to the database. While tasks come one after the other, none is needed.
const MOMENT: Duration = Duration::from_millis(20);
/// How long others are to tell this process of tasks, and how much of that must be left for it not to say so again.
const TOLD_FOR: Duration = Duration::from_secs(30);
const RENEW_BEFORE: Duration = Duration::from_secs(15);

/// Tells when it is time to look for tasks of some queues.
///
/// Made by [`Manager::arrivals`], before the first look: what comes from then on is not missed.
pub struct Arrivals {
    manager: Manager,
    waiting: Arc<Waiting>,
    registered: Option<Registered>,
    pause: Duration,
    /// When the last wait was over; and whether tasks were found since, of which nobody had told.
    resumed: Instant,
    told: bool,
    /// The last wait ended because a task was due.
    due: bool,
    found: bool,
    /// How long to wait where a task is due and yet was not found, for somebody else has its row.
    retry: Duration,
    /// The last wait ended by itself, after a while in which nobody told of anything.
    unprompted: bool,
}

/// That others tell this process, over which of its listeners, and until when.
#[derive(Clone, Copy)]
struct Registered {
    listener: u64,
    until: Instant,
}

impl Manager {
    /// Watches one, several or (`&[]`) any queue of the namespace for tasks: those that this process creates, gives back or
    /// tries again, those that others do, and those that become due.
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
        self.shared.listening.begin(&self.shared.wakes);
        let waiting = self.shared.wakes.subscribe(self.demand(queues)?);
        Ok(Arrivals {
            manager: self.clone(),
            waiting,
            registered: None,
            pause: SHORTEST,
            resumed: Instant::now(),
            told: false,
            due: false,
            found: false,
            retry: SOON,
            unprompted: false,
        })
    }

    /// Whether this process is told at once of tasks that others create. While it is not, whoever waits for
    /// [`arrivals`](Self::arrivals) looks every second. Before the first of them it is not.
    pub fn is_listening(&self) -> bool {
        self.shared.wakes.listens().is_some()
    }
}

impl Arrivals {
    /// Waits until a task may have come or become due since this was last called, at most 4 s; to be called after a look
    /// that found nothing. Returns where to look.
    ///
    /// Dropping the future loses nothing.
    pub async fn wait(&mut self) -> Arrived {
        self.unprompted = false;
        // One task at a time that is told of is no reason to look more often than usual.
        if std::mem::take(&mut self.found) && (!self.told || self.resumed.elapsed() > MOMENT) {
            self.pause = SHORTEST;
        }
        self.due = false;
        let (told, arrived) = self.next().await;
        self.told = told;
        self.resumed = Instant::now();
        arrived
    }

    /// Whether somebody told, and where to look.
    async fn next(&mut self) -> (bool, Arrived) {
        let listener = self.manager.shared.wakes.listens();
        let told = self.registered.filter(|it| Some(it.listener) == listener && it.until > Instant::now());
        if let (Some(listener), None) = (listener, told)
            && self.register(listener).await
        {
            // What was committed before was told to nobody: one more look.
            return (false, Arrived::Anywhere);
        }
        match self.waiting.wait(Instant::now() + MOMENT).await {
            Ended::Arrived(arrived) => return (true, arrived),
            Ended::Due => return (self.due(), Arrived::Anywhere),
            Ended::Quiet => {}
        }
        match (listener, told) {
            (Some(listener), Some(it)) if it.until < Instant::now() + RENEW_BEFORE => {
                self.register(listener).await;
            }
            _ => drop(self.ask(None).await),
        }
        match self.waiting.wait(Instant::now() + jittered(self.pause)).await {
            Ended::Arrived(arrived) => (true, arrived),
            Ended::Due => (self.due(), Arrived::Anywhere),
            Ended::Quiet => {
                let longest = if listener.is_some() { LONGEST } else { LONGEST_DEAF };
                let to_be_told = told.is_some() && self.manager.shared.wakes.listens() == listener;
                self.unprompted = to_be_told && self.pause >= QUIET;
                self.pause = (self.pause * 2).min(longest);
                (false, Arrived::Anywhere)
            }
        }
    }

    /// Tasks were found: unless they were told of one by one, the next pauses are short ones again.
    pub fn found(&mut self) {
        self.found = true;
        // Whether a task was due that can be had, or others were found meanwhile, is not known.
        if !self.due {
            self.retry = SOON;
        }
        self.unprompted = false;
    }

    /// Whether the last wait ended only because it was time to look, though this process was to be told of tasks: a new one
    /// that is found now has come without a notice of it.
    pub(crate) fn is_unprompted(&self) -> bool {
        self.unprompted
    }

    /// Has others tell this process for a while, and tells whether they do now.
    async fn register(&mut self, listener: u64) -> bool {
        let until = Instant::now() + TOLD_FOR;
        let done = self.ask(Some(TOLD_FOR)).await;
        if done {
            self.registered = Some(Registered { listener, until });
        }
        done
    }

    /// A task is due, as was known.
    fn due(&mut self) -> bool {
        self.due = true;
        true
    }

    /// Asks when the next task is due. It is not told when that fails: then there is the pause.
    async fn ask(&mut self, told_for: Option<Duration>) -> bool {
        let shared = &self.manager.shared;
        match shared.store.sleep(shared.wakes.process, &self.waiting.demand, told_for).await {
            Ok(None) => true,
            Ok(Some(due_in)) => {
                let due_in = if due_in.is_zero() { self.retry } else { due_in };
                self.retry = if due_in == self.retry { (self.retry * 2).min(LONGEST_DEAF) } else { SOON };
                self.waiting.due_in(due_in);
                true
            }
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "it is not known when the next task is due"
                );
                false
            }
        }
    }
}

impl fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrivals").field("demand", &self.waiting.demand).finish_non_exhaustive()
    }
}
