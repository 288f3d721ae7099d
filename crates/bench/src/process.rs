//! A child, as its parent sees it.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::bench::Bench;
use crate::child::Role;

/// After how long without a word a child is taken for stuck.
const STUCK: Duration = Duration::from_secs(30);

/// Another process that works in the namespace of the measurement. Killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts it, and waits until it is ready.
    pub(crate) async fn start(bench: &Bench, role: Role) -> anyhow::Result<Self> {
        Self::start_with(bench, role, &[]).await
    }

    /// The same, of a pool with so many workers.
    pub(crate) async fn start_pool(bench: &Bench, role: Role, workers: u32) -> anyhow::Result<Self> {
        Self::start_with(bench, role, &[workers.to_string()]).await
    }

    async fn start_with(bench: &Bench, role: Role, arguments: &[String]) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["child", role.name(), bench.manager.namespace().as_str()])
            .args(arguments)
            .env("DATABASE_URL", &bench.url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("another process could not be started")?;
        let input = child.stdin.take().context("a pipe that was asked for")?;
        let lines = BufReader::new(child.stdout.take().context("a pipe that was asked for")?).lines();
        let mut process = Self { child, input, lines };
        let ready = process.line().await?;
        ensure!(ready == "ready", "the other process said {ready:?}");
        Ok(process)
    }

    /// Lets one begin that waits for it.
    pub(crate) async fn go(&mut self) -> anyhow::Result<()> {
        self.input.write_all(b"go\n").await.context("the other process ended by itself")
    }

    /// The next line that it says.
    pub(crate) async fn line(&mut self) -> anyhow::Result<String> {
        let line = timeout(STUCK, self.lines.next_line()).await.context("the other process is stuck")??;
        line.context("the other process ended by itself")
    }

    /// The next task that it took, and when; of one that counts, how many it has done, and when the last.
    pub(crate) async fn task(&mut self) -> anyhow::Result<(u64, u64)> {
        let line = self.line().await?;
        let Some((id, at)) = line.split_once(' ') else { bail!("the other process said {line:?}") };
        Ok((id.parse()?, at.parse()?))
    }

    /// Has it come to its end in order. Returns what it had still to say.
    pub(crate) async fn end(mut self) -> anyhow::Result<Vec<String>> {
        drop(self.input);
        let mut rest = Vec::new();
        while let Some(line) =
            timeout(STUCK, self.lines.next_line()).await.context("the other process is stuck")??
        {
            rest.push(line);
        }
        let status = self.child.wait().await?;
        ensure!(status.success(), "the other process ended with {status}");
        Ok(rest)
    }
}
