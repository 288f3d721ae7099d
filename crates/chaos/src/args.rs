//! What the command line asks for.

use std::path::PathBuf;

use crate::plan::Kind;
use crate::roles::RoleArgs;

/// Breaks what pgmill runs on, and checks that nothing is lost.
///
/// Starts a PostgreSQL of its own, workers, producers and the server, and injects faults while they work. At the end it waits
/// until all is done, and holds what each process wrote down against the tables.
#[derive(Debug, clap::Parser)]
#[command(name = "pgmill-chaos", version)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) run: RunArgs,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Measures how long it takes until the rate is back after each kind of fault, and prints a table in Markdown
    Recovery(RecoveryArgs),
    /// What this program starts as its other processes
    #[command(hide = true)]
    Role(RoleArgs),
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RunArgs {
    /// What the run follows from: the same seed plans the same faults. Without it, another one each time
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,

    /// How many faults are injected
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(crate) faults: usize,

    /// After how many minutes no more faults are injected, whether or not all were
    #[arg(long, value_name = "M", default_value_t = 30)]
    pub(crate) minutes: u64,

    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct LoadArgs {
    /// The kinds of faults; without it, all
    #[arg(long, value_enum, value_name = "KIND", num_args = 1.., global = true)]
    pub(crate) only: Vec<Kind>,

    /// How many tasks each of the three producers creates in a second, about
    #[arg(long, value_name = "TASKS", default_value_t = 40, global = true)]
    pub(crate) rate: u64,

    /// Where the histories are kept; without it, in a temporary folder, which is kept if the run fails
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) keep: Option<PathBuf>,
}

impl LoadArgs {
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        if self.only.is_empty() { Kind::all() } else { self.only.clone() }
    }
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RecoveryArgs {
    /// How often each kind is measured
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) samples: usize,

    /// What the length and the victim of each fault follow from
    #[arg(long = "from-seed", value_name = "S", default_value_t = 6)]
    pub(crate) seed: u64,
}
