//! The PostgreSQL of the guard, and what a client costs it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use pgmill::{ConnectOptions, Manager, QueueMeta};
use pgmill_embedded::{Embedded, StopMode};
use tokio_postgres::Client;

use crate::client::NAMESPACE;
use crate::phase::Phase;

const CHECKPOINT: &str = include_str!("../../../sql/checkpoint.sql");
const WAL_POSITION: &str = include_str!("../../../sql/wal_position.sql");
const GUARD_TRANSACTIONS: &str = include_str!("../../../sql/guard_transactions.sql");
const GUARD_CONNECTIONS: &str = include_str!("../../../sql/guard_connections.sql");
/// The database that clients work in. What is asked about it is asked from another one, and so not counted in it.
const WORKED_IN: &str = "guard";
/// How long the server may take to see off the connections of a client that has ended.
const GONE_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(5);

pub(crate) struct Database {
    server: Embedded,
    program: PathBuf,
    queues: AtomicU32,
}

/// What a client has cost the server.
pub(crate) struct Cost {
    pub(crate) wal: f64,
    pub(crate) statements: f64,
}

impl Database {
    /// Nothing goes on in it but what clients ask for: no vacuum, no checkpoint, nothing compressed.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let server = Embedded::builder()
            .ephemeral()
            .database(WORKED_IN)
            .setting("fsync", "off")
            .setting("autovacuum", "off")
            .setting("checkpoint_timeout", "1h")
            .setting("max_wal_size", "4GB")
            .setting("wal_compression", "off")
            .start()
            .context("the embedded PostgreSQL cannot be used")?;
        let program = std::env::current_exe().context("this program has no path")?;
        Ok(Self { server, program, queues: AtomicU32::new(0) })
    }

    /// The major version.
    pub(crate) fn version(&self) -> u32 {
        self.server.version()
    }

    pub(crate) fn stop(self) -> anyhow::Result<()> {
        self.server.stop(StopMode::Fast).context("the embedded PostgreSQL did not stop")
    }

    /// What a phase of so many tasks costs, with its start: the few statements with which a client begins.
    pub(crate) async fn cost(&self, phase: Phase, tasks: u32) -> anyhow::Result<Cost> {
        let control = self.control().await?;
        let queue = self.queue(phase, tasks).await?;
        self.alone(&control).await?;
        if !phase.takes_tasks() {
            // What follows fills new pages; and the images of all that there is are not to be told from what is written.
            control.batch_execute(CHECKPOINT).await?;
        }
        let (wal, transactions) = counted(&control).await?;
        self.run(self.client(None, phase, &queue, tasks))?;
        self.alone(&control).await?;
        let (wal_after, transactions_after) = counted(&control).await?;
        Ok(Cost { wal: wal_after - wal, statements: transactions_after - transactions })
    }

    /// Has a client do a phase under a tool.
    pub(crate) async fn run_under(&self, tool: Command, phase: Phase, tasks: u32) -> anyhow::Result<()> {
        let queue = self.queue(phase, tasks).await?;
        self.run(self.client(Some(tool), phase, &queue, tasks))
    }

    /// A new queue, with tasks if the phase needs some.
    async fn queue(&self, phase: Phase, tasks: u32) -> anyhow::Result<String> {
        let queue = format!("q{}", self.queues.fetch_add(1, Ordering::Relaxed));
        let manager = Manager::connect(self.server.url()).namespace(NAMESPACE).tell_others(false).await?;
        manager.create_queue(QueueMeta::new(&queue)).await?;
        manager.pool().close();
        manager.close().await;
        if phase.takes_tasks() {
            self.run(self.client(None, Phase::EnqueueBulk, &queue, tasks))?;
        }
        Ok(queue)
    }

    fn client(&self, tool: Option<Command>, phase: Phase, queue: &str, tasks: u32) -> Command {
        let mut command = match tool {
            Some(mut tool) => {
                tool.arg(&self.program);
                tool
            }
            None => Command::new(&self.program),
        };
        command
            .args(["client", phase.name(), queue, &tasks.to_string()])
            .env("DATABASE_URL", self.server.url());
        command
    }

    fn run(&self, mut command: Command) -> anyhow::Result<()> {
        let program = Path::new(command.get_program()).display().to_string();
        let output = command.output().with_context(|| format!("{program} could not be started"))?;
        ensure!(output.status.success(), "{program} failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    async fn control(&self) -> anyhow::Result<Client> {
        let options = ConnectOptions::parse(&self.server.url_for("postgres"))?;
        let (client, driver) = options.connect().await.context("no connection to the database")?;
        tokio::spawn(driver.run());
        Ok(client)
    }

    /// Waits until nobody is connected: a connection that ends tells last what it has done.
    async fn alone(&self, control: &Client) -> anyhow::Result<()> {
        let since = Instant::now();
        while since.elapsed() < GONE_WITHIN {
            let connections: i64 = control.query_one(GUARD_CONNECTIONS, &[&WORKED_IN]).await?.try_get(0)?;
            if connections == 0 {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!("connections of a client that has ended are still there")
    }
}

/// The bytes of WAL and the transactions so far.
async fn counted(control: &Client) -> anyhow::Result<(f64, f64)> {
    let wal: i64 = control.query_one(WAL_POSITION, &[]).await?.try_get(0)?;
    let transactions: i64 = control.query_one(GUARD_TRANSACTIONS, &[&WORKED_IN]).await?.try_get(0)?;
    Ok((wal as f64, transactions as f64))
}
