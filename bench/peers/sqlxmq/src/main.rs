//! Drives sqlxmq: one runner that runs many jobs at once, each of which completes itself.

use std::error::Error;
use std::time::Duration;

use peer_driver::{Args, Finished, History, Info, Load, Payload, Place, System, handled, locked};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use sqlxmq::{CurrentJob, JobRegistry, job};

const SCHEMA: &str = include_str!(concat!(env!("OUT_DIR"), "/schema.sql"));
/// The fewest jobs under way before more are fetched, and the most.
const CONCURRENCY: (usize, usize) = (500, 1_000);
const CONNECTIONS: usize = 32;
/// After how long a job that is not completed is tried again; the default of a second is too short for a full runner.
const BACKOFF: Duration = Duration::from_secs(60);
/// What the crate's builder does for one job, for many: the crate has no call for it, the function it calls has.
const INSERT: &str = "SELECT mq_insert(array_agg((id, interval '0', 4, interval '60 seconds', 'peers', '', NULL, false, $1, \
    payload, NULL)::mq_new_t)) FROM unnest($2::uuid[], $3::text[]) AS job (id, payload)";

#[job(channel_name = "peers")]
async fn peer(mut job: CurrentJob) -> Result<(), Box<dyn Error + Send + Sync + 'static>> {
    let _: Option<Payload> = job.json()?;
    handled();
    job.complete().await?;
    Ok(())
}

struct Sqlxmq {
    pool: PgPool,
}

impl System for Sqlxmq {
    const CHUNK: usize = 1_000;

    fn info(_args: &Args) -> Info {
        let (least, most) = CONCURRENCY;
        Info {
            system: "sqlxmq".to_owned(),
            version: locked("sqlxmq"),
            history: History::Deleted,
            configuration: format!(
                "one runner with a concurrency of {least} to {most} and {CONNECTIONS} connections; the crate has no bulk \
                 call: bulks of {} by the SQL function mq_insert that its builder calls; the idle worker is notified",
                Self::CHUNK
            ),
        }
    }

    fn finished(_place: &Place) -> Finished {
        // One row is the table's own: that of the nil UUID.
        Finished::Left("SELECT count(*) FROM mq_msgs WHERE id <> uuid_nil()")
    }

    async fn setup(place: &Place) -> anyhow::Result<()> {
        sqlx::raw_sql(SCHEMA).execute(&PgPool::connect(&place.url).await?).await?;
        Ok(())
    }

    async fn open(place: &Place) -> anyhow::Result<Self> {
        let connections = u32::try_from(place.callers.max(CONNECTIONS))?;
        Ok(Self { pool: PgPoolOptions::new().max_connections(connections).connect(&place.url).await? })
    }

    async fn enqueue(&self, payload: Payload) -> anyhow::Result<()> {
        peer.builder().set_retry_backoff(BACKOFF).set_json(&payload)?.spawn(&self.pool).await?;
        Ok(())
    }

    async fn enqueue_all(&self, payloads: Vec<Payload>) -> anyhow::Result<()> {
        let ids: Vec<_> = payloads.iter().map(|_| uuid::Uuid::new_v4()).collect();
        let texts = payloads.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
        sqlx::query(INSERT).bind(peer.name()).bind(ids).bind(texts).execute(&self.pool).await?;
        Ok(())
    }

    async fn work(&self, _load: Load) -> anyhow::Result<()> {
        let (least, most) = CONCURRENCY;
        let _runner = JobRegistry::new(&[peer]).runner(&self.pool).set_concurrency(least, most).run().await?;
        std::future::pending().await
    }
}

fn main() -> anyhow::Result<()> {
    peer_driver::drive::<Sqlxmq>()
}
