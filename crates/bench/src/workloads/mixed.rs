//! Half of the tasks due at once, the other half later, one in ten to be tried twice, on top of many that are due in an hour or
//! two: how late each begins.

use std::time::Duration;

use anyhow::ensure;
use pgmill::{QueueMeta, Status, TaskMeta, hours, seconds};

use crate::args::{Plan, Workload};
use crate::bench::Bench;
use crate::child::Role;
use crate::costs::Costs;
use crate::dice::{Dice, SEED};
use crate::figure::Figure;
use crate::load::{Borne, Pace, bear, until_it_runs};
use crate::measure::Latencies;
use crate::process::Process;
use crate::recorder::{FAILING, Handled};

const QUEUE: &str = "mixed";
const PER_SECOND: u32 = 1_000;
/// Delays are from this to `plan.watch`.
const SHORTEST_DELAY: Duration = Duration::from_secs(1);
/// The tasks of one call that creates those of the future.
const CALL: u32 = 50_000;

pub(super) async fn round(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let future = bench.plan.future;
    let queue = QueueMeta::new(QUEUE).ttl(hours(24)).retry_delay(seconds(1));
    bench.manager.create_queue(queue).await?;
    fill(bench, future).await?;
    let pool = Process::start(bench, Role::FailingRecorder).await?;
    let count = (bench.plan.watch.as_secs() * u64::from(PER_SECOND)).clamp(1, bench.plan.most.into());
    let pace = Pace { per_second: PER_SECOND, count };
    let (borne, costs) = bear(bench, pool, pace, mix(bench.plan.clone())).await?;
    bench.verify_all(QUEUE, &[(Status::New, future.into()), (Status::Released, count)]).await?;
    bench.clean().await?;
    tried_as_told(&borne)?;
    Ok(figures(&borne, costs, &format!("beside {future} of the future")))
}

/// Creates tasks that are due in one to two hours.
async fn fill(bench: &Bench, future: u32) -> anyhow::Result<()> {
    let mut dice = Dice::new(SEED);
    let mut left = future;
    while left > 0 {
        let count = left.min(CALL);
        let later = (0..count as usize).map(|task| {
            let delay = hours(1).mul_f64(1.0 + dice.unit());
            TaskMeta::raw(bench.plan.payload(task).clone()).delay(delay)
        });
        bench.manager.create_tasks(QUEUE, later).await?;
        left -= count;
    }
    Ok(())
}

/// The tasks that are created meanwhile, half of them with a delay.
fn mix(plan: Plan) -> impl FnMut(u64) -> (String, TaskMeta) + Send + 'static {
    let mut dice = Dice::new(SEED);
    let spread = plan.watch.saturating_sub(SHORTEST_DELAY);
    move |number| {
        let meta = TaskMeta::raw(plan.payload(usize::try_from(number).unwrap_or_default()).clone());
        let is_delayed = dice.below(2) == 1;
        let delay = SHORTEST_DELAY + spread.mul_f64(dice.unit());
        (QUEUE.to_owned(), if is_delayed { meta.delay(delay) } else { meta })
    }
}

/// Fails unless those that were to fail once were tried twice, and all others once.
fn tried_as_told(borne: &Borne) -> anyhow::Result<()> {
    for journey in borne.journeys() {
        let expected = if journey.sent.id.is_multiple_of(FAILING) { 2 } else { 1 };
        let (id, tried) = (journey.sent.id, journey.attempts.len());
        ensure!(tried == expected, "wrong count: task {id} was tried {tried} times, not {expected}");
    }
    Ok(())
}

fn figures(borne: &Borne, costs: Costs, beside: &str) -> Vec<Figure> {
    let late = |attempt: &Handled| {
        (attempt.due > 0).then(|| Duration::from_nanos(attempt.started.saturating_sub(attempt.due)))
    };
    let (mut now, mut delayed, mut again) = (Vec::new(), Vec::new(), Vec::new());
    for journey in borne.journeys() {
        let (first, others) = (journey.attempts.first(), journey.attempts.iter().skip(1));
        match first.and_then(late) {
            Some(late) => delayed.push(late),
            None => now.push(Duration::from_nanos(until_it_runs(&journey))),
        }
        again.extend(others.filter_map(late));
    }
    let figure = |what: &str, latencies: Vec<Duration>| {
        let latencies = Latencies::new(latencies);
        let figure = Figure {
            seconds: Some(borne.took().as_secs_f64()),
            ..Figure::new(Workload::Mixed, format!("{what}, {beside}"), latencies.count())
        };
        figure.timing(&latencies)
    };
    // The costs are those of all tasks together.
    let delayed = figure("those delayed", delayed).costing(costs).with_series(borne.series());
    let mut figures = vec![delayed, figure("those due at once", now)];
    // With few tasks, none may be one that fails.
    if !again.is_empty() {
        figures.push(figure("second attempts", again));
    }
    figures
}
