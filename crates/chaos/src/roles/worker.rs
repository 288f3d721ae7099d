//! A worker pool that writes down what its handlers do, and what it is told of their ends.

use std::time::Duration;

use pgmill::{Context, End, Ended, Outcome, QueueOptions, WorkerPool, seconds};
use tokio_util::sync::CancellationToken;

use super::{LEASE, RoleArgs, fence, manager, perform};
use crate::clock;
use crate::history::{Event, Fate, Writer};

/// How often it is looked whether the clock has jumped, and by how much at least.
const LOOK: Duration = Duration::from_millis(100);
const JUMP: i128 = 1_000_000;

pub(super) async fn work(
    args: &RoleArgs,
    queues: &[&str],
    workers: usize,
    history: Writer,
    over: CancellationToken,
) -> anyhow::Result<()> {
    let manager = manager(args).await?;
    tokio::spawn(watch_clock(history.clone()));
    let told = history.clone();
    let pool = WorkerPool::builder(&manager)
        .workers(workers)
        .name(&args.name)
        .lease(LEASE)
        .maintenance(false)
        .shutdown_grace(seconds(5))
        .cancel_grace(seconds(1))
        .on_end(move |ended: &Ended<'_>| {
            if let Some(fence) = fence(ended.task) {
                told.note(Event::Told { fence, fate: fate(ended.end) });
            }
        })
        .build()?;
    let handler = move |context: Context| {
        let history = history.clone();
        async move {
            match fence(context.task()) {
                Some(fence) => perform(&history, context.task(), fence).await,
                None => Outcome::GiveBack,
            }
        }
    };
    pool.register_raw(queues, QueueOptions::new(), handler).await?;
    pool.run(over).await?;
    manager.close().await;
    Ok(())
}

fn fate(end: &End) -> Fate {
    match end {
        End::Recorded { status, .. } => Fate::Recorded(*status as u8),
        End::GivenBack => Fate::GivenBack,
        End::Lost => Fate::Lost,
        _ => Fate::Unknown,
    }
}

/// Writes down when the clock that jumps and the one that does not part.
async fn watch_clock(history: Writer) {
    let apart = || i128::from(clock::wall()) - i128::from(clock::now());
    let mut before = apart();
    loop {
        tokio::time::sleep(LOOK).await;
        let by = apart() - before;
        if by.abs() > JUMP {
            before += by;
            history.note(Event::Jumped { seconds: i64::try_from(by / 1_000_000).unwrap_or(0) });
        }
    }
}
