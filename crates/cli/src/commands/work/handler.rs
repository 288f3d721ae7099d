//! Joins tasks and commands: the environment of a command, and the line that tells how it ended.

use std::time::Duration;

use pgmill::{Json, Outcome, Task};
use serde::Serialize;
use tokio::time::sleep;

use super::verdict;
use crate::output;
use crate::worker::{End, Ended, Handler, Interrupt, Process, Verdict};

/// How long to keep a task that no command could be started for: an attempt a second, not thousands.
const BREATH: Duration = Duration::from_secs(1);

/// Runs the command.
#[derive(Debug)]
pub(super) struct CommandHandler {
    pub(super) process: Process,
    /// The name of the worker.
    pub(super) worker: String,
    pub(super) report: Report,
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

impl Handler for CommandHandler {
    async fn run(&self, task: &Task, interrupt: &Interrupt) -> Verdict {
        let input = task.payload.as_ref().map_or("null", Json::as_str);
        let variables = [
            ("PGMILL_TASK_ID", task.id.to_string()),
            ("PGMILL_QUEUE", task.queue.to_string()),
            ("PGMILL_NAMESPACE", task.namespace.to_string()),
            ("PGMILL_ATTEMPT", task.attempt.to_string()),
            ("PGMILL_RETRIES", task.retries.to_string()),
            ("PGMILL_WORKER", self.worker.clone()),
        ];
        match self.process.run(input, &variables, interrupt).await {
            Ok(run) => verdict::of(&run, self.process.timeout),
            Err(error) => {
                // No fault of the task, so it costs it no attempt.
                tracing::error!("the command {} cannot be run: {error}", self.process.program.display());
                interrupt.soon.run_until_cancelled(sleep(BREATH)).await;
                Verdict { outcome: Outcome::GiveBack, note: Some(format!("not run: {error}")) }
            }
        }
    }

    fn ended(&self, ended: &Ended) {
        let status = match &ended.end {
            End::Recorded { status, .. } => status.as_str(),
            End::GivenBack => "given_back",
            End::Lost => "lost",
        };
        let Ended { retained: Task { id, queue, attempt, .. }, note, .. } = ended;
        let seconds = ended.took.as_secs_f64();
        match self.report {
            Report::Nothing => {}
            Report::Lines => {
                let note = note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
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
}
