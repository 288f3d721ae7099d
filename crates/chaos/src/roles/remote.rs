//! A worker over HTTP: retains, works and releases, four at a time.

use std::time::Duration;

use pgmill_client::{Claim, Client, Error, Outcome, Retain, RetainedTask, Status, seconds};
use tokio_util::sync::CancellationToken;

use super::{LEASE, RoleArgs, SHARED, client, perform};
use crate::history::{Event, Fate, Fence, Writer};

const WORKERS: usize = 4;
const PAUSE: Duration = Duration::from_millis(100);
/// How often a release is tried that the server was not reached for.
const TRIES: usize = 10;

pub(super) async fn work(args: &RoleArgs, history: Writer, over: CancellationToken) -> anyhow::Result<()> {
    let client = client(args)?;
    let workers = (0..WORKERS).map(|_| {
        let (client, history, over) = (client.clone(), history.clone(), over.clone());
        tokio::spawn(work_alone(client, args.name.clone(), history, over))
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await?;
    }
    Ok(())
}

async fn work_alone(client: Client, name: String, history: Writer, over: CancellationToken) {
    let retain = Retain::new(name).queues(SHARED).wait(seconds(2)).lease(LEASE);
    while !over.is_cancelled() {
        match client.retain_one(&retain).await {
            Ok(Some(retained)) => {
                let Some(fence) = fence(&retained) else { continue };
                let outcome = perform(&history, &retained.task, fence).await;
                let fate = release(&client, &retained, &outcome).await;
                history.note(Event::Told { fence, fate });
            }
            Ok(None) => {}
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn fence(retained: &RetainedTask) -> Option<Fence> {
    let claim = Claim::from_token(retained.task.id, retained.lease.as_ref()?.as_str()).ok()?;
    Some(Fence { task: claim.id(), attempt: claim.attempt(), holder: claim.holder() })
}

async fn release(client: &Client, retained: &RetainedTask, outcome: &Outcome) -> Fate {
    let mut unknown = false;
    for _ in 0..TRIES {
        match client.release_task(retained, outcome).await {
            Ok(_) if *outcome == Outcome::GiveBack => return Fate::GivenBack,
            Ok(task) => return Fate::Recorded(task.status.unwrap_or(Status::Released) as u8),
            // An earlier try may have done it.
            Err(error) if is_over(&error) => return if unknown { Fate::Unknown } else { Fate::Lost },
            Err(error) => unknown |= error.is_outcome_unknown(),
        }
        tokio::time::sleep(PAUSE).await;
    }
    Fate::Unknown
}

fn is_over(error: &Error) -> bool {
    !error.is_outcome_unknown() && (error.is_lease_stale() || error.is_not_found())
}
