//! The `pgmill-bench` command: opens a server, runs the workloads in turn for so many rounds, and reports the medians.

mod args;
mod bench;
mod child;
mod costs;
mod cpu;
mod figure;
mod http;
mod limits;
mod measure;
mod process;
mod report;
mod sampler;
mod series;
mod served;
mod server;
mod workloads;

use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Parser;

use args::Args;
use bench::Bench;
use figure::{Figure, medians};
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
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the program could not start its threads")?;
    runtime.block_on(async {
        if let Some(args::Command::Child(child)) = &args.command {
            return child::run(child, args.url.as_deref()).await;
        }
        let server = Server::open(args.url.as_deref()).await?;
        let measured = measure(args, &server).await;
        // What went wrong first is what is reported.
        let closed = server.close().await;
        measured.and(closed)
    })
}

/// Measures everything, and cleans up even if it fails or is interrupted.
async fn measure(args: &Args, server: &Server) -> anyhow::Result<()> {
    let bench = Bench::open(server, args.plan()?).await?;
    let measured = tokio::select! {
        figures = rounds(&bench, args) => figures,
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
    };
    let machine = bench.machine().await;
    let closed = bench.close().await.context("the database could not be cleaned up");
    let (figures, machine) = (medians(measured?), machine?);
    let place = if server.is_embedded() { "embedded" } else { "--url" };
    let machine = format!("{machine} ({place})");
    if args.json {
        report::note(&machine);
        report::json(&figures)?;
    } else {
        report::table(&machine, &figures)?;
    }
    closed
}

async fn rounds(bench: &Bench, args: &Args) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    if !bench.checkpoint().await {
        report::note("this user may not CHECKPOINT: the figures for WAL depend on when the last one was");
    }
    for round in 1..=bench.plan.rounds {
        for workload in args.workloads().into_iter().filter(|workload| round == 1 || !workload.is_long()) {
            report::note(&format!("round {round} of {}: {workload:?}", bench.plan.rounds));
            figures.extend(workload.round(bench).await?);
        }
    }
    Ok(figures)
}
