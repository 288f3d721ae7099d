//! Drives awa: queue storage, jobs without a deadline, claims in batches.

use std::time::Duration;

use awa::{
    Client, InsertOpts, InsertParams, JobArgs, JobResult, QueueConfig, QueueStorage, QueueStorageConfig,
};
use peer_driver::{Args, Finished, History, Info, Load, Payload, Place, System, handled, locked};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

const QUEUE: &str = "peers";
/// How many jobs run at once: from so many on, awa completes them by four flushers.
const WORKERS: u32 = 1_024;
const CONNECTIONS: usize = 32;
const POLL: Duration = Duration::from_millis(5);
/// How long a segment of history lasts at least: a second by default, which keeps no history to speak of.
const SEGMENT: Duration = Duration::from_secs(3_600);
/// The same of claims and leases, as by default.
const LEASES: Duration = Duration::from_secs(1);
/// What is kept of jobs that are done: compact batches, rows, and the counts of what was truncated since.
const DONE: &str = "SELECT ((SELECT count(*) FROM awa.done_entries) \
    + (SELECT coalesce(sum(completed_count), 0) FROM awa.receipt_completion_batches) \
    + (SELECT coalesce(sum(pruned_completed_count), 0) FROM awa.queue_terminal_rollups))::bigint";

#[derive(Debug, Serialize, Deserialize, JobArgs)]
struct Peer {
    payload: Payload,
}

struct Awa {
    pool: PgPool,
    storage: QueueStorage,
}

fn options() -> InsertOpts {
    InsertOpts { queue: QUEUE.to_owned(), ..InsertOpts::default() }
}

impl System for Awa {
    const CHUNK: usize = 10_000;

    fn info(_args: &Args) -> Info {
        Info {
            system: "awa".to_owned(),
            version: locked("awa"),
            history: History::Kept,
            configuration: format!(
                "queue storage whose segments are rotated every hour: by default that is every second, and what is known of \
                 a job is truncated some seconds after it is done; {WORKERS} workers, no deadlines, which takes the compact \
                 claims, polls every 5 ms, {CONNECTIONS} connections or one a caller; bulks of {} by enqueue_params_copy; \
                 the idle worker is notified as well",
                Self::CHUNK
            ),
        }
    }

    fn finished(_place: &Place) -> Finished {
        Finished::Done(DONE)
    }

    async fn setup(place: &Place) -> anyhow::Result<()> {
        awa::migrations::run(&PgPool::connect(&place.url).await?).await?;
        Ok(())
    }

    async fn open(place: &Place) -> anyhow::Result<Self> {
        let connections = u32::try_from(place.callers.max(CONNECTIONS))?;
        let pool = PgPoolOptions::new().max_connections(connections).connect(&place.url).await?;
        Ok(Self { pool, storage: QueueStorage::new(QueueStorageConfig::default())? })
    }

    async fn enqueue(&self, payload: Payload) -> anyhow::Result<()> {
        awa::insert_with(&self.pool, &Peer { payload }, options()).await?;
        Ok(())
    }

    async fn enqueue_all(&self, payloads: Vec<Payload>) -> anyhow::Result<()> {
        let params = |payload| awa::model::insert::params_with(&Peer { payload }, options());
        let jobs = payloads.into_iter().map(params).collect::<Result<Vec<InsertParams>, _>>()?;
        self.storage.enqueue_params_copy(&self.pool, &jobs).await?;
        Ok(())
    }

    async fn work(&self, _load: Load) -> anyhow::Result<()> {
        let config = QueueConfig {
            max_workers: WORKERS,
            poll_interval: POLL,
            deadline_duration: Duration::ZERO,
            ..QueueConfig::default()
        };
        let client = Client::builder(self.pool.clone())
            .queue(QUEUE, config)
            .queue_storage(QueueStorageConfig::default(), SEGMENT, LEASES)
            .claim_rotate_interval(LEASES)
            .register::<Peer, _, _>(|_, _| async {
                handled();
                Ok(JobResult::Completed)
            })
            .build()?;
        client.start().await?;
        std::future::pending().await
    }
}

fn main() -> anyhow::Result<()> {
    peer_driver::drive::<Awa>()
}
