//! The commands, one file each. Every one reads its own arguments, and returns the exit code of the program.

mod demo;
mod migrate;
mod postgres;
mod work;

use std::process::ExitCode;

/// What the program can do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Work(work::Args),
    Demo(demo::Args),
    Postgres(postgres::Args),
    Migrate(migrate::Args),
}

impl Command {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Work(args) => work::run(args).await,
            Self::Demo(args) => demo::run(args).await,
            Self::Postgres(args) => postgres::run(args).await,
            Self::Migrate(args) => migrate::run(args).await,
        }
    }
}
