//! A pool as users run it, with a handler that does nothing, and that says how many tasks it has done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pgmill::{Context, End, Ended, Manager, Outcome, QueueOptions, Status, WorkerPool};
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::child::{now, say};

/// How often it says so, at most.
const SAY: Duration = Duration::from_millis(10);
/// After how many times without anything new it says so all the same: it is alive.
const ALIVE: u32 = 200;

/// What was done so far.
#[derive(Debug, Default)]
struct Count {
    done: AtomicU64,
    /// When the last of them was, by the clock of the machine.
    last: AtomicU64,
}

/// Works on any queue from the first signal to the second.
pub(crate) async fn work(
    manager: &Manager,
    workers: usize,
    go: CancellationToken,
    over: CancellationToken,
) -> anyhow::Result<()> {
    let count = Arc::new(Count::default());
    let counted = Arc::clone(&count);
    let pool = WorkerPool::builder(manager)
        .workers(workers)
        .maintenance(false)
        .on_end(move |ended| counted.add(ended))
        .build()?;
    pool.register_raw(&[], QueueOptions::new(), async |_: Context| Outcome::done_empty()).await?;
    say("ready");
    go.cancelled().await;
    let saying = tokio::spawn(async move { count.say().await });
    let ran = pool.run(over).await;
    saying.abort();
    ran?;
    Ok(())
}

impl Count {
    /// Only what is committed counts.
    fn add(&self, ended: &Ended<'_>) {
        if matches!(ended.end, End::Recorded { status: Status::Released, .. }) {
            self.last.store(now(), Ordering::Relaxed);
            self.done.fetch_add(1, Ordering::Release);
        }
    }

    async fn say(&self) {
        let mut looks = interval(SAY);
        let (mut said, mut quiet) = (0, 0);
        loop {
            looks.tick().await;
            let done = self.done.load(Ordering::Acquire);
            quiet += 1;
            if done > said || quiet == ALIVE {
                say(&format!("{done} {}", self.last.load(Ordering::Relaxed)));
                (said, quiet) = (done, 0);
            }
        }
    }
}
