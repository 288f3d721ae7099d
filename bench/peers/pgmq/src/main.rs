//! Drives pgmq, installed without the extension: several consumers that read and delete in batches.

use std::time::Duration;

use peer_driver::{Args, Finished, History, Info, Load, Payload, Place, System, Workload, handled, locked};
use pgmq::{Message, PGMQueueExt};
use serde_json::Value;
use sqlx::postgres::PgPoolOptions;
use tokio::task::JoinSet;

const QUEUE: &str = "peers";
/// How many messages are read and deleted at a time.
const BATCH: i32 = 1_000;
const CONSUMERS: usize = 2;
/// For how long a message that was read is not read again, in seconds.
const INVISIBLE: i32 = 60;
/// How long a consumer that found nothing waits for a notification, which can get lost.
const FALLBACK: Duration = Duration::from_secs(1);

struct Pgmq {
    queue: PGMQueueExt,
}

impl Pgmq {
    /// Reads what is there, and deletes it when it is handled. Returns how many messages that were.
    async fn consume(queue: &PGMQueueExt) -> anyhow::Result<usize> {
        let messages: Vec<Message<Payload, Value>> = queue.read_batch(QUEUE, INVISIBLE, BATCH).await?;
        if messages.is_empty() {
            return Ok(0);
        }
        let ids: Vec<_> = messages.iter().map(|message| message.msg_id).collect();
        messages.iter().for_each(|_| handled());
        queue.delete_batch(QUEUE, &ids).await?;
        Ok(ids.len())
    }
}

impl System for Pgmq {
    const CHUNK: usize = 1_000;

    fn info(_args: &Args) -> Info {
        Info {
            system: "pgmq".to_owned(),
            version: locked("pgmq"),
            history: History::Deleted,
            configuration: format!(
                "its SQL installed by the crate, without the extension; send_batch of {}; {CONSUMERS} consumers that \
                 read_batch and delete_batch {BATCH} messages at a time; for the idle worker insert notifications \
                 without throttle, and its listener",
                Self::CHUNK
            ),
        }
    }

    fn finished(_place: &Place) -> Finished {
        Finished::Left("SELECT count(*) FROM pgmq.q_peers")
    }

    async fn setup(place: &Place) -> anyhow::Result<()> {
        let queue = Self::open(place).await?.queue;
        queue.install_sql_from_embedded().await?;
        queue.create(QUEUE).await?;
        Ok(())
    }

    async fn open(place: &Place) -> anyhow::Result<Self> {
        let connections = u32::try_from(place.callers.max(CONSUMERS + 2))?;
        let pool = PgPoolOptions::new().max_connections(connections).connect(&place.url).await?;
        let queue = PGMQueueExt::new_with_pool(pool).await;
        if place.workload == Workload::Latency {
            queue.enable_notify_insert(QUEUE, Duration::ZERO).await?;
        }
        Ok(Self { queue })
    }

    async fn enqueue(&self, payload: Payload) -> anyhow::Result<()> {
        self.queue.send(QUEUE, &payload).await?;
        Ok(())
    }

    async fn enqueue_all(&self, payloads: Vec<Payload>) -> anyhow::Result<()> {
        self.queue.send_batch(QUEUE, &payloads).await?;
        Ok(())
    }

    async fn work(&self, load: Load) -> anyhow::Result<()> {
        if load == Load::Idle {
            let mut listener = self.queue.queue_insert_listener(QUEUE).await?;
            loop {
                if Self::consume(&self.queue).await? == 0 {
                    // Either way there may be something to read.
                    let _ = tokio::time::timeout(FALLBACK, listener.recv()).await;
                }
            }
        }
        let mut consumers = JoinSet::new();
        for _ in 0..CONSUMERS {
            let queue = self.queue.clone();
            consumers.spawn(async move {
                loop {
                    if Self::consume(&queue).await? == 0 {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
            });
        }
        consumers.join_next().await.unwrap_or(Ok(Ok(())))?
    }
}

fn main() -> anyhow::Result<()> {
    peer_driver::drive::<Pgmq>()
}
