//! The `pgmill` command line: reads the arguments, runs one command, and turns its end into an exit code.

mod args;
mod commands;
mod database;
mod embedded;
mod failure;
mod feed;
mod logging;
mod output;
mod page;
mod payload;
mod remote;
mod settings;
mod show;
mod shutdown;
mod style;
mod version;
mod watch;

use std::process::ExitCode;

use anyhow::Context;

fn main() -> ExitCode {
    let cli = match args::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    logging::init(cli.debug, cli.command.voice());
    let end = run(cli.command).unwrap_or_else(|error| {
        output::error(&error);
        ExitCode::FAILURE
    });
    // Done it is, but whoever reads the file learns nothing of it.
    match output::unprinted() {
        Some(error) => {
            output::note(&format!("Error: standard output cannot be written: {error}"));
            ExitCode::FAILURE
        }
        None => end,
    }
}

fn run(command: commands::Command) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the program could not start its threads")?;
    let end = runtime.block_on(command.run());
    // Nothing is left to do, but a thread may still wait for input.
    runtime.shutdown_background();
    end
}
