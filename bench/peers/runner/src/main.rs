//! The `peers` command: measures task queues on PostgreSQL side by side, each by its own driver, and writes the table.

mod args;
mod build;
mod driver;
mod figures;
mod machine;
mod measure;
mod report;
mod round;
mod server;
mod system;
mod usage;

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Parser;

use args::Args;
use report::Report;
use round::Row;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let measured = tokio::select! {
        measured = run(&args) => measured,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> anyhow::Result<()> {
    let plan = args.plan();
    let bin_dir = server::bin_dir(args.bin_dir.as_deref())?;
    let systems = system::chosen(&args.only)?;
    let built = build::build(&systems)?;
    let mut rows = Vec::new();
    for system in systems {
        rows.push(Row::new(system, &built).await);
    }
    if rows.iter().all(|row| row.driver.is_err()) {
        let reasons: Vec<_> = rows.iter().flat_map(Row::reasons).collect();
        bail!("no system can be driven:\n{}", reasons.join("\n"));
    }
    // Systems take turns within a round, so that each meets the machine in all of its moods.
    let mut machine = None;
    for round in 1..=plan.rounds {
        for row in &mut rows {
            eprintln!("round {round} of {}: {}", plan.rounds, row.name);
            let described = row.round(&plan, &bin_dir, args.dir.as_deref()).await;
            machine = machine.or(described.with_context(|| format!("no PostgreSQL for {}", row.name))?);
        }
    }
    let report = Report::new(plan, machine.unwrap_or_default(), &rows);
    println!("{}", report.table());
    if let Some(file) = &args.json {
        let json = serde_json::to_string_pretty(&report)?;
        std::fs::write(file, json).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    Ok(())
}
