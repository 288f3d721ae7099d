//! How many instructions a client executes for a task, as callgrind counts them.

use std::process::Command;

use anyhow::Context;
use tempfile::TempDir;

use crate::database::Database;
use crate::phase::Phase;

/// The tasks of two runs. What both do, the start among it, is not in their difference.
const FEW: u32 = 2_048;
const MANY: u32 = 6_144;

pub(crate) async fn per_task(database: &Database, phase: Phase) -> anyhow::Result<f64> {
    let few = count(database, phase, FEW).await?;
    let many = count(database, phase, MANY).await?;
    Ok((many - few) / f64::from(MANY - FEW))
}

async fn count(database: &Database, phase: Phase, tasks: u32) -> anyhow::Result<f64> {
    let folder = TempDir::new()?;
    let counts = folder.path().join("callgrind.out");
    let mut tool = Command::new("valgrind");
    tool.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", counts.display()));
    database.run_under(tool, phase, tasks).await?;
    let counts = std::fs::read_to_string(&counts).context("callgrind has counted nothing")?;
    total(&counts).context("callgrind has written no total")
}

/// The instructions in all.
fn total(counts: &str) -> Option<f64> {
    counts.lines().find_map(|line| line.strip_prefix("totals:")).and_then(|total| total.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_callgrind_is_read() {
        assert_eq!(total("version: 1\nevents: Ir\nfn=(1)\n1 20\ntotals: 123456\n"), Some(123_456.0));
        assert_eq!(total("version: 1\nevents: Ir\n"), None);
    }
}
