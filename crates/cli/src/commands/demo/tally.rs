//! What is learnt from the attempts as they end.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pgmill::{End, Ended, Status, Task};
use tokio_util::sync::CancellationToken;

/// Counts the ends of attempts, and says when every task has come to its end.
#[derive(Debug)]
pub(super) struct Tally {
    tasks: usize,
    finished: CancellationToken,
    counts: Mutex<Counts>,
}

/// What was counted so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    /// Tasks that came to their end.
    pub(super) finished: usize,
    /// Attempts that failed and were to be repeated.
    pub(super) retries: u64,
    /// Bytes that were read.
    pub(super) bytes: u64,
    /// From creation to the end, in milliseconds, of the tasks that were done.
    pub(super) latencies: Vec<f64>,
    /// From creation to the first retain, in milliseconds.
    pub(super) pickups: Vec<f64>,
}

impl Tally {
    /// Cancels `finished` when so many tasks have come to their end.
    pub(super) fn new(tasks: usize, finished: CancellationToken) -> Self {
        Self { tasks, finished, counts: Mutex::default() }
    }

    pub(super) fn tasks(&self) -> usize {
        self.tasks
    }

    pub(super) fn counts(&self) -> Counts {
        self.lock().clone()
    }

    pub(super) fn finished(&self) -> usize {
        self.lock().finished
    }

    pub(super) fn read(&self, bytes: u64) {
        self.lock().bytes += bytes;
    }

    pub(super) fn ended(&self, ended: &Ended<'_>) {
        let End::Recorded { status, task } = ended.end else { return };
        let mut counts = self.lock();
        if ended.task.attempt == 1 {
            counts.pickups.extend(millis(ended.task, ended.task.started_at));
        }
        if let (Status::Released, Some(task)) = (status, task) {
            counts.latencies.extend(millis(task, task.finished_at));
        }
        if status.is_finished() {
            counts.finished += 1;
        } else {
            counts.retries += 1;
        }
        if counts.finished == self.tasks {
            self.finished.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From the creation of a task, by the clock of the database.
fn millis(task: &Task, until: Option<jiff::Timestamp>) -> Option<f64> {
    until.map(|until| until.duration_since(task.created_at).as_secs_f64() * 1e3)
}
