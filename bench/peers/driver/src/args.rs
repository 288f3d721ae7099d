//! What a driver is asked to do.

use clap::ValueEnum;

/// The command line of a driver.
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// What to do
    pub workload: Workload,

    /// How many tasks to create or to drain
    #[arg(long, default_value_t = 1_000)]
    pub tasks: usize,

    /// How many callers create tasks at once
    #[arg(long, default_value_t = 8)]
    pub callers: usize,

    /// For how many seconds they do
    #[arg(long, default_value_t = 1.0)]
    pub seconds: f64,

    /// How many tasks are created for an idle worker
    #[arg(long, default_value_t = 100)]
    pub samples: usize,

    /// The length of each payload as JSON text, in bytes
    #[arg(long, default_value_t = 100)]
    pub payload: usize,

    /// Asks a system that keeps history to delete what is done
    #[arg(long)]
    pub delete: bool,
}

/// What can be asked of a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// Says what the system is, without a database
    Info,
    /// Installs the schema
    Setup,
    /// Creates tasks one by one, by several callers
    Single,
    /// Creates tasks by the bulk call
    Bulk,
    /// The same, with nothing measured
    Seed,
    /// Runs the tasks that wait
    Drain,
    /// Creates tasks one at a time for an idle worker in another process
    Latency,
    /// Is that other process
    Worker,
}

impl Workload {
    /// The word that asks for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Setup => "setup",
            Self::Single => "single",
            Self::Bulk => "bulk",
            Self::Seed => "seed",
            Self::Drain => "drain",
            Self::Latency => "latency",
            Self::Worker => "worker",
        }
    }
}
