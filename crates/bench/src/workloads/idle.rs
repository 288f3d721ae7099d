//! What pools ask of the database while there is nothing to do. Each of their statements is a transaction of its own, and the
//! database counts those.

use std::time::Duration;

use crate::args::Workload;
use crate::bench::Bench;
use crate::child::Role;
use crate::figure::{Bar, Figure};
use crate::process::Process;

const QUEUE: &str = "idle";
/// How long pools have until they wait as those that have had nothing to
/// do, and have told the database of what they did before.
const SETTLED: Duration = Duration::from_secs(12);
const BAR: Bar = Bar::Rate(2.0);

pub(super) async fn round(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let one = watch(bench, Role::Maintainer, 1, "1 pool, maintenance included").await?;
    let polling = watch(bench, Role::PooledMaintainer, 1, "1 pool that polls, as behind a pooler").await?;
    let three = watch(bench, Role::Maintainer, 3, "3 pools, a process each").await?;
    Ok(vec![one.with_bar(BAR), polling, three])
}

async fn watch(bench: &Bench, role: Role, pools: u32, config: &str) -> anyhow::Result<Figure> {
    bench.queue(QUEUE).await?;
    let counted = bench.unmaintained(async {
        let mut processes = Vec::new();
        for _ in 0..pools {
            processes.push(Process::start(bench, role).await?);
        }
        tokio::time::sleep(SETTLED).await;
        let before = bench.transactions().await?;
        tokio::time::sleep(bench.plan.watch).await;
        // The look before is one of them.
        let counted = (bench.transactions().await? - before).saturating_sub(1);
        for process in processes {
            process.end().await?;
        }
        anyhow::Ok(counted)
    });
    let counted = counted.await??;
    bench.clean().await?;
    let n = u64::try_from(counted).unwrap_or_default();
    Ok(Figure {
        seconds: Some(bench.plan.watch.as_secs_f64()),
        per_second: Some(n as f64 / bench.plan.watch.as_secs_f64()),
        ..Figure::new(Workload::Idle, config, n)
    })
}
