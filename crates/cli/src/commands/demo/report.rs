//! How it went, counted in the database.

use std::time::Duration;

use anyhow::Context;
use comfy_table::{CellAlignment, Table, presets};
use pgmill::{Manager, Namespace, QueueError, QueueName, Status, TaskFilter};
use serde::Serialize;

use super::tally::Tally;

/// The tasks of a queue by status, as the database counts them.
#[derive(Debug, Default)]
pub(super) struct Counts([u64; Status::ALL.len()]);

impl Counts {
    pub(super) async fn read(manager: &Manager, queue: &str) -> Result<Self, QueueError> {
        let mut counts = Self::default();
        for status in manager.list_queue_statuses().await? {
            if status.queue.as_str() == queue
                && let Some(at) = Status::ALL.iter().position(|known| *known == status.status)
            {
                counts.0[at] = status.count;
            }
        }
        Ok(counts)
    }

    fn of(&self, wanted: impl Fn(Status) -> bool) -> u64 {
        Status::ALL.iter().zip(self.0).filter(|(status, _)| wanted(**status)).map(|(_, count)| count).sum()
    }

    pub(super) fn finished(&self) -> u64 {
        self.of(Status::is_finished)
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    namespace: String,
    queue: String,
    /// Tasks that were to be created.
    tasks: u64,
    released: u64,
    failed: u64,
    /// Attempts that failed and were repeated.
    retries: u64,
    /// Tasks that are neither done nor failed.
    unfinished: u64,
    /// Tasks that the database does not have.
    lost: u64,
    bytes: u64,
    seconds: f64,
    per_second: f64,
    /// From creation to the end of a task that was done.
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    /// From creation to the first retain.
    pickup_p50_ms: Option<f64>,
    pickup_p99_ms: Option<f64>,
}

impl Report {
    pub(super) async fn gather(
        manager: &Manager,
        namespace: &Namespace,
        queue: &str,
        tally: &Tally,
        took: Duration,
    ) -> anyhow::Result<Self> {
        let failure = "the results cannot be counted";
        let counts = Counts::read(manager, queue).await.context(failure)?;
        let stored = TaskFilter::new().queue(QueueName::new(queue)?).limit(0);
        let stored = manager.list_tasks(stored).await.context(failure)?.count;
        let tasks = tally.tasks() as u64;
        let mut seen = tally.counts();
        seen.latencies.sort_by(f64::total_cmp);
        seen.pickups.sort_by(f64::total_cmp);
        Ok(Self {
            namespace: namespace.to_string(),
            queue: queue.to_owned(),
            tasks,
            released: counts.of(|status| status == Status::Released),
            failed: counts.of(|status| status == Status::Failed),
            retries: seen.retries,
            unfinished: counts.of(|status| !matches!(status, Status::Released | Status::Failed)),
            lost: tasks.saturating_sub(stored),
            bytes: seen.bytes,
            seconds: rounded(took.as_secs_f64()),
            per_second: rounded(counts.finished() as f64 / took.as_secs_f64()),
            p50_ms: percentile(&seen.latencies, 0.50),
            p99_ms: percentile(&seen.latencies, 0.99),
            pickup_p50_ms: percentile(&seen.pickups, 0.50),
            pickup_p99_ms: percentile(&seen.pickups, 0.99),
        })
    }

    /// Whether every task is there, and has come to its end.
    pub(super) fn is_complete(&self) -> bool {
        self.lost == 0 && self.unfinished == 0 && self.released + self.failed == self.tasks
    }

    /// What is missing, if something is.
    pub(super) fn missing(&self) -> String {
        let Self { tasks, unfinished, lost, namespace, queue, .. } = self;
        format!(
            "of {tasks} tasks, {unfinished} are not finished and {lost} are not in the database; they stay in the \
             queue {queue} of the namespace {namespace}"
        )
    }

    pub(super) fn table(&self) -> String {
        let range = |p50: Option<f64>, p99: Option<f64>| match (p50, p99) {
            (Some(p50), Some(p99)) => format!("{p50:.1} ms / {p99:.1} ms"),
            _ => "none".to_owned(),
        };
        let mut rows = vec![
            ("tasks", self.tasks.to_string()),
            ("released", self.released.to_string()),
            ("failed", self.failed.to_string()),
            ("retries", self.retries.to_string()),
        ];
        if !self.is_complete() {
            rows.push(("unfinished", self.unfinished.to_string()));
            rows.push(("lost", self.lost.to_string()));
        }
        rows.extend([
            ("read", format!("{:.1} MB", self.bytes as f64 / 1e6)),
            ("time", format!("{:.2} s", self.seconds)),
            ("rate", format!("{:.0} tasks/s", self.per_second)),
            ("created to retained, p50 / p99", range(self.pickup_p50_ms, self.pickup_p99_ms)),
            ("created to released, p50 / p99", range(self.p50_ms, self.p99_ms)),
        ]);
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        for (name, value) in rows {
            table.add_row([name.to_owned(), value]);
        }
        if let Some(values) = table.column_mut(1) {
            values.set_cell_alignment(CellAlignment::Right);
        }
        table.to_string()
    }

    /// A shell command that lists the results; `psql` is the one that opens the database.
    pub(super) fn listing(&self, psql: &str) -> String {
        let Self { namespace, queue, .. } = self;
        format!(
            "{psql} -c \"SELECT t.id, t.attempt, t.payload->>'path' AS path, t.result FROM pgmill.any_task_v1 t \
             JOIN pgmill.queue q ON q.id = t.queue_id WHERE q.ns = '{namespace}' AND q.queue = '{queue}' \
             ORDER BY t.id LIMIT 20\""
        )
    }
}

/// The value that this share of the sorted values do not exceed.
fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().map(rounded)
}

/// To three places.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
