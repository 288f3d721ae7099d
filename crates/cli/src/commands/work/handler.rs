//! Joins tasks and commands: the environment of a command, and the line that tells how it ended.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pgmill::{Json, Outcome, Task};
use serde::Serialize;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::process::{Interrupt, Process, Reason};
use super::verdict::{self, Verdict};
use crate::output;

/// How long to keep a task that no command could be started for: an attempt a second, not thousands.
const BREATH: Duration = Duration::from_secs(1);

/// Runs the command for tasks, and tells how it ended.
#[derive(Debug)]
pub(super) struct CommandHandler {
    process: Process,
    report: Report,
    /// Ends commands at once.
    now: CancellationToken,
    running: AtomicUsize,
    /// Why attempts did not succeed, from the end of the command until that is recorded: by task and attempt.
    notes: Mutex<HashMap<(u64, u32), String>>,
}

/// A task that the command is to run for, wherever it came from.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    pub(super) task: &'a Task,
    /// The name that the task was retained under.
    pub(super) worker: &'a str,
    /// Cancelled when the command is to end.
    pub(super) cancelled: CancellationToken,
    /// When the task expires.
    pub(super) deadline: Option<Instant>,
}

/// What is printed for an attempt that has ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum Report {
    Nothing,
    Lines,
    Json,
}

/// The line that `--json` prints.
#[derive(Debug, Serialize)]
struct Line<'a> {
    id: u64,
    queue: &'a str,
    status: &'a str,
    attempt: u32,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl CommandHandler {
    /// Once `now` is cancelled, commands are killed.
    pub(super) fn new(process: Process, report: Report, now: CancellationToken) -> Self {
        Self { process, report, now, running: AtomicUsize::new(0), notes: Mutex::default() }
    }

    /// How many commands run.
    pub(super) fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// Runs the command for a task.
    pub(super) async fn run(&self, attempt: &Attempt<'_>) -> Outcome {
        let _running = Counted::new(&self.running);
        let interrupt = Interrupt { soon: attempt.cancelled.clone(), now: self.now.clone() };
        let Verdict { outcome, note } = self.verdict(attempt, &interrupt).await;
        if let Some(note) = note {
            self.notes().insert(key(attempt.task), note);
        }
        outcome
    }

    async fn verdict(&self, attempt: &Attempt<'_>, interrupt: &Interrupt) -> Verdict {
        let task = attempt.task;
        let input = task.payload.as_ref().map_or("null", Json::as_str);
        let variables = [
            ("PGMILL_TASK_ID", task.id.to_string()),
            ("PGMILL_QUEUE", task.queue.to_string()),
            ("PGMILL_NAMESPACE", task.namespace.to_string()),
            ("PGMILL_ATTEMPT", task.attempt.to_string()),
            ("PGMILL_RETRIES", task.retries.to_string()),
            ("PGMILL_WORKER", attempt.worker.to_owned()),
        ];
        match self.process.run(input, &variables, interrupt).await {
            Ok(run) => {
                let expired = attempt.deadline.is_some_and(|deadline| deadline <= Instant::now());
                if expired && run.reason == Reason::Interrupted && !run.status.success() {
                    return Verdict::expired();
                }
                verdict::of(&run, self.process.timeout)
            }
            Err(error) => {
                // No fault of the task, so it costs it no attempt.
                tracing::error!("the command {} cannot be run: {error}", self.process.program.display());
                interrupt.soon.run_until_cancelled(sleep(BREATH)).await;
                Verdict { outcome: Outcome::GiveBack, note: Some(format!("not run: {error}")) }
            }
        }
    }

    /// Tells of an attempt that has ended, and how: with a status of the task, or in a word of our own. None of them is
    /// told that could not be recorded: these are told all together.
    pub(super) fn ended(&self, task: &Task, status: Option<&str>, ran: Duration) {
        let note = self.notes().remove(&key(task));
        let Some(status) = status else { return };
        let Task { id, queue, attempt, .. } = task;
        let seconds = ran.as_secs_f64();
        match self.report {
            Report::Nothing => {}
            Report::Lines => {
                let note = note.map(|note| format!(": {note}")).unwrap_or_default();
                output::line(&format!("{id} {queue} {status} attempt={attempt} {seconds:.3}s{note}"));
            }
            Report::Json => output::json_line(&Line {
                id: *id,
                queue: queue.as_str(),
                status,
                attempt: *attempt,
                seconds: (seconds * 1e6).round() / 1e6,
                error: note.as_deref(),
            }),
        }
    }

    /// A panic while it was held leaves it as true as before.
    fn notes(&self) -> MutexGuard<'_, HashMap<(u64, u32), String>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What tells attempts apart.
fn key(task: &Task) -> (u64, u32) {
    (task.id, task.attempt)
}

/// One of those that are counted, until it is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
