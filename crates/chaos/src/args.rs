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

impl RunArgs {
    /// The flags that plan the same run again, by the seed that was chosen for it. Without the folder: each run has its own.
    pub(crate) fn again(&self, seed: u64) -> String {
        let Self { faults, minutes, load: LoadArgs { only, rate, .. }, .. } = self;
        let mut flags = format!("--seed {seed} --faults {faults} --minutes {minutes} --rate {rate}");
        for (at, kind) in only.iter().enumerate() {
            flags += if at == 0 { " --only " } else { " " };
            flags += &kind.name();
        }
        flags
    }
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn a_run_is_repeated_by_all_the_flags_that_it_was_given() {
        let given = "pgmill-chaos --faults 40 --rate 7 --minutes 3 --keep here --only crash disk-full";
        let again = Args::parse_from(given.split(' ')).run.again(6);
        assert_eq!(again, "--seed 6 --faults 40 --minutes 3 --rate 7 --only crash disk-full");
        let repeated = Args::parse_from(format!("pgmill-chaos {again}").split(' ')).run;
        assert_eq!(repeated.again(repeated.seed.unwrap()), again);
    }
}
