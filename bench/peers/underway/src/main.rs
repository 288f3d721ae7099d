//! Drives underway: a task on a queue, and one worker that runs many at once.

use std::sync::Arc;

use jiff::ToSpan;
use peer_driver::{Args, Finished, History, Info, Load, Payload, Place, System, handled, locked};
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgPool, Postgres, Transaction};
use underway::task::Result as TaskResult;
use underway::{Queue, Task, Worker};

const QUEUE: &str = "peers";
/// How many tasks run at once; each holds a connection.
const CONCURRENCY: usize = 32;
/// Listeners, heartbeats and callers beside them.
const CONNECTIONS: usize = 2 * CONCURRENCY + 8;

#[derive(Clone)]
struct Peer;

impl Task for Peer {
    type Input = Payload;
    type Output = ();

    async fn execute(&self, _: Transaction<'_, Postgres>, _: Payload) -> TaskResult<()> {
        handled();
        Ok(())
    }
}

struct Underway {
    pool: PgPool,
    queue: Arc<Queue<Peer>>,
}

impl System for Underway {
    const CHUNK: usize = 5_000;

    fn info(_args: &Args) -> Info {
        Info {
            system: "underway".to_owned(),
            version: locked("underway"),
            history: History::Kept,
            configuration: format!(
                "one worker with a concurrency limit of {CONCURRENCY} that polls every 5 ms, each poll adding a runner up \
                 to the limit; bulks of {} by enqueue_multi; the idle worker is notified",
                Self::CHUNK
            ),
        }
    }

    fn finished(_place: &Place) -> Finished {
        Finished::Done("SELECT count(*) FROM underway.task WHERE state = 'succeeded'")
    }

    async fn setup(place: &Place) -> anyhow::Result<()> {
        underway::run_migrations(&PgPool::connect(&place.url).await?).await?;
        Ok(())
    }

    async fn open(place: &Place) -> anyhow::Result<Self> {
        let connections = u32::try_from(place.callers.max(CONNECTIONS))?;
        let pool = PgPoolOptions::new().max_connections(connections).connect(&place.url).await?;
        let queue = Queue::builder().name(QUEUE).pool(pool.clone()).build().await?;
        Ok(Self { pool, queue: Arc::new(queue) })
    }

    async fn enqueue(&self, payload: Payload) -> anyhow::Result<()> {
        self.queue.enqueue(&self.pool, &Peer, &payload).await?;
        Ok(())
    }

    async fn enqueue_all(&self, payloads: Vec<Payload>) -> anyhow::Result<()> {
        self.queue.enqueue_multi(&self.pool, &Peer, &payloads).await?;
        Ok(())
    }

    async fn work(&self, load: Load) -> anyhow::Result<()> {
        let mut worker = Worker::new(Arc::clone(&self.queue), Peer);
        worker.set_concurrency_limit(CONCURRENCY);
        let running = tokio::spawn(async move {
            match load {
                Load::Backlog => worker.run_every(5.milliseconds()).await,
                Load::Idle => worker.run().await,
            }
        });
        Ok(running.await??)
    }
}

fn main() -> anyhow::Result<()> {
    peer_driver::drive::<Underway>()
}
