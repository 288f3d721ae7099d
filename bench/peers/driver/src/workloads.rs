//! The workloads, the same for every system.

mod drain;
mod latency;
mod single;

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use clap::Parser;

use crate::args::{Args, Workload};
use crate::handled::say;
use crate::outcome::Outcome;
use crate::payload::Payloads;
use crate::system::{Place, System};

/// Does what the command line asks for, and ends the program.
///
/// # Errors
/// Whatever the system or its database reports. Nothing is printed to standard output then.
pub fn drive<S: System>() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let answer = runtime.block_on(answer::<S>(&args))?;
    say(&answer);
    // The measurement is over: nobody waits for workers to come to their end.
    std::process::exit(0);
}

async fn answer<S: System>(args: &Args) -> anyhow::Result<String> {
    if args.workload == Workload::Info {
        return Ok(serde_json::to_string(&S::info(args))?);
    }
    Ok(serde_json::to_string(&run::<S>(args).await?)?)
}

async fn run<S: System>(args: &Args) -> anyhow::Result<Outcome> {
    let url = std::env::var("DATABASE_URL").context("DATABASE_URL names the database")?;
    let Args { workload, callers, delete, .. } = *args;
    let place = Place { url, workload, callers, delete };
    if args.workload == Workload::Setup {
        S::setup(&place).await?;
        return Ok(Outcome::default());
    }
    let system = Arc::new(S::open(&place).await?);
    let payloads = Arc::new(Payloads::new(args.payload));
    match args.workload {
        Workload::Single => single::single(system, payloads, args).await,
        Workload::Drain => drain::drain(&*system, &place, args.tasks).await,
        Workload::Latency => latency::latency(&*system, &payloads, args).await,
        Workload::Worker => latency::worker(&*system).await,
        Workload::Bulk | Workload::Seed | Workload::Info | Workload::Setup => {
            bulk(&*system, &payloads, args.tasks).await
        }
    }
}

/// One caller that creates all tasks by the bulk call.
async fn bulk<S: System>(system: &S, payloads: &Payloads, tasks: usize) -> anyhow::Result<Outcome> {
    let all: Vec<_> = (0..tasks).map(|task| payloads.of(task)).collect();
    let chunks: Vec<_> = all.chunks(S::CHUNK).map(<[_]>::to_vec).collect();
    let started = Instant::now();
    for chunk in chunks {
        system.enqueue_all(chunk).await?;
    }
    let seconds = started.elapsed().as_secs_f64();
    Ok(Outcome { n: tasks as u64, seconds: Some(seconds), ..Outcome::default() })
}
