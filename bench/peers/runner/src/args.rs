//! What the command line asks for.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

/// Measures task queues on PostgreSQL side by side, each by its own driver, and prints a table.
///
/// Every system gets a PostgreSQL server of its own, made for it and removed afterwards, with the same settings.
#[derive(Debug, clap::Parser)]
#[command(name = "peers", version)]
pub(crate) struct Args {
    /// The systems to measure, by the names of the first column; without it, all of them
    #[arg(long, value_name = "SYSTEM", num_args = 1..)]
    pub(crate) only: Vec<String>,

    /// One short round of few tasks: to see that all works, not for figures
    #[arg(long)]
    quick: bool,

    /// How many tasks are created in bulk and drained [default: 100000, quick: 10000]
    #[arg(long, value_name = "N")]
    tasks: Option<u32>,

    /// How often each system is measured; medians are reported [default: 3, quick: 1]
    #[arg(long, value_name = "N")]
    rounds: Option<u32>,

    /// For how long callers create tasks one by one [default: 5, quick: 1]
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,

    /// How many tasks an idle worker gets [default: 300, quick: 50]
    #[arg(long, value_name = "K")]
    samples: Option<u32>,

    /// The length of each payload as JSON text, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 100)]
    payload: u32,

    /// After how many seconds a workload of one system is given up
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,

    /// Writes everything that was measured to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// The folder of the server's programs; without it, the newest below /usr/lib/postgresql
    #[arg(long, value_name = "DIR")]
    pub(crate) bin_dir: Option<PathBuf>,

    /// Where the servers' data is, on a real disk; without it, the system's temporary folder
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// How much is measured.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Plan {
    pub(crate) rounds: u32,
    pub(crate) tasks: u32,
    pub(crate) seconds: f64,
    pub(crate) samples: u32,
    pub(crate) payload: u32,
    pub(crate) timeout: Duration,
}

impl Args {
    pub(crate) fn plan(&self) -> Plan {
        let (rounds, tasks, seconds, samples) =
            if self.quick { (1, 10_000, 1.0, 50) } else { (3, 100_000, 5.0, 300) };
        Plan {
            rounds: self.rounds.unwrap_or(rounds).max(1),
            tasks: self.tasks.unwrap_or(tasks).max(1),
            seconds: self.seconds.unwrap_or(seconds),
            samples: self.samples.unwrap_or(samples).max(1),
            payload: self.payload,
            timeout: Duration::from_secs(self.timeout),
        }
    }
}
