//! Drives pgmill: one manager that all callers share, bulks by `create_tasks`, and a pool of workers.

use peer_driver::{Args, Finished, History, Info, Load, Payload, Place, System, handled, locked};
use pgmill::{ConnectOptions, Context, Manager, QueueMeta, TaskError, TaskMeta, WorkerPool, seconds};
use tokio_util::sync::CancellationToken;

const QUEUE: &str = "peers";
/// How many handlers run at once where many tasks wait.
const WORKERS: usize = 2_048;

struct Pgmill {
    manager: Manager,
    queue: QueueMeta,
}

fn queue(place: &Place) -> QueueMeta {
    let queue = QueueMeta::new(QUEUE);
    if place.delete { queue.retention(seconds(0)) } else { queue }
}

impl System for Pgmill {
    const CHUNK: usize = 10_000;

    fn info(args: &Args) -> Info {
        let set = format!(
            "one Manager shared by all callers, bulks of {} by create_tasks, a WorkerPool of {WORKERS}, \
             or as by default for the idle worker; else defaults",
            Self::CHUNK
        );
        if args.delete {
            let configuration = format!("{set}, with a retention of 0 for the queue");
            Info {
                system: "pgmill, retention 0".to_owned(),
                version: locked("pgmill"),
                history: History::Deleted,
                configuration,
            }
        } else {
            let version = locked("pgmill");
            Info { system: "pgmill".to_owned(), version, history: History::Kept, configuration: set }
        }
    }

    fn finished(place: &Place) -> Finished {
        if place.delete {
            Finished::Left("SELECT count(*) FROM pgmill.task")
        } else {
            Finished::Done("SELECT count(*) FROM pgmill.task_finished")
        }
    }

    async fn setup(place: &Place) -> anyhow::Result<()> {
        let manager = Manager::connect(&place.url).await?;
        manager.create_queue(queue(place)).await?;
        manager.close().await;
        Ok(())
    }

    async fn open(place: &Place) -> anyhow::Result<Self> {
        let options = ConnectOptions::parse(&place.url)?;
        Ok(Self { manager: Manager::connect_with(options).migrate(false).await?, queue: queue(place) })
    }

    async fn enqueue(&self, payload: Payload) -> anyhow::Result<()> {
        self.manager.create_task(QUEUE, TaskMeta::json(&payload)?).await?;
        Ok(())
    }

    async fn enqueue_all(&self, payloads: Vec<Payload>) -> anyhow::Result<()> {
        let metas = payloads.iter().map(TaskMeta::json).collect::<Result<Vec<_>, _>>()?;
        self.manager.create_tasks(QUEUE, metas).await?;
        Ok(())
    }

    async fn work(&self, load: Load) -> anyhow::Result<()> {
        let pool = WorkerPool::builder(&self.manager);
        let pool = match load {
            Load::Backlog => pool.workers(WORKERS).build()?,
            Load::Idle => pool.build()?,
        };
        pool.register_queue(self.queue.clone(), async |_: Context, _: Payload| {
            handled();
            Ok::<_, TaskError>(())
        })
        .await?;
        tokio::spawn(async move { pool.run(CancellationToken::new()).await }).await??;
        Ok(())
    }
}

fn main() -> anyhow::Result<()> {
    peer_driver::drive::<Pgmill>()
}
