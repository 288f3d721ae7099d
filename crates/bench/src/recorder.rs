//! A pool that remembers its attempts and tells of them at its end: to tell of each at once would slow it down.

use std::collections::HashMap;
use std::io::{self, BufWriter, Write};

use anyhow::Context as _;
use pgmill::{Context, End, Ended, Manager, Outcome, QueueOptions, Status, WorkerPool};
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio_util::sync::CancellationToken;

use crate::child::{now, say};

/// How many handlers run at once.
const WORKERS: usize = 64;
/// One in so many tasks fails at its first attempt, where some are to.
pub(crate) const FAILING: u64 = 10;

/// An attempt whose end is recorded. Times are nanoseconds by the clock of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Handled {
    pub(crate) id: u64,
    pub(crate) attempt: u32,
    /// Before when it was not to run, by the clock of the database; 0 if there was no such time.
    pub(crate) due: u64,
    /// When its handler began.
    pub(crate) started: u64,
    /// When the pool knew that its end was committed.
    pub(crate) recorded: u64,
    pub(crate) done: bool,
}

/// What a pool remembers until its end.
enum Memory {
    Started { id: u64, attempt: u32, due: u64, at: u64 },
    Recorded { id: u64, attempt: u32, at: u64, done: bool },
}

/// Works on any queue until the token is cancelled; then tells of its attempts, a line each.
pub(crate) async fn work(manager: &Manager, failing: bool, over: CancellationToken) -> anyhow::Result<()> {
    let (memory, mut memories) = mpsc::unbounded_channel();
    let failure = Outcome::retry("to be tried again")?;
    let ends = memory.clone();
    let pool = WorkerPool::builder(manager)
        .workers(WORKERS)
        .maintenance(false)
        .on_end(move |ended| ended_as(ended, &ends))
        .build()?;
    pool.register_raw(&[], QueueOptions::new(), move |context: Context| {
        let at = now();
        let nanoseconds = |at: i128| u64::try_from(at).unwrap_or_default();
        let due = context.task().delayed_at.map_or(0, |due| nanoseconds(due.as_nanosecond()));
        let (id, attempt) = (context.id(), context.attempt());
        // Nobody reads before the pool has ended.
        let _ = memory.send(Memory::Started { id, attempt, due, at });
        let fails = failing && attempt == 1 && id.is_multiple_of(FAILING);
        let outcome = if fails { failure.clone() } else { Outcome::done_empty() };
        async move { outcome }
    })
    .await?;
    say("ready");
    pool.run(over).await?;
    memories.close();
    let mut out = BufWriter::new(io::stdout().lock());
    let mut started = HashMap::new();
    while let Ok(memory) = memories.try_recv() {
        match memory {
            Memory::Started { id, attempt, due, at } => {
                started.insert((id, attempt), (due, at));
            }
            Memory::Recorded { id, attempt, at, done } => {
                let (due, began) =
                    started.remove(&(id, attempt)).context("an attempt ended that never began")?;
                writeln!(out, "{id} {attempt} {due} {began} {at} {done}")?;
            }
        }
    }
    out.flush()?;
    Ok(())
}

fn ended_as(ended: &Ended<'_>, memory: &UnboundedSender<Memory>) {
    if let End::Recorded { status, .. } = ended.end {
        let done = *status == Status::Released;
        let _ =
            memory.send(Memory::Recorded { id: ended.task.id, attempt: ended.task.attempt, at: now(), done });
    }
}

impl Handled {
    /// What a line of such a pool says.
    pub(crate) fn parse(line: &str) -> anyhow::Result<Self> {
        let mut words = line.split(' ');
        let mut word = || words.next().with_context(|| format!("the other process said {line:?}"));
        Ok(Self {
            id: word()?.parse()?,
            attempt: word()?.parse()?,
            due: word()?.parse()?,
            started: word()?.parse()?,
            recorded: word()?.parse()?,
            done: word()?.parse()?,
        })
    }
}
