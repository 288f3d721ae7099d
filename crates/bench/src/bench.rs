//! What every workload and every limit works with.

use std::num::NonZeroUsize;

use anyhow::{Context, ensure};
use pgmill::{ConnectOptions, Manager, QueueMeta, Status};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row};
use tokio_util::sync::CancellationToken;

use crate::args::Plan;
use crate::costs::{Meter, WalRecords};
use crate::cpu;
use crate::machine::Origin;
use crate::report::note;
use crate::server::Server;

const SETUP: &str = include_str!("../sql/setup.sql");
const TEARDOWN: &str = include_str!("../sql/teardown.sql");
const TRUNCATE_LIMITS: &str = include_str!("../sql/truncate_limits.sql");
const VACUUM: &str = include_str!("../sql/vacuum.sql");
const VACUUM_ALL: &str = include_str!("../sql/vacuum_all.sql");
const FORGET_TASKS: &str = include_str!("../sql/forget_tasks.sql");
const CHECKPOINT: &str = include_str!("../sql/checkpoint.sql");
const WAL_POSITION: &str = include_str!("../sql/wal_position.sql");
const WAL_READER_SETUP: &str = include_str!("../sql/wal_reader_setup.sql");
const WAL_READER: &str = include_str!("../sql/wal_reader.sql");
const WAL_RECORDS: &str = include_str!("../sql/wal_records.sql");
const FLUSH_WAL: &str = include_str!("../sql/flush_wal.sql");
const NEXT_TRANSACTION: &str = include_str!("../sql/next_transaction.sql");
const BACKEND: &str = include_str!("../sql/backend.sql");
const TRANSACTIONS: &str = include_str!("../sql/transactions.sql");
const DATE: &str = include_str!("../sql/date.sql");
const SETTINGS: &str = include_str!("../sql/settings.sql");

/// How often it is tried to remove all tasks, a second each.
const FORGET_TRIES: u32 = 30;
/// The connections of the manager: what its batchers can have in the air at once, and some for maintenance.
const POOL: NonZeroUsize = NonZeroUsize::new(16).expect("not 0");

/// A database that is ready to be measured, in a namespace that nobody else uses.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) plan: Plan,
    pub(crate) manager: Manager,
    /// Where other processes find the database.
    pub(crate) url: String,
    /// The first process of the server, where that is on this machine.
    pub(crate) postmaster: Option<u32>,
    pub(crate) options: ConnectOptions,
    /// For what is not measured.
    control: Client,
    /// Whether `control` can read WAL.
    reads_wal: bool,
    maintenance: Mutex<Maintenance>,
}

/// How far the WAL is.
#[derive(Debug, Clone)]
pub(crate) struct WalPosition {
    /// In bytes.
    pub(crate) bytes: i64,
    /// As the server says it.
    pub(crate) text: String,
}

impl Bench {
    /// Connects, migrates the database, and maintains it from then on, as in production: for the limits as well.
    pub(crate) async fn open(server: &Server, plan: Plan) -> anyhow::Result<Self> {
        let options = server.options.clone().with_application_name("pgmill-bench").with_pool_size(POOL);
        let namespace = format!("pgmill-bench-{:016x}", getrandom::u64().context("no random numbers")?);
        let manager = Manager::connect_with(options.clone()).namespace(namespace).await;
        let manager = manager.context("the database cannot be used")?;
        let control = connect(&options).await?;
        control.batch_execute(SETUP).await.context("the tables of the limits could not be made")?;
        let reads_wal = control.batch_execute(WAL_READER_SETUP).await.is_ok()
            && control.query_opt(WAL_READER, &[]).await?.is_some();
        let postmaster = postmaster(&control).await?;
        let maintenance = Mutex::new(Maintenance::start(&manager));
        let url = server.url.clone();
        Ok(Self { plan, manager, url, postmaster, options, control, reads_wal, maintenance })
    }

