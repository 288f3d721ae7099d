//! The two statements of a drain, sent in turn by clients that do nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use pgmill::Status;
use tokio::task::JoinSet;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Statement};

use crate::bench::Bench;
use crate::figure::Limit;
use crate::measure::per_second;
use crate::workloads::{History, fill};

const RETAIN: &str = include_str!("../../sql/retain_limit.sql");
const RELEASE: &str = include_str!("../../sql/release_limit.sql");
const CONNECTIONS: [usize; 3] = [1, 2, 4];
/// The rows of a statement.
const BATCH: i32 = 100;
/// How long a client waits that found nothing, while another still holds tasks.
const PAUSE: Duration = Duration::from_millis(1);

/// The most tasks a second, retained and released, at the best number of connections.
pub(crate) async fn best_statements(bench: &Bench, history: History) -> anyhow::Result<Limit> {
    let mut best: Option<Limit> = None;
    for connections in CONNECTIONS {
        let per_second = drain(bench, connections, history).await?;
        if best.as_ref().is_none_or(|best| per_second > best.per_second) {
            let name = format!("retain + release, {BATCH} rows, {connections} connections");
            best = Some(Limit { name, per_second });
        }
    }
    best.context("no statement was measured")
}

async fn drain(bench: &Bench, connections: usize, history: History) -> anyhow::Result<f64> {
    let queue = format!("statements-{connections}");
    let tasks = u64::from(bench.plan.tasks);
    let mut clients = Vec::with_capacity(connections);
    for _ in 0..connections {
        clients.push(StatementClient::open(bench, &queue).await?);
    }
    fill(bench, history.queue(&queue), bench.plan.tasks).await?;
    bench.checkpoint().await;
    let released = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let mut running = JoinSet::new();
    for client in clients {
        let released = Arc::clone(&released);
        running.spawn(async move { client.run(&released, tasks).await });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    let took = started.elapsed();
    bench.verify(&queue, Status::Released, history.kept(tasks)).await?;
    bench.clean().await?;
    Ok(per_second(tasks, took))
}

struct StatementClient {
    client: Client,
    retain: Statement,
    release: Statement,
    namespace: String,
    queue: String,
    holder: i64,
}

impl StatementClient {
    async fn open(bench: &Bench, queue: &str) -> anyhow::Result<Self> {
        let client = bench.connect().await?;
        let retain = client.prepare_typed(RETAIN, &[Type::TEXT, Type::TEXT, Type::INT8, Type::INT4]).await?;
        let types = [Type::TEXT, Type::INT8_ARRAY, Type::INT4_ARRAY, Type::INT8, Type::INT4];
        let release = client.prepare_typed(RELEASE, &types).await?;
        let holder = i64::from(getrandom::u32()?) << 24;
        let namespace = bench.manager.namespace().as_str().to_owned();
        Ok(Self { client, retain, release, namespace, queue: queue.to_owned(), holder })
    }

    /// Retains and releases until all clients together have released so many tasks.
    async fn run(mut self, released: &AtomicU64, tasks: u64) -> anyhow::Result<()> {
        while released.load(Ordering::Relaxed) < tasks {
            // The last bit is set of what is retained fenced.
            self.holder += 2;
            let rows = self
                .client
                .query(&self.retain, &[&self.namespace, &self.queue, &self.holder, &BATCH])
                .await?;
            if rows.is_empty() {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            let mut fences: Vec<(i64, i32)> = Vec::with_capacity(rows.len());
            for row in &rows {
                fences.push((row.try_get("id")?, row.try_get("attempt")?));
            }
            fences.sort_unstable();
            while !self.release(&fences).await? {}
            released.fetch_add(fences.len() as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Releases tasks. Returns whether it could: another client's retain may have come upon one of them as well, and holds a lock
    /// on it until it ends.
    async fn release(&self, fences: &[(i64, i32)]) -> anyhow::Result<bool> {
        let (ids, attempts): (Vec<i64>, Vec<i32>) = fences.iter().copied().unzip();
        let count = i32::try_from(ids.len())?;
        let answer = self
            .client
            .query_one(&self.release, &[&self.namespace, &ids, &attempts, &self.holder, &count])
            .await;
        let released: Vec<i32> = match answer {
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => return Ok(false),
            answer => answer?.try_get("released")?,
        };
        ensure!(released.len() == fences.len(), "{} of {count} tasks were released", released.len());
        Ok(true)
    }
}
