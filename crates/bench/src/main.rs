//! The `pgmill-bench` command: opens a server, runs the workloads in turn for so many rounds, and reports the medians.

mod args;
mod bench;
mod child;
mod costs;
mod counter;
mod cpu;
mod dice;
mod figure;
mod http;
mod limits;
mod load;
mod machine;
mod measure;
mod process;
mod recorder;
mod report;
mod sampler;
mod series;
mod served;
mod server;
mod workloads;

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Parser;

use args::{Args, Command};
use bench::Bench;
use figure::{Figure, medians};
use machine::Origin;
use report::Entry;
use server::Server;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    match &args.command {
        Some(Command::Report(of)) => {
            let html = report::html(&report::read(&of.files)?);
            return Ok(create(&of.html)?.write_all(html.as_bytes())?);
        }
        Some(Command::Bars(of)) => {
            return Ok(io::stdout().write_all(report::bars(&report::read(&of.files)?).as_bytes())?);
        }
        Some(Command::Child(_)) | None => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the program could not start its threads")?;
    runtime.block_on(async {
        if let Some(Command::Child(child)) = &args.command {
            return child::run(child, args.url.as_deref()).await;
        }
        let server = Server::open(args).await?;
        let measured = measure(args, &server).await;
        // What went wrong first is what is reported.
        let closed = server.close().await;
        measured.and(closed)
    })
}

/// Measures everything, and cleans up even if it fails or is interrupted. What was measured until then is reported.
async fn measure(args: &Args, server: &Server) -> anyhow::Result<()> {
    let bench = Bench::open(server, args.plan()?).await?;
    let origin = bench.origin(if server.is_embedded() { "embedded" } else { "--url" }).await?;
    let mut figures = Vec::new();
    let measured = tokio::select! {
        measured = rounds(&bench, args, &mut figures) => measured,
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
    };
    let closed = bench.close().await.context("the database could not be cleaned up");
    let entries = medians(figures).into_iter().map(|figure| Entry::new(figure, origin.clone()));
    let reported = report(args, &origin, &entries.collect::<Vec<_>>());
    measured.and(closed).and(reported)
}

fn report(args: &Args, origin: &Origin, entries: &[Entry]) -> anyhow::Result<()> {
    if let Some(file) = &args.save {
        report::write(create(file)?, entries)?;
    }
    if let Some(file) = &args.html {
        create(file)?.write_all(report::html(entries).as_bytes())?;
    }
    if args.json {
        report::note(&origin.machine);
        report::write(io::stdout().lock(), entries)
    } else {
        report::table(&origin.machine, entries)
    }
}

fn create(file: &Path) -> anyhow::Result<File> {
    File::create(file).with_context(|| format!("{} cannot be written", file.display()))
}

async fn rounds(bench: &Bench, args: &Args, figures: &mut Vec<Figure>) -> anyhow::Result<()> {
    if !bench.checkpoint().await {
        report::note("this user may not CHECKPOINT: the figures for WAL depend on when the last one was");
    }
    for round in 1..=bench.plan.rounds {
        for workload in args.workloads().into_iter().filter(|workload| round == 1 || !workload.is_long()) {
            report::note(&format!("round {round} of {}: {workload:?}", bench.plan.rounds));
            figures.extend(workload.round(bench).await?);
        }
    }
    Ok(())
}
