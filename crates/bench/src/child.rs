//! The other processes of a measurement: this program again, told to be a worker.
//!
//! A child says `ready`, then a line for each task or tick as soon as it has it, with the time by the clock of the machine,
//! which is that of its parent too. It ends when its standard input does, so that none outlives its parent.

use std::io::{self, Read, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::ValueEnum;
use futures_util::future::try_join_all;
use pgmill::{Context, Manager, Outcome, QueueOptions, Retain, TickerLoop, WorkerPool};
use tokio_util::sync::CancellationToken;

/// What is asked of a child. Its database is `--url`, by the environment, where others do not read it.
#[derive(Debug, clap::Args)]
pub(crate) struct ChildArgs {
    pub(crate) role: Role,
    pub(crate) namespace: String,
}

/// What a child is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// A worker pool, without maintenance.
    Pool,
    /// A worker pool as it is by default, maintenance included.
    Maintainer,
    /// A loop that takes tasks one after the other.
    Loop,
    /// A loop that takes ticks.
    Ticker,
    /// Takes as many tasks as it can get, and says how many it has released.
    Drainer,
}

impl Role {
    /// The name by which a child is started as it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Maintainer => "maintainer",
            Self::Loop => "loop",
            Self::Ticker => "ticker",
            Self::Drainer => "drainer",
        }
    }
}

/// Is a worker until its standard input ends.
pub(crate) async fn run(child: &ChildArgs, url: Option<&str>) -> anyhow::Result<()> {
    let url = url.context("a child needs a database")?;
    let manager = Manager::connect(url).namespace(&child.namespace).migrate(false).await?;
    let over = over();
    match child.role {
        Role::Pool => pool(&manager, false, over).await?,
        Role::Maintainer => pool(&manager, true, over).await?,
        Role::Loop => take_tasks(&manager, over).await?,
        Role::Ticker => take_ticks(&manager, over).await?,
        Role::Drainer => drain(&manager, over).await?,
    }
    manager.close().await;
    Ok(())
}

async fn pool(manager: &Manager, maintenance: bool, over: CancellationToken) -> anyhow::Result<()> {
    let pool = WorkerPool::builder(manager).workers(4).maintenance(maintenance).build()?;
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

async fn drain(manager: &Manager, over: CancellationToken) -> anyhow::Result<()> {
    say("ready");
    while !over.is_cancelled() {
        let tasks = manager.next_tasks("bench", &[], Retain::new().count(256)).await?;
        if tasks.is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
            continue;
        }
        try_join_all(tasks.iter().map(|task| manager.release_task(task, Outcome::done_empty()))).await?;
        say(&tasks.len().to_string());
    }
    Ok(())
}

/// Cancelled when the standard input ends.
fn over() -> CancellationToken {
    let over = CancellationToken::new();
    let token = over.clone();
    // A thread of its own: one of the runtime's would have to be waited for.
    std::thread::spawn(move || {
        drop(io::stdin().read_to_end(&mut Vec::new()));
        token.cancel();
    });
    over
}

fn tell(what: &str, nanoseconds: u64) {
    say(&format!("{what} {nanoseconds}"));
}

fn say(line: &str) {
    // A parent that went away ends this process by itself.
    let _ = writeln!(io::stdout(), "{line}");
}

/// Nanoseconds by the clock of the machine, which all of its processes share.
pub(crate) fn now() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX)
}
