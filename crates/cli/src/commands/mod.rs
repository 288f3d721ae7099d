//! The commands, one file each. Every one reads its own arguments, and returns the exit code of the program.

mod demo;
mod migrate;
mod postgres;
mod run;
mod work;

use std::process::ExitCode;

use crate::logging::Voice;

/// What the program can do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Work(work::Args),
    Demo(demo::Args),
    Run(run::Args),
    Postgres(postgres::Args),
    Migrate(migrate::Args),
}

impl Command {
    /// Whose logs the command writes.
    pub(crate) fn voice(&self) -> Voice {
        match self {
            Self::Run(_) => Voice::Server,
            _ => Voice::Command,
        }
    }

    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Work(args) => work::run(args).await,
            Self::Demo(args) => demo::run(args).await,
            Self::Run(args) => run::run(args).await,
            Self::Postgres(args) => postgres::run(args).await,
            Self::Migrate(args) => migrate::run(args).await,
        }
    }
}
