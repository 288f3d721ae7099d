//! Many tasks from lines.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use indicatif::{ProgressBar, ProgressStyle};
use pgmill::{Json, TaskMeta};
use pgmill_client::{Client, Error};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::lines::{LONGEST, Lines};

/// How many tasks a request creates at most, and how many bytes of lines it is made of, unless one line has more.
const BATCH: usize = 1_000;
const BATCH_BYTES: usize = 2 << 20;
/// The keys of a whole task.
const KEYS: [&str; 7] = ["queue", "payload", "delayed_at", "delay", "priority", "key", "traceparent"];

/// Creates tasks from lines.
#[derive(Debug)]
pub(super) struct Bulk {
    pub(super) client: Client,
    /// The queue of lines that name none.
    pub(super) queue: String,
    /// What all tasks have in common.
    pub(super) common: TaskMeta,
    /// Whether a line is a whole task, not a payload.
    pub(super) whole: bool,
}

/// Tasks that are created by one request.
#[derive(Debug, Default)]
struct Batch {
    /// The numbers of their lines.
    lines: Vec<u64>,
    tasks: Vec<(String, TaskMeta)>,
    bytes: usize,
}

/// Where the server says which task is at fault.
#[derive(Debug, Deserialize)]
struct Refusal {
    detail: Fault,
}

#[derive(Debug, Deserialize)]
struct Fault {
    index: usize,
}

impl Bulk {
    /// Creates a task for each line, and returns how many.
    ///
    /// # Errors
    ///
    /// What is wrong with which line, and how many tasks were created before it.
    pub(super) async fn run(&self, file: &Path) -> anyhow::Result<u64> {
        let mut lines = Lines::open(file)?;
        let bar = bar(lines.bytes);
        let mut batch = Batch::default();
        let (mut created, mut number) = (0, 0);
        while let Some(line) = lines.next().await {
            number += 1;
            let line = line.with_context(|| format!("{} cannot be read on", file.display()))?;
            match self.task(&line) {
                Ok(None) => {}
                Ok(Some((queue, task))) => {
                    if !batch.has_room_for(line.len()) {
                        self.create(&mut batch, &mut created).await?;
                    }
                    batch.push(number, line.len(), queue, task);
                }
                Err(reason) => {
                    self.create(&mut batch, &mut created).await?;
                    bail!("line {number}: {reason}; {}", before(created));
                }
            }
            bar.inc(line.len() as u64);
            bar.set_message(format!("{created} tasks"));
        }
        self.create(&mut batch, &mut created).await?;
        bar.finish_and_clear();
        Ok(created)
    }

    /// The task of a line; `None` if it is blank.
    fn task(&self, line: &[u8]) -> anyhow::Result<Option<(String, TaskMeta)>> {
        if line.len() > LONGEST {
            bail!("it is longer than {LONGEST} bytes");
        }
        let text = std::str::from_utf8(line).context("it is not UTF-8")?.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let (queue, task) = if self.whole {
            whole(text)?
        } else {
            (None, TaskMeta { payload: Some(Json::from_text(text)?), ..self.common.clone() })
        };
        task.validate(LONGEST)?;
        Ok(Some((queue.unwrap_or_else(|| self.queue.clone()), task)))
    }

    /// Creates what is in the batch, which is empty then.
    async fn create(&self, batch: &mut Batch, created: &mut u64) -> anyhow::Result<()> {
        let Batch { lines, tasks, .. } = std::mem::take(batch);
        let Err(error) = self.send(&tasks).await else {
            *created += tasks.len() as u64;
            return Ok(());
        };
        // Of tasks that may be there, none is sent again.
        let refused = error.body().filter(|_| !error.is_outcome_unknown());
        let fault = refused.and_then(|body| serde_json::from_str(body).ok());
        let fault = fault.map(|Refusal { detail }| detail.index);
        if let Some((index, line)) = fault.and_then(|index| Some((index, lines.get(index)?))) {
            // The lines before it are as good as those of an earlier request.
            if self.send(&tasks[..index]).await.is_ok() {
                *created += index as u64;
                bail!("line {line}: {}; {}", told(&error), before(*created));
            }
        }
        let (first, last) = (lines.first().copied().unwrap_or(0), lines.last().copied().unwrap_or(0));
        let lines = if first == last { format!("line {first}") } else { format!("lines {first} to {last}") };
        if error.is_outcome_unknown() {
            bail!("{lines}: {}; they may have been created all the same; {}", told(&error), before(*created));
        }
        bail!("{lines}: {}; {}", told(&error), before(*created));
    }

    async fn send(&self, tasks: &[(String, TaskMeta)]) -> Result<(), Error> {
        if tasks.is_empty() {
            return Ok(());
        }
        self.client.create_tasks(tasks.iter().map(|(queue, task)| (queue.as_str(), task))).await.map(drop)
    }
}

impl Batch {
    fn has_room_for(&self, bytes: usize) -> bool {
        self.tasks.is_empty() || (self.tasks.len() < BATCH && self.bytes + bytes <= BATCH_BYTES)
    }

    fn push(&mut self, line: u64, bytes: usize, queue: String, task: TaskMeta) {
        self.lines.push(line);
        self.tasks.push((queue, task));
        self.bytes += bytes;
    }
}

/// Reads a whole task, and the queue that it names.
fn whole(text: &str) -> anyhow::Result<(Option<String>, TaskMeta)> {
    let keys: BTreeMap<String, &RawValue> =
        serde_json::from_str(text).map_err(|error| anyhow!("it is no JSON object: {error}"))?;
    // A slip of the pen would create other tasks than were meant.
    if let Some(unknown) = keys.keys().find(|key| !KEYS.contains(&key.as_str())) {
        bail!("it has the unknown key {unknown:?} (allowed: {})", KEYS.join(", "));
    }
    let queue = keys.get("queue").map(|queue| serde_json::from_str(queue.get())).transpose();
    let queue = queue.context("its queue is no text")?;
    let task = serde_json::from_str(text).map_err(|error| anyhow!("it is no task: {error}"))?;
    Ok((queue, task))
}

fn told(error: &Error) -> String {
    error.reason().map_or_else(|| error.to_string(), str::to_owned)
}

fn before(created: u64) -> String {
    match created {
        0 => "no task was created".to_owned(),
        1 => "1 task was created, of the lines before".to_owned(),
        _ => format!("{created} tasks were created, of the lines before"),
    }
}

/// A bar on a terminal, and nothing elsewhere.
fn bar(bytes: Option<u64>) -> ProgressBar {
    let (bar, template) = match bytes {
        Some(bytes) => (ProgressBar::new(bytes), "{wide_bar} {bytes}/{total_bytes}, {msg}, {eta} left"),
        None => (ProgressBar::no_length(), "{spinner} {bytes}, {msg}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
