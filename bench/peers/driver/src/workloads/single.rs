//! Callers that create one task after the other, each waiting until it is durable.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::args::Args;
use crate::clock::Latencies;
use crate::outcome::Outcome;
use crate::payload::Payloads;
use crate::system::System;

/// The calls of each caller that open the connections and fill the caches, before the clock starts.
const WARM_UP: usize = 8;

/// What one caller got done.
struct Called {
    started: Instant,
    ended: Instant,
    latencies: Vec<Duration>,
}

pub(super) async fn single<S: System>(
    system: Arc<S>,
    payloads: Arc<Payloads>,
    args: &Args,
) -> anyhow::Result<Outcome> {
    let window = Duration::from_secs_f64(args.seconds);
    let barrier = Arc::new(Barrier::new(args.callers));
    let mut callers = JoinSet::new();
    for caller in 0..args.callers {
        callers.spawn(call(Arc::clone(&system), Arc::clone(&payloads), Arc::clone(&barrier), caller, window));
    }
    let mut called = Vec::new();
    while let Some(caller) = callers.join_next().await {
        // The first that fails ends the program, and so those that wait for it.
        called.push(caller??);
    }
    let started = called.iter().map(|caller| caller.started).min();
    let ended = called.iter().map(|caller| caller.ended).max();
    let took = started.zip(ended).map(|(started, ended)| ended - started);
    let latencies = Latencies::new(called.into_iter().flat_map(|caller| caller.latencies).collect());
    ensure!(latencies.count() > 0, "no call was made: there is no caller, or the window is too short");
    Ok(Outcome {
        n: latencies.count(),
        seconds: took.map(|took| took.as_secs_f64()),
        p50_ms: latencies.percentile(50),
        p99_ms: latencies.percentile(99),
    })
}

async fn call<S: System>(
    system: Arc<S>,
    payloads: Arc<Payloads>,
    barrier: Arc<Barrier>,
    caller: usize,
    window: Duration,
) -> anyhow::Result<Called> {
    for task in 0..WARM_UP {
        system.enqueue(payloads.of(caller + task)).await?;
    }
    barrier.wait().await;
    let started = Instant::now();
    let (mut ended, mut latencies) = (started, Vec::new());
    while ended - started < window {
        system.enqueue(payloads.of(caller + latencies.len())).await?;
        let answered = Instant::now();
        latencies.push(answered - ended);
        ended = answered;
    }
    Ok(Called { started, ended, latencies })
}
