//! Drives `graphile_worker`, set as in its own `perf_test`.

use std::time::Duration;

use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, LocalQueueConfig, TaskHandler, WorkerContext, WorkerOptions, WorkerUtils,
};
use peer_driver::{Args, Finished, History, Info, Load, Payload, Place, System, handled, locked};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

/// How many handlers run at once.
const CONCURRENCY: usize = 500;
/// How many jobs are fetched ahead.
const LOCAL_QUEUE: usize = 5_000;
const SCHEMA: &str = "graphile_worker";

#[derive(Clone, Serialize, Deserialize)]
struct Job(Payload);

impl TaskHandler for Job {
    const IDENTIFIER: &'static str = "job";

    async fn run(self, _context: WorkerContext) -> impl IntoTaskHandlerResult {
        handled();
        Ok::<_, String>(())
    }
}

struct Graphile {
    pool: PgPool,
    utils: WorkerUtils,
}

impl System for Graphile {
    const CHUNK: usize = 1_000;

    fn info(_args: &Args) -> Info {
        Info {
            system: "graphile_worker".to_owned(),
            version: locked("graphile_worker"),
            history: History::Deleted,
            configuration: format!(
                "as in its own perf_test: concurrency {CONCURRENCY}, a local queue of {LOCAL_QUEUE}, completions batched \
                 for 5 ms, polls every 5 ms; bulks of {} by add_jobs; the idle worker has no local queue and no delay of \
                 completions, and is notified",
                Self::CHUNK
            ),
        }
    }

    fn finished(_place: &Place) -> Finished {
        Finished::Left("SELECT count(*) FROM graphile_worker._private_jobs")
    }

    async fn setup(place: &Place) -> anyhow::Result<()> {
        Ok(Self::open(place).await?.utils.migrate().await?)
    }

    async fn open(place: &Place) -> anyhow::Result<Self> {
        let connections = u32::try_from(place.callers.max(20))?;
        let pool = PgPoolOptions::new().max_connections(connections).connect(&place.url).await?;
        Ok(Self { utils: WorkerUtils::new(pool.clone(), SCHEMA), pool })
    }

    async fn enqueue(&self, payload: Payload) -> anyhow::Result<()> {
        self.utils.add_job(Job(payload), JobSpec::default()).await?;
        Ok(())
    }

    async fn enqueue_all(&self, payloads: Vec<Payload>) -> anyhow::Result<()> {
        let spec = JobSpec::default();
        let jobs: Vec<_> = payloads.into_iter().map(|payload| (Job(payload), &spec)).collect();
        self.utils.add_jobs(&jobs).await?;
        Ok(())
    }

    async fn work(&self, load: Load) -> anyhow::Result<()> {
        let options = WorkerOptions::default().schema(SCHEMA).pg_pool(self.pool.clone()).define_job::<Job>();
        let options = match load {
            Load::Backlog => options
                .concurrency(CONCURRENCY)
                .poll_interval(Duration::from_millis(5))
                .complete_job_batch_delay(Duration::from_millis(5))
                .local_queue(LocalQueueConfig::default().with_size(LOCAL_QUEUE)),
            Load::Idle => options.concurrency(4),
        };
        let worker = options.init().await?;
        Ok(tokio::spawn(async move { worker.run().await }).await??)
    }
}

fn main() -> anyhow::Result<()> {
    peer_driver::drive::<Graphile>()
}
