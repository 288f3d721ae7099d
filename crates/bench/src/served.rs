//! The server of pgmill as it is run: the program `pgmill`, which lies beside this one.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::bench::Bench;
use crate::cpu::Worked;

/// After how long without an address, or an end, it is taken for stuck.
const STUCK: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(10);

/// `pgmill run` on the database of the measurement, without tokens or TLS. Killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Served {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// What a process has taken so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// What it has in memory, in bytes.
    pub(crate) memory: u64,
    /// How long it was at work, on all cores together.
    pub(crate) cpu: Duration,
}

/// A line of its log.
#[derive(Deserialize)]
struct Line {
    addr: Option<SocketAddr>,
}

impl Served {
    /// Starts it, and waits until it listens. Its log, with a line for each request, goes to a file, as it does in
    /// production.
    pub(crate) async fn start(bench: &Bench) -> anyhow::Result<Self> {
        let log = tempfile::tempfile().context("no file for the log of the server")?;
        let mut child = Command::new(program()?)
            .args(["run", "--http.addr", "127.0.0.1:0", "--namespace", bench.manager.namespace().as_str()])
            .env("DATABASE_URL", &bench.url)
            .stdin(Stdio::null())
            .stderr(log.try_clone()?)
            .kill_on_drop(true)
            .spawn()
            .context("pgmill run could not be started")?;
        let started = Instant::now();
        loop {
            if let Some(address) = address(&log)? {
                return Ok(Self { child, address });
            }
            if let Some(status) = child.try_wait()? {
                bail!("pgmill run ended with {status}: {}", read(&log)?.trim_end());
            }
            ensure!(started.elapsed() < STUCK, "pgmill run does not listen: {}", read(&log)?.trim_end());
            sleep(LOOK).await;
        }
    }

    /// What it has taken so far; `None` where the system does not tell as Linux does.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let id = self.child.id()?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        Some(Usage { memory: memory(&status)?, cpu: Worked::of(id)?.own })
    }

    /// Has it come to its end in order.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let id = self.child.id().context("the server ended by itself")?;
        kill(Pid::from_raw(i32::try_from(id)?), Signal::SIGTERM)?;
        let status = timeout(STUCK, self.child.wait()).await.context("the server does not stop")??;
        ensure!(status.success(), "the server ended with {status}");
        Ok(())
    }
}

impl Usage {
    /// How much of one core it was at work since then, in percent.
    pub(crate) fn cpu_percent_since(&self, before: &Self, took: Duration) -> f64 {
        100.0 * self.cpu.saturating_sub(before.cpu).as_secs_f64() / took.as_secs_f64().max(1e-9)
    }
}

/// The program `pgmill` of the same build as this one.
fn program() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("pgmill");
    ensure!(
        program.is_file(),
        "{} is not there: build it as this program was, with cargo build --release -p pgmill-cli",
        program.display()
    );
    Ok(program)
}

/// Where it listens, once it says so.
fn address(log: &File) -> anyhow::Result<Option<SocketAddr>> {
    let text = read(log)?;
    Ok(text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()?.addr).next())
}

/// What it has said so far. Reading at a position leaves alone the one at which it writes.
fn read(log: &File) -> io::Result<String> {
    let mut text = vec![0; usize::try_from(log.metadata()?.len()).unwrap_or(0)];
    log.read_exact_at(&mut text, 0)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn memory(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_has_in_memory_is_read_as_linux_tells_it() {
        assert_eq!(memory("Name:\tx\nVmRSS:\t    2048 kB\nRssAnon:\t 1 kB\n"), Some(2 << 20));
        assert_eq!(memory("Name:\tx\n"), None);
    }
}
