//! Callers that create one task after the other.

use std::time::Duration;

use pgmill::{Manager, Status, TaskMeta};

use crate::args::{Plan, Workload};
use crate::bench::Bench;
use crate::costs::Progress;
use crate::figure::{Bar, Figure};
use crate::limits;
use crate::measure::{Caller, Until, closed_loop};

const CALLERS: [usize; 4] = [1, 8, 64, 200];
/// So many of them are held against the bar.
const BARRED: usize = 64;
const BAR: Bar = Bar::Ratio(2.0);
/// The calls that open the connections and fill the caches, before the clock starts.
const WARM_UP: Until = Until { calls: 256, window: Duration::from_secs(1) };

struct Creator {
    manager: Manager,
    queue: String,
    plan: Plan,
    created: usize,
    progress: Progress,
}

impl Caller for Creator {
    async fn call(&mut self) -> anyhow::Result<()> {
        self.created += 1;
        let task = TaskMeta::raw(self.plan.payload(self.created).clone());
        self.manager.create_task(&self.queue, task).await?;
        self.progress.add(1);
        Ok(())
    }
}

pub(super) async fn round(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let limit = limits::best_insert(bench).await?;
    bench.clean().await?;
    let mut figures = Vec::new();
    for callers in CALLERS.into_iter().filter(|callers| !bench.plan.quick || *callers <= BARRED) {
        let figure = create(bench, callers).await?.against(limit.clone());
        figures.push(if callers == BARRED { figure.with_bar(BAR) } else { figure });
    }
    Ok(figures)
}

async fn create(bench: &Bench, callers: usize) -> anyhow::Result<Figure> {
    let (warm, queue) = (format!("warm-{callers}"), format!("single-{callers}"));
    bench.queue(&warm).await?;
    bench.queue(&queue).await?;
    let creators = |queue: &str, progress: &Progress| {
        let creator = |caller| Creator {
            manager: bench.manager.clone(),
            queue: queue.to_owned(),
            plan: bench.plan.clone(),
            created: caller,
            progress: progress.clone(),
        };
        (0..callers).map(creator).collect::<Vec<_>>()
    };
    closed_loop(creators(&warm, &Progress::default()), WARM_UP).await?;
    bench.checkpoint().await;
    let meter = bench.meter().await?;
    let until = Until { calls: bench.plan.tasks.into(), window: bench.plan.window };
    let calls = closed_loop(creators(&queue, &meter.progress()), until).await?;
    let costs = meter.stop(calls.n).await?;
    bench.verify(&queue, Status::New, calls.n).await?;
    bench.clean().await?;
    let config = if callers == 1 { "1 caller".to_owned() } else { format!("{callers} callers") };
    let figure = Figure {
        seconds: Some(calls.took.as_secs_f64()),
        per_second: Some(calls.per_second()),
        ..Figure::new(Workload::EnqueueSingle, config, calls.n)
    };
    Ok(figure.timing(&calls.latencies).costing(costs))
}
