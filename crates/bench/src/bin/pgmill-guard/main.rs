//! The guard: what a task costs, in figures that are the same on every run, held against those in `guard.json`.
//!
//! Rates are noise on a machine that others use. How many instructions the client executes, how many bytes of WAL the
//! server writes and how many statements it is sent are not: a change that costs shows in them, however busy the machine.
//!
//! ```text
//!   guard ──▶ PostgreSQL of its own
//!     ├─────▶ client PHASE, as it is              WAL, statements
//!     └─────▶ client PHASE, under callgrind       instructions, at two sizes: their difference is without the start
//! ```

mod client;
mod database;
mod figures;
mod instructions;
mod phase;
mod reference;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Parser;

use client::Client;
use database::Database;
use figures::Figures;
use phase::Phase;
use reference::{Maker, Reference};

/// How many tasks are counted statements and WAL of.
const TASKS: u32 = 10_240;

/// Holds what a task costs against the figures of a file.
#[derive(Debug, Parser)]
#[command(name = "pgmill-guard")]
struct Args {
    /// The figures that are held
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/guard.json"))]
    reference: PathBuf,

    /// Writes the figures of this run into the file, for them to be held from now on
    #[arg(long)]
    accept: bool,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// What this program starts as the client that is measured
    #[command(hide = true)]
    Client(Client),
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(Command::Client(client)) = &args.command {
        return client.run();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let database = Database::start()?;
    let measured = runtime.block_on(measure(&database));
    let maker = Maker::here(database.version());
    database.stop()?;
    let (measured, maker) = (measured?, maker?);
    if args.accept {
        Reference { made_with: maker, figures: measured }.write(&args.reference)?;
        println!("accepted: {}", args.reference.display());
        return Ok(());
    }
    let reference = Reference::read(&args.reference)?;
    let comparison = reference.figures.compare(&measured);
    println!("{comparison}");
    ensure!(
        comparison.is_met(),
        "a figure has left its reference by more than 5 %{}\nif that is meant: UPDATE_GUARD=1 make guard, and commit {}",
        reference.made_with.difference(&maker),
        args.reference.display(),
    );
    Ok(())
}

async fn measure(database: &Database) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    for phase in Phase::ALL {
        let cost = database.cost(phase, TASKS).await.with_context(|| format!("{phase} as it is"))?;
        figures.wal_bytes_per_task.insert(phase, cost.wal / f64::from(TASKS));
        figures.statements_per_1000_tasks.insert(phase, cost.statements * 1e3 / f64::from(TASKS));
    }
    for phase in Phase::ALL {
        let instructions = instructions::per_task(database, phase)
            .await
            .with_context(|| format!("{phase} under callgrind"))?;
        figures.instructions_per_task.insert(phase, instructions);
    }
    Ok(figures.with_release_alone())
}
