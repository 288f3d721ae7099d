//! What tasks cost the server and its clients, besides time.
//!
//! ```text
//!   Bench::meter ──▶ what is to be measured ──▶ Meter::stop(n) ──▶ Costs ──▶ Figure::costing
//!                    └ a sampler looks on: waits, dead versions, progress
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::bench::{Bench, WalPosition};
use crate::cpu::Cpu;
use crate::sampler::{Sampler, Samples};
use crate::series::Series;

/// Reading more WAL than this would take longer than what is measured.
const READABLE: i64 = 2 << 30;

/// What each task cost, and what was seen meanwhile. `None` is what could not be known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Costs {
    pub(crate) wal_bytes_per_task: Option<f64>,
    pub(crate) commits_per_task: Option<f64>,
    pub(crate) dead_per_task: Option<f64>,
    pub(crate) hot_share: Option<f64>,
    pub(crate) server_cpu_s_per_million: Option<f64>,
    pub(crate) client_cpu_s_per_million: Option<f64>,
    pub(crate) waits: Option<BTreeMap<String, f64>>,
    pub(crate) series: Vec<Series>,
}

/// Measures costs from its start until it is stopped.
#[derive(Debug)]
pub(crate) struct Meter<'a> {
    bench: &'a Bench,
    before: Counters,
    progress: Progress,
    sampler: Sampler,
}

/// How many tasks are done so far, told by whoever knows. Rates over time are made of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress(Arc<AtomicU64>);

/// What only ever grows.
#[derive(Debug)]
struct Counters {
    wal: WalPosition,
    transaction: i64,
    cpu: Cpu,
}

/// What the WAL tells of the time between.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WalRecords {
    pub(crate) commits: i64,
    pub(crate) updates: i64,
    pub(crate) hot_updates: i64,
    pub(crate) deletes: i64,
    /// The bytes of images of pages.
    pub(crate) images: i64,
}

impl Progress {
    pub(crate) fn add(&self, tasks: u64) {
        self.0.fetch_add(tasks, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl<'a> Meter<'a> {
    pub(crate) async fn start(bench: &'a Bench) -> anyhow::Result<Self> {
        let progress = Progress::default();
        let sampler = Sampler::start(bench.connect().await?, progress.clone());
        Ok(Self { bench, before: Counters::read(bench).await?, progress, sampler })
    }

    /// What tells of tasks that are done.
    pub(crate) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// The costs of so many tasks.
    pub(crate) async fn stop(self, tasks: u64) -> anyhow::Result<Costs> {
        let after = Counters::read(self.bench).await?;
        let samples = self.sampler.stop().await?;
        let records = if after.wal.bytes - self.before.wal.bytes <= READABLE {
            self.bench.wal_records(&self.before.wal, &after.wal).await
        } else {
            None
        };
        Ok(costs(tasks, &self.before, &after, records, samples))
    }
}

impl Counters {
    async fn read(bench: &Bench) -> anyhow::Result<Self> {
        let cpu = Cpu::now(bench.postmaster)?;
        Ok(Self { wal: bench.wal().await?, transaction: bench.next_transaction().await?, cpu })
    }
}

fn costs(
    tasks: u64,
    before: &Counters,
    after: &Counters,
    records: Option<WalRecords>,
    samples: Samples,
) -> Costs {
    let each = |count: i64| (tasks > 0).then(|| count as f64 / tasks as f64);
    let cpu = |seconds: f64| (tasks > 0).then(|| seconds * 1e6 / tasks as f64);
    let server = before.cpu.server.zip(after.cpu.server);
    // Where the WAL cannot be read: transactions that write are numbered one by one.
    let commits = records.map_or(after.transaction - before.transaction, |it| it.commits);
    Costs {
        wal_bytes_per_task: each(after.wal.bytes - before.wal.bytes),
        commits_per_task: each(commits),
        dead_per_task: records.and_then(|it| each(it.updates + it.hot_updates + it.deletes)),
        hot_share: records.and_then(WalRecords::hot_share),
        server_cpu_s_per_million: server
            .and_then(|(before, after)| cpu(after.saturating_sub(before).as_secs_f64())),
        client_cpu_s_per_million: cpu(after.cpu.client.saturating_sub(before.cpu.client).as_secs_f64()),
        waits: samples.waits.mix(),
        series: samples.series,
    }
}

impl WalRecords {
    /// What part of the updates touched no index; `None` without updates.
    fn hot_share(self) -> Option<f64> {
        let all = self.updates + self.hot_updates;
        (all > 0).then(|| self.hot_updates as f64 / all as f64)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn counters(bytes: i64, transaction: i64, server: Option<u64>, client: u64) -> Counters {
        let cpu = Cpu { server: server.map(Duration::from_millis), client: Duration::from_millis(client) };
        Counters { wal: WalPosition { bytes, text: String::new() }, transaction, cpu }
    }

    #[test]
    fn costs_are_those_of_one_task_and_processors_those_of_a_million() {
        let (before, after) = (counters(100, 5, Some(10), 0), counters(2_100, 9, Some(50), 20));
        let records = WalRecords { commits: 2, updates: 1, hot_updates: 3, deletes: 4, images: 0 };
        let costs = costs(4, &before, &after, Some(records), Samples::default());
        assert_eq!(costs.wal_bytes_per_task, Some(500.0));
        assert_eq!(costs.commits_per_task, Some(0.5));
        assert_eq!((costs.dead_per_task, costs.hot_share), (Some(2.0), Some(0.75)));
        assert_eq!(costs.server_cpu_s_per_million, Some(10_000.0));
        assert_eq!(costs.client_cpu_s_per_million, Some(5_000.0));
    }

    #[test]
    fn without_the_wal_commits_are_transactions_and_what_cannot_be_known_is_left_out() {
        let (before, after) = (counters(0, 5, None, 0), counters(0, 9, Some(1), 0));
        let costs = costs(4, &before, &after, None, Samples::default());
        assert_eq!(costs.commits_per_task, Some(1.0));
        assert_eq!((costs.dead_per_task, costs.server_cpu_s_per_million), (None, None));
        let nothing = super::costs(0, &before, &after, None, Samples::default());
        assert_eq!((nothing.wal_bytes_per_task, nothing.client_cpu_s_per_million), (None, None));
    }
}