    /// Another manager of the same namespace, as of another process.
    pub(crate) async fn another(&self) -> anyhow::Result<Manager> {
        let namespace = self.manager.namespace().as_str();
        Ok(Manager::connect_with(self.options.clone()).namespace(namespace).migrate(false).await?)
    }

    /// Does something while this process does not maintain the database.
    pub(crate) async fn unmaintained<T>(&self, doing: impl Future<Output = T>) -> anyhow::Result<T> {
        let mut maintenance = self.maintenance.lock().await;
        maintenance.stop().await?;
        let done = doing.await;
        *maintenance = Maintenance::start(&self.manager);
        Ok(done)
    }

    /// A connection of its own for a client of a limit.
    pub(crate) async fn connect(&self) -> anyhow::Result<Client> {
        connect(&self.options).await
    }

    /// Makes an empty queue.
    pub(crate) async fn queue(&self, name: &str) -> anyhow::Result<()> {
        self.manager.create_queue(QueueMeta::new(name)).await?;
        Ok(())
    }

    /// Fails unless a queue has so many tasks in this status, and none in another.
    pub(crate) async fn verify(&self, queue: &str, status: Status, n: u64) -> anyhow::Result<()> {
        self.verify_all(queue, &[(status, n)]).await
    }

    /// Fails unless a queue has so many tasks in each of these, and none in another.
    pub(crate) async fn verify_all(&self, queue: &str, counts: &[(Status, u64)]) -> anyhow::Result<()> {
        let rows = self.manager.list_queue_statuses().await?;
        for row in rows.iter().filter(|row| row.queue.as_str() == queue) {
            let known = counts.iter().find(|(status, _)| *status == row.status);
            let expected = known.map_or(0, |(_, n)| *n);
            ensure!(
                row.count == expected,
                "wrong count: queue {queue} has {} tasks that are {}, not {expected}",
                row.count,
                row.status,
            );
        }
        ensure!(!rows.is_empty(), "wrong count: queue {queue} is not there");
        Ok(())
    }

    /// Removes all tasks and tickers, but no queue.
    pub(crate) async fn forget_tasks(&self) -> anyhow::Result<()> {
        self.forget(false, false).await
    }

    /// The same, and the pages that they were in, unless others have tasks in them too.
    pub(crate) async fn forget_pages(&self) -> anyhow::Result<()> {
        self.forget(false, true).await
    }

    async fn forget(&self, queues: bool, anew: bool) -> anyhow::Result<()> {
        let namespace = self.manager.namespace().as_str();
        let mut tries = 0;
        while let Err(error) = self.control.execute(FORGET_TASKS, &[&namespace, &queues, &anew]).await {
            tries += 1;
            let contended = error.code().is_some_and(|code| {
                [&SqlState::LOCK_NOT_AVAILABLE, &SqlState::T_R_DEADLOCK_DETECTED].contains(&code)
            });
            // Maintenance may be at work on the same tables.
            if !contended || tries == FORGET_TRIES {
                return Err(error).context("tasks could not be removed");
            }
        }
        Ok(())
    }

    /// Removes what a round has left.
    pub(crate) async fn clean(&self) -> anyhow::Result<()> {
        self.forget(true, false).await?;
        self.control.batch_execute(TRUNCATE_LIMITS).await?;
        self.control.batch_execute(VACUUM).await?;
        Ok(())
    }

