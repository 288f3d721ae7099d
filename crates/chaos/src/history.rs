//! What each process writes down: one line of JSON for each event, in a file of its own.
//!
//! A line is one write to a file that is only appended to. A process that is killed loses at most the line that it is about to
//! write. What is intended is written before it is done, and what came of it after.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::clock;

/// One attempt of one task, as a retain gave it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Fence {
    pub(crate) task: i64,
    pub(crate) attempt: i32,
    pub(crate) holder: i64,
}

/// A task that is to be created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    /// What its payload carries, and no other task's.
    pub(crate) mark: String,
    pub(crate) keyed: bool,
}

/// What a call that creates tasks came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// They are there, under these ids.
    Created(Vec<u64>),
    /// They are not, for certain.
    Refused(String),
    /// They may be.
    Unknown(String),
}

/// How a handler came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ran {
    Done,
    Retry,
    Failed,
    Snoozed,
    /// It was dropped, or panicked, before it said anything.
    Dropped,
}

/// The stored status of a task that is done, and of those that ended otherwise.
pub(crate) const RELEASED: u8 = 3;
pub(crate) const FAILED: u8 = 4;
pub(crate) const EXPIRED: u8 = 5;
pub(crate) const CANCELLED: u8 = 6;

/// What a worker was told of its release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fate {
    /// The attempt is recorded, with this status of the task.
    Recorded(u8),
    GivenBack,
    /// It belongs to another attempt, or to none.
    Lost,
    /// It is not known.
    Unknown,
}

/// Why a process came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    /// The driver killed it.
    Killed,
    /// The driver asked it to end, when the run was over.
    Asked,
    /// Nobody had it end.
    None,
}

/// How a process came to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Departure {
    pub(crate) process: String,
    pub(crate) reason: Reason,
    /// When it was started, by [`clock::now`].
    pub(crate) since: u64,
    /// `None` if it was ended by a signal.
    pub(crate) code: Option<i32>,
    /// What it said last, unless it was killed.
    pub(crate) words: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    /// The driver: the run begins. In microseconds, what the clock of the database, which is on the same host, tells now.
    Began { wall: i64 },
    /// A call is about to be made.
    Asked { call: u64, queue: String, priority: u8, tasks: Vec<Wanted> },
    /// It was answered.
    Answered { call: u64, answer: Answer },
    /// A handler begins; `retained_at` is when the task was retained, in microseconds by the clock of the database.
    Started { fence: Fence, mark: String, queue: String, retained_at: i64 },
    /// It has come to its end.
    Ended { fence: Fence, ran: Ran },
    /// Its release was answered.
    Told { fence: Fence, fate: Fate },
    /// The process that runs maintenance has run so many of its jobs.
    Maintained { jobs: u64 },
    /// The clock of the host was found to have jumped.
    Jumped { seconds: i64 },
    /// The driver: this process is sent a signal that stops it, has it go on, or kills it.
    Signalled { process: String, signal: String },
    /// The driver: this process is there no longer.
    Gone(Departure),
    /// The driver: PostgreSQL has crashed at some time since then, and lost what was not on disk.
    Crashed { since: u64 },
    /// The driver: a look at PostgreSQL that takes a moment was not done for so long, because it or the machine was busy.
    Slow { since: u64 },
    /// The driver: a fault begins, or is over.
    Fault { n: usize, kind: String, over: bool, note: String },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Microseconds, by [`clock::now`].
    pub(crate) at: u64,
    #[serde(flatten)]
    pub(crate) event: Event,
}

/// The history of this process.
#[derive(Debug, Clone)]
pub(crate) struct Writer(Arc<Mutex<File>>);

impl Writer {
    pub(crate) fn open(folder: &Path, process: &str) -> anyhow::Result<Self> {
        let path = folder.join(format!("{process}.jsonl"));
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Self(Arc::new(Mutex::new(file))))
    }

    /// Ends the process if it cannot be written: nothing may happen that is not in the history.
    pub(crate) fn note(&self, event: Event) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that the lines are in the order of their times.
        let line = serde_json::to_string(&Line { at: clock::now(), event });
        let written =
            line.map_err(std::io::Error::from).and_then(|line| file.write_all((line + "\n").as_bytes()));
        if let Err(error) = written {
            eprintln!("the history cannot be written: {error}");
            std::process::abort();
        }
    }
}

/// What one process wrote.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) process: String,
    pub(crate) lines: Vec<Line>,
}

/// Reads what all processes wrote.
pub(crate) fn read(folder: &Path) -> anyhow::Result<Vec<Account>> {
    let mut accounts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let (Some(process), Some("jsonl")) =
            (path.file_stem().and_then(|stem| stem.to_str()), path.extension().and_then(|end| end.to_str()))
        else {
            continue;
        };
        let text = fs::read_to_string(&path)?;
        let lines = lines(&text).with_context(|| format!("{} cannot be read", path.display()))?;
        accounts.push(Account { process: process.to_owned(), lines });
    }
    accounts.sort_by(|a, b| a.process.cmp(&b.process));
    Ok(accounts)
}

/// A last line that is not whole is that of a process which was killed while it wrote.
fn lines(text: &str) -> anyhow::Result<Vec<Line>> {
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    let read = |(at, line)| match serde_json::from_str(line) {
        Ok(line) => Ok(line),
        Err(error) => bail!("line {}: {error}", at + 1),
    };
    whole.lines().enumerate().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_but_for_a_line_that_was_cut_short() {
        let folder = tempfile::tempdir().unwrap();
        let writer = Writer::open(folder.path(), "worker-0.1").unwrap();
        let fence = Fence { task: 1, attempt: 2, holder: 3 };
        writer.note(Event::Ended { fence, ran: Ran::Done });
        writer.note(Event::Answered { call: 1, answer: Answer::Created(vec![1, 2]) });
        let path = folder.path().join("worker-0.1.jsonl");
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, whole.clone() + &whole[..20]).unwrap();
        let accounts = read(folder.path()).unwrap();
        assert_eq!(accounts[0].process, "worker-0.1");
        assert_eq!(accounts[0].lines.len(), 2);
        assert!(accounts[0].lines[0].at <= accounts[0].lines[1].at);
    }

    #[test]
    fn a_line_that_is_spoiled_in_the_middle_is_an_error() {
        assert!(lines("{\"at\":\n{}\n").is_err());
    }
}
