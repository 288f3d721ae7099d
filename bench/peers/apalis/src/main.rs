//! Drives apalis-postgres: a few workers that fetch in batches.

use std::time::Duration;

use apalis::prelude::{BackendExt, BoxDynError, TaskBuilder, WorkerBuilder};
use apalis_postgres::{Config, PgPool, PostgresStorage, queries};
use peer_driver::{Args, Finished, History, Info, Load, Payload, Place, System, handled, locked};
use sqlx::postgres::PgPoolOptions;
use tokio::task::JoinSet;

const QUEUE: &str = "peers";
/// How many tasks a worker fetches at a time.
const BATCH: usize = 500;
const WORKERS: usize = 4;
const POLL: Duration = Duration::from_millis(5);
/// A worker can miss that a task has ended, and then commits it, and fetches more, at its next heartbeat; by default that is
/// after 30 s. So it beats more often, and is taken for dead after as many seconds as with the defaults.
const HEARTBEAT: Duration = Duration::from_millis(100);
const MISSED: usize = 3_000;

async fn peer(_payload: Payload) -> Result<(), BoxDynError> {
    handled();
    Ok(())
}

struct Apalis {
    pool: PgPool,
}

impl System for Apalis {
    const CHUNK: usize = 1_000;

    fn info(_args: &Args) -> Info {
        Info {
            system: "apalis-postgres".to_owned(),
            version: locked("apalis-postgres"),
            history: History::Kept,
            configuration: format!(
                "{WORKERS} workers that fetch {BATCH} tasks at a time and poll every 5 ms, without the second lock of a task \
                 (lock_tasks), with a heartbeat of 100 ms (by the default of 30 s a worker stands still at times until the \
                 next); tasks by push_tasks, bulks of {}; idle workers are notified as well",
                Self::CHUNK
            ),
        }
    }

    fn finished(_place: &Place) -> Finished {
        Finished::Done("SELECT count(*) FROM apalis.jobs WHERE status = 'Done'")
    }

    async fn setup(place: &Place) -> anyhow::Result<()> {
        PostgresStorage::setup(&PgPool::connect(&place.url).await?).await?;
        Ok(())
    }

    async fn open(place: &Place) -> anyhow::Result<Self> {
        let connections = u32::try_from(place.callers.max(16))?;
        Ok(Self { pool: PgPoolOptions::new().max_connections(connections).connect(&place.url).await? })
    }

    async fn enqueue(&self, payload: Payload) -> anyhow::Result<()> {
        self.enqueue_all(vec![payload]).await
    }

    async fn enqueue_all(&self, payloads: Vec<Payload>) -> anyhow::Result<()> {
        let tasks = payloads
            .iter()
            .map(|payload| Ok(TaskBuilder::new(serde_json::to_vec(payload)?).build()))
            .collect::<Result<Vec<_>, serde_json::Error>>()?;
        let mut connection = self.pool.acquire().await?;
        queries::push_tasks(&mut *connection, QUEUE, tasks).await?;
        Ok(())
    }

    async fn work(&self, load: Load) -> anyhow::Result<()> {
        let config = Config::default()
            .queue(QUEUE)
            .batch_size(BATCH)
            .lock_tasks(false)
            .heartbeat_interval(HEARTBEAT)
            .missed_heartbeats(MISSED);
        let mut workers = JoinSet::new();
        for worker in 0..WORKERS {
            let worker = WorkerBuilder::new(format!("worker-{worker}"));
            let storage = PostgresStorage::new(&self.pool).with_config(config.clone());
            match load {
                Load::Backlog => {
                    workers.spawn(worker.backend(storage.poll_with_interval(POLL)).build(peer).run())
                }
                Load::Idle => workers
                    .spawn(worker.backend(storage.with_pubsub().poll_with_interval(POLL)).build(peer).run()),
            };
        }
        while let Some(ended) = workers.join_next().await {
            ended??;
        }
        Ok(())
    }
}

fn main() -> anyhow::Result<()> {
    peer_driver::drive::<Apalis>()
}