    /// Has the server do what it would do some time after many rows were written, so that it does not do it while something is
    /// measured.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        self.control.batch_execute(VACUUM_ALL).await?;
        self.checkpoint().await;
        Ok(())
    }

    /// Begins a checkpoint cycle, where the user may. Returns whether.
    pub(crate) async fn checkpoint(&self) -> bool {
        self.control.batch_execute(CHECKPOINT).await.is_ok()
    }

    /// Begins to measure what tasks cost.
    pub(crate) async fn meter(&self) -> anyhow::Result<Meter<'_>> {
        Meter::start(self).await
    }

    /// How many bytes of WAL there are by now.
    pub(crate) async fn wal_position(&self) -> anyhow::Result<i64> {
        Ok(self.wal().await?.bytes)
    }

    pub(crate) async fn wal(&self) -> anyhow::Result<WalPosition> {
        let row = self.control.query_one(WAL_POSITION, &[]).await?;
        Ok(WalPosition { bytes: row.try_get(0)?, text: row.try_get(1)? })
    }

    /// What the WAL tells of the time between; `None` where it cannot be read.
    pub(crate) async fn wal_records(&self, from: &WalPosition, to: &WalPosition) -> Option<WalRecords> {
        if !self.reads_wal || from.bytes >= to.bytes {
            return None;
        }
        self.control.execute(FLUSH_WAL, &[]).await.ok()?;
        let row = self.control.query_one(WAL_RECORDS, &[&from.text, &to.text]).await;
        // It may have been recycled by now.
        let row = row.inspect_err(|error| note(&format!("the WAL cannot be read: {error:?}"))).ok()?;
        Some(WalRecords {
            commits: row.try_get("commits").ok()?,
            updates: row.try_get("updates").ok()?,
            hot_updates: row.try_get("hot_updates").ok()?,
            deletes: row.try_get("deletes").ok()?,
            images: row.try_get("images").ok()?,
        })
    }

    /// The number of the next transaction that writes.
    pub(crate) async fn next_transaction(&self) -> anyhow::Result<i64> {
        Ok(self.control.query_one(NEXT_TRANSACTION, &[]).await?.try_get(0)?)
    }

    /// How many transactions the database has seen.
    pub(crate) async fn transactions(&self) -> anyhow::Result<i64> {
        Ok(self.control.query_one(TRANSACTIONS, &[]).await?.try_get(0)?)
    }

    /// Where its figures come from, with the word for where the server is.
    pub(crate) async fn origin(&self, place: &str) -> anyhow::Result<Origin> {
        let rows = self.control.query(SETTINGS, &[]).await?;
        let setting = |row: &Row| Ok((row.try_get("name")?, row.try_get("value")?));
        let settings = rows.iter().map(setting).collect::<Result<Vec<_>, tokio_postgres::Error>>()?;
        let date = self.control.query_one(DATE, &[]).await?.try_get(0)?;
        Ok(Origin::new(&settings, place, date))
    }

    /// Removes everything that was made, and disconnects.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.clean().await?;
        self.control.batch_execute(TEARDOWN).await?;
        self.maintenance.into_inner().stop().await?;
        self.manager.close().await;
        Ok(())
    }
}

/// The database being maintained by this process.
#[derive(Debug)]
struct Maintenance {
    run: Option<JoinHandle<()>>,
    over: CancellationToken,
}

impl Maintenance {
    fn start(manager: &Manager) -> Self {
        let over = CancellationToken::new();
        let run = tokio::spawn({
            let (manager, over) = (manager.clone(), over.clone());
            async move { manager.run(over).await }
        });
        Self { run: Some(run), over }
    }

    async fn stop(&mut self) -> anyhow::Result<()> {
        self.over.cancel();
        if let Some(run) = self.run.take() {
            run.await?;
        }
        Ok(())
    }
}

/// The first process of the server, where that is on this machine.
async fn postmaster(client: &Client) -> anyhow::Result<Option<u32>> {
    let row = client.query_one(BACKEND, &[]).await?;
    let (backend, mark): (i32, String) = (row.try_get(0)?, row.try_get(1)?);
    Ok(u32::try_from(backend).ok().and_then(|backend| cpu::postmaster(backend, &mark)))
}

async fn connect(options: &ConnectOptions) -> anyhow::Result<Client> {
    let (client, driver) = options.connect().await.context("no connection to the database")?;
    // A connection that breaks is reported by its client.
    tokio::spawn(driver.run());
    Ok(client)
}
