//! Drives River for Rust, set as in its own benchmark (`riverqueue bench`).

use std::time::Duration;

use peer_driver::{Args, Finished, History, Info, Load, Payload, Place, System, Workload, handled, locked};
use riverqueue::migrate::PostgresMigrator;
use riverqueue::{BoxError, Client, Job, JobArgs, QueueConfig, WorkContext, WorkOutcome, Workers};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

const WORKERS: usize = 2_000;
const CONNECTIONS: usize = 50;
const COOLDOWN: Duration = Duration::from_millis(2);
const POLL: Duration = Duration::from_millis(20);

#[derive(Clone, Debug, Serialize, Deserialize, JobArgs)]
#[river(kind = "peer")]
struct Peer {
    payload: Payload,
}

async fn work(_context: WorkContext, _job: Job<Peer>) -> Result<WorkOutcome, BoxError> {
    handled();
    Ok(WorkOutcome::Complete)
}

struct River {
    pool: PgPool,
    client: Client,
}

impl System for River {
    const CHUNK: usize = 5_000;

    fn info(_args: &Args) -> Info {
        Info {
            system: "riverqueue".to_owned(),
            version: locked("riverqueue"),
            history: History::Kept,
            configuration: format!(
                "as in its own benchmark: {WORKERS} workers, a fetch cooldown of 2 ms, polls every 20 ms, bulks of {} by \
                 insert_many, {CONNECTIONS} connections or one a caller; only callers that enqueue one by one without a \
                 worker keep the default cooldown of 100 ms, which spares them notifications; the idle worker is notified",
                Self::CHUNK
            ),
        }
    }

    fn finished(_place: &Place) -> Finished {
        Finished::Done("SELECT count(*) FROM river_job WHERE state = 'completed'")
    }

    async fn setup(place: &Place) -> anyhow::Result<()> {
        PostgresMigrator::new(PgPool::connect(&place.url).await?).migrate_up().await?;
        Ok(())
    }

    async fn open(place: &Place) -> anyhow::Result<Self> {
        let connections = u32::try_from(place.callers.max(CONNECTIONS))?;
        let pool = PgPoolOptions::new().max_connections(connections).connect(&place.url).await?;
        let client = Client::builder(pool.clone());
        // The cooldown of the client is also that of its notifications.
        let client = match place.workload {
            Workload::Latency => client.fetch_cooldown(COOLDOWN),
            _ => client,
        };
        Ok(Self { client: client.build()?, pool })
    }

    async fn enqueue(&self, payload: Payload) -> anyhow::Result<()> {
        self.client.insert(Peer { payload }).await?;
        Ok(())
    }

    async fn enqueue_all(&self, payloads: Vec<Payload>) -> anyhow::Result<()> {
        self.client.insert_many(payloads.into_iter().map(|payload| Peer { payload })).await?;
        Ok(())
    }

    async fn work(&self, load: Load) -> anyhow::Result<()> {
        let poll = match load {
            Load::Backlog => POLL,
            // As by default: an idle worker depends on notifications.
            Load::Idle => Duration::from_secs(1),
        };
        let queue = QueueConfig::new(WORKERS).with_fetch_cooldown(COOLDOWN).with_fetch_poll_interval(poll);
        let mut workers = Workers::new();
        workers.add_fn(work)?;
        let client = Client::builder(self.pool.clone()).workers(workers).queue("default", queue).build()?;
        client.start()?.wait().await?;
        Ok(())
    }
}

fn main() -> anyhow::Result<()> {
    peer_driver::drive::<River>()
}
