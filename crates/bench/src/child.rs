//! The other processes of a measurement: this program again, told to be a worker.
//!
//! A child says `ready`, then a line for each task or tick as soon as it has it, with the time by the clock of the machine,
//! which is that of its parent too; one that counts waits for a line before it begins, and says how many there are. It ends when its standard input does, so that none outlives its parent.

use std::io::{self, BufRead, Read, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::ValueEnum;
use pgmill::{ConnectOptions, Context, Manager, Outcome, QueueOptions, TickerLoop, WorkerPool};
use tokio_util::sync::CancellationToken;

use crate::{counter, recorder};

/// What is asked of a child. Its database is `--url`, by the environment, where others do not read it.
#[derive(Debug, clap::Args)]
pub(crate) struct ChildArgs {
    pub(crate) role: Role,
    pub(crate) namespace: String,
    /// How many handlers a pool runs at once.
    #[arg(default_value_t = 4)]
    pub(crate) workers: usize,
}

/// What a child is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// A worker pool, without maintenance.
    Pool,
    /// A worker pool as it is by default, maintenance included.
    Maintainer,
    /// A worker pool that counts what it has done, without maintenance.
    Counter,
    /// A loop that takes tasks one after the other.
    Loop,
    /// A loop that takes ticks.
    Ticker,
    /// A pool as it is by default, but behind a pooler: it is told of no task, and looks by itself.
    PooledMaintainer,
    /// A pool for any queue that remembers its attempts, without maintenance.
    Recorder,
    /// The same behind a pooler.
    PooledRecorder,
    /// The same, where one task in ten fails once.
    FailingRecorder,
}

impl Role {
    /// The name by which a child is started as it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Maintainer => "maintainer",
            Self::Counter => "counter",
            Self::Loop => "loop",
            Self::Ticker => "ticker",
            Self::PooledMaintainer => "pooled-maintainer",
            Self::Recorder => "recorder",
            Self::PooledRecorder => "pooled-recorder",
            Self::FailingRecorder => "failing-recorder",
        }
    }
}

/// Is a worker until its standard input ends.
pub(crate) async fn run(child: &ChildArgs, url: Option<&str>) -> anyhow::Result<()> {
    let url = url.context("a child needs a database")?;
    let options = ConnectOptions::parse(url)?;
    let pooler = options.is_pooler() || matches!(child.role, Role::PooledMaintainer | Role::PooledRecorder);
    let manager = Manager::connect_with(options.with_pooler(pooler));
    let manager = manager.namespace(&child.namespace).migrate(false).await?;
    let Input { go, over } = input();
    match child.role {
        Role::Pool => pool(&manager, child.workers, false, over).await?,
        Role::Maintainer | Role::PooledMaintainer => pool(&manager, child.workers, true, over).await?,
        Role::Counter => counter::work(&manager, child.workers, go, over).await?,
        Role::Loop => take_tasks(&manager, over).await?,
        Role::Ticker => take_ticks(&manager, over).await?,
        Role::Recorder | Role::PooledRecorder => recorder::work(&manager, false, over).await?,
        Role::FailingRecorder => recorder::work(&manager, true, over).await?,
    }
    manager.close().await;
    Ok(())
}

async fn pool(
    manager: &Manager,
    workers: usize,
    maintenance: bool,
    over: CancellationToken,
) -> anyhow::Result<()> {
    let pool = WorkerPool::builder(manager).workers(workers).maintenance(maintenance).build()?;
    pool.register_raw(&[], QueueOptions::new(), async |context: Context| {
        tell(&context.id().to_string(), now());
        Outcome::done_empty()
    })
    .await?;
    say("ready");
    pool.run(over).await?;
    Ok(())
}

async fn take_tasks(manager: &Manager, over: CancellationToken) -> anyhow::Result<()> {
    let mut tasks = manager.run_task_loop("bench", &[], over)?;
    say("ready");
    while let Some(task) = tasks.next().await {
        tell(&task.id.to_string(), now());
        manager.release_task(&task, Outcome::done_empty()).await?;
    }
    Ok(())
}

/// For a tick, the line says besides how late it is, in microseconds.
async fn take_ticks(manager: &Manager, over: CancellationToken) -> anyhow::Result<()> {
    let mut ticks = manager.run_ticker_loop(TickerLoop::new().until(over))?;
    say("ready");
    while let Some(tick) = ticks.next().await {
        let tick = tick?;
        let due = tick.timestamp.context("a tick has a time")?.as_microsecond();
        tell(&format!("{} {due}", tick.ticker), now());
    }
    Ok(())
}

/// What comes by the standard input: a line, for those who wait for one, and its end.
struct Input {
    go: CancellationToken,
    over: CancellationToken,
}

fn input() -> Input {
    let (go, over) = (CancellationToken::new(), CancellationToken::new());
    let input = Input { go: go.clone(), over: over.clone() };
    // A thread of its own: one of the runtime's would have to be waited for.
    std::thread::spawn(move || {
        let mut lines = io::stdin().lock();
        drop(lines.read_line(&mut String::new()));
        go.cancel();
        drop(lines.read_to_end(&mut Vec::new()));
        over.cancel();
    });
    input
}

fn tell(what: &str, nanoseconds: u64) {
    say(&format!("{what} {nanoseconds}"));
}

pub(crate) fn say(line: &str) {
    // A parent that went away ends this process by itself.
    let _ = writeln!(io::stdout(), "{line}");
}

/// Nanoseconds by the clock of the machine, which all of its processes share.
pub(crate) fn now() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX)
}
