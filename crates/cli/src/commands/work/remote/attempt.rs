//! One attempt: the command runs while heartbeats keep its task, until the release is recorded.
//!
//! A lease counts from before the request that asked for it, so that it ends here no later than on the server, whatever
//! the clocks say. A server that is away may come back in time: the command goes on, and its release is sent again and
//! again, until shortly before the lease lapses. Then the command is stopped, for another worker may begin its task.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pgmill::{Json, Outcome, Task};
use pgmill_client::{Client, Error, Held, RetainedTask};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::is_final;
use crate::commands::work::handler::{Attempt, CommandHandler};
use crate::payload;

/// How long before a lease lapses its command is asked to end, at most; less for short leases.
const MARGIN: Duration = Duration::from_secs(2);
/// The pause between two tries of a release.
const BREATH: Duration = Duration::from_millis(500);

/// Runs commands for tasks, and keeps the tasks meanwhile.
pub(super) struct Keeper {
    /// Its requests are over before a lease lapses.
    pub(super) client: Client,
    pub(super) handler: Arc<CommandHandler>,
    pub(super) worker: String,
    pub(super) lease: Duration,
    /// Cancelled when commands are to end.
    pub(super) stop: CancellationToken,
    /// Cancelled when what is not recorded yet is given up.
    pub(super) hurry: CancellationToken,
}

/// What became of an attempt.
pub(super) enum End {
    /// It is recorded or lost, and told.
    Told,
    /// It could not be recorded.
    Unrecorded,
}

/// Why the keeping of a lease has come to its end.
enum Lost {
    /// The server said so.
    Told,
    /// The server could not be asked in time.
    Lapsing,
}

/// When the lease lapses, as far as is known.
struct Until(Mutex<Instant>);

impl Until {
    fn get(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, until: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

impl Keeper {
    /// Runs the command for a task that was asked for at that time.
    pub(super) async fn attempt(self: Arc<Self>, retained: RetainedTask, asked: Instant) -> End {
        let held = Held::from(&retained);
        let mut task = retained.task;
        task.payload = task.payload.as_ref().map(payload::line);
        let task = &task;
        let started = Instant::now();
        // The answer to a long poll may have been asked for long ago, and cannot tell how long it was on its way. Taken to
        // be a third of a lease old, it is extended at once.
        let asked = asked.max(started - self.lease / 3);
        let until = Until(Mutex::new(asked + self.lease));
        let cancelled = self.stop.child_token();
        let deadline = time_to_live(task).map(|left| started + left);
        let attempt = Attempt { task, worker: &self.worker, cancelled: cancelled.clone(), deadline };
        let expiry = cancel_at(deadline, &cancelled);

        let run = self.handler.run(&attempt);
        tokio::pin!(run);
        let lost = tokio::select! {
            lost = self.keep(&held, &until) => Some(lost),
            never = expiry => match never {},
            outcome = &mut run => {
                return self.end(&held, task, outcome, &until, started.elapsed()).await;
            }
        };
        cancelled.cancel();
        let outcome = run.await;
        match lost {
            Some(Lost::Lapsing) => self.end(&held, task, outcome, &until, started.elapsed()).await,
            _ => self.told(task, "lost", started.elapsed()),
        }
    }

    /// Releases the task, keeping it until that is done.
    async fn end(&self, held: &Held, task: &Task, outcome: Outcome, until: &Until, ran: Duration) -> End {
        let release = self.release(held, task, outcome, until);
        tokio::pin!(release);
        let released = tokio::select! {
            released = &mut release => released,
            // The release says itself whether it was in time.
            _ = self.keep(held, until) => release.await,
        };
        match released {
            Some(status) => self.told(task, status, ran),
            None => {
                self.handler.ended(task, None, ran);
                End::Unrecorded
            }
        }
    }

    fn told(&self, task: &Task, status: &str, ran: Duration) -> End {
        if status == "lost" {
            tracing::warn!(task.id, "its lease was lost: the result of this attempt is dropped");
        }
        self.handler.ended(task, Some(status), ran);
        End::Told
    }

    /// Extends the lease until that cannot be done any more.
    async fn keep(&self, held: &Held, until: &Until) -> Lost {
        let mut next = until.get() - self.lease + self.lease / 3;
        let margin = MARGIN.min(self.lease / 6);
        loop {
            sleep_until(next).await;
            let asked = Instant::now();
            let over = sleep_until(until.get() - margin);
            let beat = tokio::select! {
                beat = self.client.heartbeat(held.clone(), Some(self.lease)) => beat,
                () = over => return Lost::Lapsing,
            };
            match beat {
                Ok(_) => {
                    until.set(asked + self.lease);
                    next = asked + self.lease / 3;
                }
                Err(error) if is_over(&error) => return Lost::Told,
                Err(error) => {
                    tracing::debug!("a lease cannot be extended: {error}");
                    next = (Instant::now() + self.lease / 12).min(until.get() - margin);
                }
            }
        }
    }

    /// Ends the attempt, trying again until the lease has lapsed, and returns how it ended, if that is known.
    async fn release(
        &self,
        held: &Held,
        task: &Task,
        mut outcome: Outcome,
        until: &Until,
    ) -> Option<&'static str> {
        // Whether an earlier try may have got through.
        let mut maybe = false;
        loop {
            let error = match self.client.release_task(held.clone(), &outcome).await {
                Ok(_) if outcome == Outcome::GiveBack => return Some("given_back"),
                Ok(now) => return Some(now.status.map_or("released", |status| status.as_str())),
                Err(error) => error,
            };
            if is_over(&error) {
                return Some(if maybe { self.look(task, &outcome).await } else { "lost" });
            }
            maybe |= error.is_outcome_unknown();
            if is_final(&error) {
                outcome = refusal(&error, &outcome)?;
                continue;
            }
            tracing::debug!("a release failed: {error}");
            if until.get() <= Instant::now() || self.hurry.is_cancelled() {
                return None;
            }
            self.hurry.run_until_cancelled(sleep(BREATH)).await;
        }
    }

    /// What an attempt came to whose release may have got through, and that is over now.
    async fn look(&self, task: &Task, outcome: &Outcome) -> &'static str {
        match self.client.get_task(task.id).await {
            Ok(now) if now.attempt == task.attempt => match (now.status, outcome) {
                (_, Outcome::GiveBack) => "given_back",
                (Some(status), _) => status.as_str(),
                _ => "lost",
            },
            _ => "lost",
        }
    }
}

/// Whether the attempt is over: the server knows another one, or none.
fn is_over(error: &Error) -> bool {
    error.is_lease_stale() || error.is_not_found()
}

/// How a task is ended whose outcome the server refuses to take, as one that is too long.
fn refusal(error: &Error, outcome: &Outcome) -> Option<Outcome> {
    if !matches!(error.status(), Some(400 | 413)) {
        return None;
    }
    let told = error.reason().map_or_else(|| error.to_string(), str::to_owned);
    let told = format!("the server refused the result: {told}");
    let outcome = outcome.result().is_some_and(|result| result.as_str().len() > told.len() + 2);
    outcome.then(|| Outcome::Failed(Json::encode(&told).unwrap_or_else(|_| Json::null())))
}

/// How long the task had to live when it was retained, both by the clock of the database.
fn time_to_live(task: &Task) -> Option<Duration> {
    Duration::try_from(task.dies_at?.duration_since(task.started_at?)).ok()
}

async fn cancel_at(deadline: Option<Instant>, token: &CancellationToken) -> std::convert::Infallible {
    if let Some(deadline) = deadline {
        sleep_until(deadline).await;
        token.cancel();
    }
    std::future::pending().await
}
