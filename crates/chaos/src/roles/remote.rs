//! A worker over HTTP: retains from any queue, works and releases, four at a time.

use std::time::Duration;

use pgmill_client::{Claim, Client, Error, Outcome, Retain, RetainedTask, Status, seconds};
use tokio_util::sync::CancellationToken;

use super::{LEASE, RoleArgs, client, perform};
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
    let retain = Retain::new(name).wait(seconds(2)).lease(LEASE);
    while !over.is_cancelled() {
        match client.retain_one(&retain).await {
            Ok(Some(retained)) => {
                let Some(fence) = fence(&retained) else { continue };
                let outcome = perform(&history, &retained.task, fence).await;
                let fate = release(&client, &retained, &outcome, fence).await;
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

async fn release(client: &Client, retained: &RetainedTask, outcome: &Outcome, fence: Fence) -> Fate {
    let mut unknown = false;
    for _ in 0..TRIES {
        match client.release_task(retained, outcome).await {
            Ok(_) if *outcome == Outcome::GiveBack => return Fate::GivenBack,
            Ok(task) => return Fate::Recorded(ended_as(fence, task.attempt, task.status) as u8),
            // An earlier try may have done it.
            Err(error) if is_over(&error) => return if unknown { Fate::Unknown } else { Fate::Lost },
            Err(error) => unknown |= error.is_outcome_unknown(),
        }
        tokio::time::sleep(PAUSE).await;
    }
    Fate::Unknown
}

/// What an attempt came to, by the answer to its release, which has the number and the status of the task as it is now: if that
/// has gone on to another attempt, this one asked for it.
fn ended_as(fence: Fence, attempt: u32, status: Option<Status>) -> Status {
    if i64::from(attempt) != i64::from(fence.attempt) {
        return Status::Retry;
    }
    status.unwrap_or(Status::Released)
}

fn is_over(error: &Error) -> bool {
    !error.is_outcome_unknown() && (error.is_lease_stale() || error.is_not_found())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_whose_task_has_gone_on_asked_for_another_whatever_that_came_to() {
        let fence = Fence { task: 1, attempt: 1, holder: 2 };
        let now = [(1, Status::Released), (1, Status::Failed), (2, Status::Released)];
        let ended = now.map(|(attempt, status)| ended_as(fence, attempt, Some(status)));
        assert_eq!(ended, [Status::Released, Status::Failed, Status::Retry]);
    }
}
