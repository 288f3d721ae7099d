//! The process that is measured: a manager on one thread, and callers that go in step.
//!
//! On one thread they are answered together and call again together, so that each statement carries the same tasks on every
//! run. What depends on
//! the time that passes is left out: other processes are not told of tasks, and slow claims are not looked into.

use anyhow::{Context, ensure};
use pgmill::{BatchOptions, Json, Manager, Outcome, Retain, TaskMeta};
use tokio::task::JoinSet;

use crate::phase::Phase;

/// How many callers create a task at a time.
const CALLERS: u32 = 64;
/// How many tasks a retain asks for.
const RETAINED: u32 = 256;
/// The bytes of a payload.
const PAYLOAD: usize = 100;
pub(crate) const NAMESPACE: &str = "guard";

/// What the client is to do. Its database is in the environment.
#[derive(Debug, clap::Args)]
pub(crate) struct Client {
    phase: Phase,
    queue: String,
    tasks: u32,
}

impl Client {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let url = std::env::var("DATABASE_URL").context("a client needs a database")?;
            let manager = Manager::connect(url)
                .namespace(NAMESPACE)
                .migrate(false)
                .tell_others(false)
                .batching(BatchOptions::default().floors(false))
                .await?;
            match self.phase {
                Phase::EnqueueSingle => self.create_one_by_one(&manager).await?,
                Phase::EnqueueBulk => self.create_at_once(&manager).await?,
                Phase::Retain => self.take(&manager, false).await?,
                Phase::Release => self.take(&manager, true).await?,
            }
            manager.close().await;
            Ok(())
        })
    }

    async fn create_one_by_one(&self, manager: &Manager) -> anyhow::Result<()> {
        ensure!(self.tasks.is_multiple_of(CALLERS), "the tasks are to be shared out evenly");
        let payload = payload()?;
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let (manager, queue, payload) = (manager.clone(), self.queue.clone(), payload.clone());
            let calls = self.tasks / CALLERS;
            callers.spawn(async move {
                for _ in 0..calls {
                    manager.create_task(&queue, TaskMeta::raw(payload.clone())).await?;
                }
                anyhow::Ok(())
            });
        }
        all(callers).await
    }

    async fn create_at_once(&self, manager: &Manager) -> anyhow::Result<()> {
        let payload = payload()?;
        let metas = (0..self.tasks).map(|_| TaskMeta::raw(payload.clone()));
        let created = manager.create_tasks(&self.queue, metas).await?;
        ensure!(created.len() == self.tasks as usize, "{} tasks were created", created.len());
        Ok(())
    }

    /// Retains all tasks, and releases them if it is told to.
    async fn take(&self, manager: &Manager, release: bool) -> anyhow::Result<()> {
        let mut left = self.tasks;
        while left > 0 {
            let together = left.min(RETAINED);
            let retain = Retain::new().count(together as usize);
            let tasks = manager.next_tasks("guard", &[&self.queue], retain).await?;
            ensure!(tasks.len() == together as usize, "{} of {together} tasks were retained", tasks.len());
            if release {
                let mut releases = JoinSet::new();
                for task in tasks {
                    let manager = manager.clone();
                    releases.spawn(async move {
                        manager.release_task(&task, Outcome::done_empty()).await?;
                        anyhow::Ok(())
                    });
                }
                all(releases).await?;
            }
            left -= together;
        }
        Ok(())
    }
}

/// Waits for all of them.
async fn all(mut running: JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}

/// A JSON string that does not compress as one letter would, and is the same on every run.
fn payload() -> anyhow::Result<Json> {
    let mut state = 1_u32;
    let letters = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + u8::try_from((state >> 24) % 26).unwrap_or_default())
    });
    Ok(Json::encode(&letters.take(PAYLOAD - 2).collect::<String>())?)
}
