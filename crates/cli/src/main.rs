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
mod serving;
mod settings;
mod show;
mod shutdown;
mod style;
mod traces;
mod version;
mod watch;

use std::process::ExitCode;

use anyhow::Context;

use self::traces::Traces;

/// The exit code where traces cannot be sent as the arguments want it.
const NO_TRACES: u8 = 2;

fn main() -> ExitCode {
    let cli = match args::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let end = run(cli).unwrap_or_else(|error| {
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

fn run(cli: args::Cli) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the program could not start its threads")?;
    let traces = match Traces::open(cli.command.traces(), runtime.handle()) {
        Ok(traces) => traces,
        Err(error) => {
            output::error(&error);
            return Ok(ExitCode::from(NO_TRACES));
        }
    };
    logging::init(cli.debug, cli.command.voice(), traces.layer());
    let end = runtime.block_on(cli.command.run());
    traces.close();
    // Nothing is left to do, but a thread may still wait for input.
    runtime.shutdown_background();
    end
}
