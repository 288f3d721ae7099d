//! The `pgmill-chaos` command: a run with faults and its check, the times of recovery, and the processes of both.

mod args;
mod cast;
mod check;
mod clock;
mod coverage;
mod crashes;
mod dice;
mod evidence;
mod faults;
mod folder;
mod history;
mod linux;
mod plan;
mod recovery;
mod report;
mod roles;
mod run;
mod scene;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};

fn main() -> ExitCode {
    let Args { run, command } = Args::parse();
    let done = match command {
        Some(Command::Role(role)) => roles::run(&role).map(|()| true),
        Some(Command::Recovery(recovery)) => recovery::measure(&recovery, &run.load),
        None => run::run(&run),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("pgmill-chaos: {error:#}");
            ExitCode::FAILURE
        }
    }
}
