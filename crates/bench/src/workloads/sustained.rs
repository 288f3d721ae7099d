//! Tasks that are created at a fixed rate for a while, and a pool in another process that does them: what a task takes from
//! the time it was due to be created until it runs, and until it is done.
//!
//! A rate is held if 99 of 100 tasks are done within a tenth of the time it was offered for, and within a second. The highest
//! one is searched by offering twice the last that was held, until one is not, and then by halving what is between.

use std::time::Duration;

use pgmill::{Status, TaskMeta};

use crate::args::Workload;
use crate::bench::Bench;
use crate::child::Role;
use crate::costs::Costs;
use crate::figure::Figure;
use crate::load::{Borne, Pace, bear, lateness, until_it_is_done, until_it_runs};
use crate::measure::Latencies;
use crate::process::Process;
use crate::report;

const QUEUE: &str = "sustained";
/// A trial of the search lasts so much of what a fixed rate lasts, and at least so long.
const TRIAL: (u32, Duration) = (6, Duration::from_secs(2));
/// The search ends when the lowest rate that was not held is at most so many times the highest that was.
const PRECISION: f64 = 1.1;
/// And after so many trials: with few tasks, any rate is held.
const TRIALS: u32 = 10;
const LATE_SHARE: u32 = 10;
const LATE: Duration = Duration::from_secs(1);

pub(super) async fn round(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let (mut highest, mut above) = (None, None);
    for rate in bench.plan.rates.iter().copied() {
        let offered = offer(bench, rate, bench.plan.watch).await?;
        figures.extend(offered.figures(&format!("{rate} a second")));
        if !offered.is_held {
            above = Some(rate);
            break;
        }
        highest = Some(offered);
    }
    if let Some(highest) = search(bench, highest, above).await? {
        figures.extend(highest.figures("the highest rate that is held"));
    }
    Ok(figures)
}

/// The highest rate that is held, from one that was and one that was not.
async fn search(
    bench: &Bench,
    mut highest: Option<Offered>,
    mut above: Option<u32>,
) -> anyhow::Result<Option<Offered>> {
    let (part, least) = TRIAL;
    for _ in 0..TRIALS {
        let held = highest.as_ref().map(|offered| f64::from(offered.rate));
        let next = match (held, above.map(f64::from)) {
            (Some(held), Some(above)) if above <= held * PRECISION => break,
            (Some(held), Some(above)) => (held * above).sqrt(),
            (Some(held), None) => held * 2.0,
            (None, Some(above)) => above / 2.0,
            (None, None) => break,
        };
        let offered = offer(bench, (next as u32).max(1), (bench.plan.watch / part).max(least)).await?;
        if offered.is_held {
            highest = Some(offered);
        } else {
            above = Some(offered.rate);
        }
    }
    Ok(highest)
}

/// A rate that was offered for a while.
struct Offered {
    rate: u32,
    borne: Borne,
    costs: Costs,
    count: u64,
    is_held: bool,
}

async fn offer(bench: &Bench, rate: u32, window: Duration) -> anyhow::Result<Offered> {
    let count = ((window.as_secs_f64() * f64::from(rate)) as u64).clamp(1, bench.plan.most.into());
    bench.queue(QUEUE).await?;
    let pool = Process::start(bench, Role::Recorder).await?;
    let plan = bench.plan.clone();
    let task = move |number| {
        let payload = plan.payload(usize::try_from(number).unwrap_or_default());
        (QUEUE.to_owned(), TaskMeta::raw(payload.clone()))
    };
    let (borne, costs) = bear(bench, pool, Pace { per_second: rate, count }, task).await?;
    bench.verify(QUEUE, Status::Released, count).await?;
    bench.clean().await?;
    let bound = (window / LATE_SHARE).min(LATE).as_secs_f64() * 1e3;
    let is_held = borne.latencies(until_it_is_done).percentile(99).is_some_and(|p99| p99 <= bound);
    report::note(&format!(
        "  {rate} a second: {}, at most {} waiting, the producer late by {:.2} ms (p99)",
        if is_held { "held" } else { "not held" },
        borne.deepest(),
        borne.latencies(lateness).percentile(99).unwrap_or_default(),
    ));
    Ok(Offered { rate, borne, costs, count, is_held })
}

impl Offered {
    fn figures(&self, config: &str) -> [Figure; 2] {
        let figure = |what: &str, latencies: &Latencies| {
            let figure = Figure {
                seconds: Some(self.borne.took().as_secs_f64()),
                per_second: Some(self.borne.per_second()),
                ..Figure::new(Workload::Sustained, format!("{config}, {what}"), self.count)
            };
            figure.timing(latencies)
        };
        let runs = figure("until it runs", &self.borne.latencies(until_it_runs));
        let done = figure("until it is done", &self.borne.latencies(until_it_is_done));
        [runs, done.costing(self.costs.clone()).with_series(self.borne.series())]
    }
}
