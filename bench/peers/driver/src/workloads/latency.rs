//! How long a task waits for a worker in another process that has nothing else to do: from before the call that creates it
//! until the start of its handler. One task at a time, with a pause before each, so that the worker is asleep.

use std::io::{self, Read};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{ChildStdout, Command};
use tokio::time::{sleep, timeout};

use crate::args::{Args, Workload};
use crate::clock::{Latencies, now};
use crate::handled::{say, tell};
use crate::outcome::Outcome;
use crate::payload::Payloads;
use crate::system::{Load, System};

/// The pause between a task and the next.
const IDLE: Duration = Duration::from_millis(20);
/// How long the worker has, from its start, until it is one that has nothing to do.
const SETTLED: Duration = Duration::from_secs(2);
/// The tasks that fill caches, before those that are measured.
const WARM_UP: usize = 10;
/// When to end with fewer samples than asked for.
const LONGEST: Duration = Duration::from_secs(60);
/// After how long a task is taken for lost.
const LOST: Duration = Duration::from_secs(30);

/// The producer: starts the worker, which is this program again, and creates tasks for it.
pub(super) async fn latency<S: System>(
    system: &S,
    payloads: &Payloads,
    args: &Args,
) -> anyhow::Result<Outcome> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(Workload::Worker.name()).args(args.delete.then_some("--delete"));
    let mut worker = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("the worker could not be started")?;
    let mut lines = BufReader::new(worker.stdout.take().context("a pipe that was asked for")?).lines();
    ensure!(line(&mut lines).await? == "ready", "the worker is not ready");
    sleep(SETTLED).await;
    let mut latencies = Vec::new();
    let started = Instant::now();
    for sample in 0..WARM_UP + args.samples {
        sleep(IDLE).await;
        let created = now();
        system.enqueue(payloads.of(sample)).await?;
        let handled: u64 = line(&mut lines).await?.parse()?;
        if sample >= WARM_UP {
            latencies.push(Duration::from_nanos(handled.saturating_sub(created)));
        }
        if started.elapsed() > LONGEST && !latencies.is_empty() {
            break;
        }
    }
    worker.kill().await?;
    let latencies = Latencies::new(latencies);
    Ok(Outcome {
        n: latencies.count(),
        p50_ms: latencies.percentile(50),
        p99_ms: latencies.percentile(99),
        ..Outcome::default()
    })
}

/// The next line that the worker says.
async fn line(lines: &mut Lines<BufReader<ChildStdout>>) -> anyhow::Result<String> {
    let line = timeout(LOST, lines.next_line()).await.context("the worker got no task")??;
    line.context("the worker ended by itself")
}

/// The worker: says when each handler is started, until its parent goes away.
pub(super) async fn worker<S: System>(system: &S) -> anyhow::Result<Outcome> {
    std::thread::spawn(|| {
        drop(io::stdin().read_to_end(&mut Vec::new()));
        std::process::exit(0);
    });
    tell();
    say("ready");
    system.work(Load::Idle).await?;
    anyhow::bail!("the worker ended by itself")
}
