//! Starts a driver, and reads its answer.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use peer_driver::{Info, Outcome};
use serde::de::DeserializeOwned;
use tokio::process::Command;
use tokio::time::timeout;

use crate::args::Plan;

/// How much of what a driver says of its failure is repeated.
const TAIL: usize = 600;

/// The program that drives a system.
#[derive(Debug, Clone)]
pub(crate) struct Driver {
    pub(crate) program: PathBuf,
    /// What it runs, where it is an interpreter.
    pub(crate) script: Option<PathBuf>,
    /// What is added to every call.
    pub(crate) args: Vec<String>,
}

impl Driver {
    /// What the system is.
    pub(crate) async fn info(&self) -> anyhow::Result<Info> {
        self.ask(self.command("info"), Duration::from_secs(60)).await
    }

    /// Does a workload.
    pub(crate) async fn run(
        &self,
        workload: &str,
        callers: u32,
        url: &str,
        plan: &Plan,
    ) -> anyhow::Result<Outcome> {
        let mut command = self.command(workload);
        command.env("DATABASE_URL", url);
        command.args(["--tasks", &plan.tasks.to_string(), "--callers", &callers.to_string()]);
        command.args(["--seconds", &plan.seconds.to_string(), "--samples", &plan.samples.to_string()]);
        command.args(["--payload", &plan.payload.to_string()]);
        self.ask(command, plan.timeout).await
    }

    fn command(&self, workload: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.script).arg(workload).args(&self.args);
        command
    }

    async fn ask<A: DeserializeOwned>(&self, mut command: Command, within: Duration) -> anyhow::Result<A> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} cannot be started", self.program.display()))?;
        let Ok(output) = timeout(within, child.wait_with_output()).await else {
            bail!("it took longer than {} s", within.as_secs());
        };
        let output = output?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {}", output.status, tail(&said));
        answer(&String::from_utf8_lossy(&output.stdout))
    }
}

/// Reads the one line that a driver prints.
fn answer<A: DeserializeOwned>(printed: &str) -> anyhow::Result<A> {
    let mut lines = printed.lines();
    let line = lines.next().context("it printed nothing")?;
    ensure!(lines.next().is_none(), "it printed more than one line: {}", tail(printed));
    serde_json::from_str(line).with_context(|| format!("it printed {line:?}"))
}

/// The end of a text, in one line.
fn tail(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let skipped = line.chars().count().saturating_sub(TAIL);
    line.chars().skip(skipped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_line_of_json() {
        let outcome: Outcome = answer("{\"n\":7,\"p50_ms\":1.5}\n").unwrap();
        assert_eq!((outcome.n, outcome.p50_ms, outcome.seconds), (7, Some(1.5), None));
        assert!(answer::<Outcome>("").is_err());
        assert!(answer::<Outcome>("{\"n\":7}\n{\"n\":7}\n").is_err());
        assert!(answer::<Outcome>("done\n").is_err());
    }

    #[test]
    fn a_long_complaint_is_cut_at_its_beginning() {
        assert_eq!(tail("a\n  b"), "a b");
        let cut = tail(&format!("{} the end", "x".repeat(2 * TAIL)));
        assert!(cut.ends_with(" the end") && cut.len() == TAIL, "{cut}");
    }
}
