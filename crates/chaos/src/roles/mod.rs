//! The processes of a run, beside the driver: this program again, told what to be, and the program `pgmill`.

mod hoard;
mod maintainer;
mod producer;
mod remote;
mod server;
mod supply;
mod worker;

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use pgmill::{BatchOptions, Manager, OpenError, Outcome, Task, seconds};
use pgmill_client::Client;
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::history::{Event, Fence, Ran, Writer};

pub(crate) use hoard::Hoard;

pub(crate) const NAMESPACE: &str = "chaos";
/// Where the queue is whose order is checked: nobody who takes tasks from any queue may take one of it.
pub(crate) const APART: &str = "apart";
/// How many queues there are that nobody uses, so that a retain from any queue looks only where tasks are.
pub(crate) const EMPTY: usize = 150;
/// The leases of all tasks: short, so that they lapse often.
pub(crate) const LEASE: Duration = seconds(2);
/// The queues that anybody takes tasks from.
pub(crate) const SHARED: [&str; 4] = ["work", "keyed", "bulk", MORTAL];
/// The queue whose tasks expire, and how soon: where faults hold them up.
pub(crate) const MORTAL: &str = "mortal";
pub(crate) const TTL: Duration = seconds(4);
/// How long after a failure a task is due again.
pub(crate) const RETRY: Duration = Duration::from_millis(100);

/// What a process is told to be.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RoleArgs {
    pub(crate) role: Role,
    /// Its name in the history.
    pub(crate) name: String,
    /// Where the histories are.
    pub(crate) folder: PathBuf,
    /// The database.
    #[arg(long, env = "CHAOS_URL", hide_env_values = true)]
    pub(crate) url: String,
    /// The address of the server.
    #[arg(long, env = "CHAOS_SERVER")]
    pub(crate) server: String,
    /// What its tasks follow from.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// How many tasks it creates in a second, about.
    #[arg(long, default_value_t = 40)]
    pub(crate) rate: u64,
    /// Whether tasks are small and come one after the other, so that a rate can be told.
    #[arg(long)]
    pub(crate) steady: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
pub(crate) enum Role {
    /// A pool for the shared queues.
    Worker,
    /// A pool with one worker, for the queue whose order is checked.
    Orderly,
    /// A worker over HTTP.
    Remote,
    /// Creates tasks through the library.
    Producer,
    /// Creates tasks over HTTP.
    Caller,
    /// Runs maintenance.
    Maintainer,
    /// `pgmill run`.
    Server,
}

/// What a task asks of its handler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) mark: String,
    /// How long it takes, in milliseconds.
    pub(crate) ms: u64,
    /// How many attempts fail.
    pub(crate) fails: i32,
    pub(crate) end: Ran,
}

impl Job {
    /// What its handler says at this attempt.
    fn says(&self, attempt: i32) -> (Ran, Outcome) {
        let ran = match self.end {
            _ if attempt <= self.fails => Ran::Retry,
            Ran::Snoozed if attempt > 1 => Ran::Done,
            end => end,
        };
        let outcome = match ran {
            Ran::Retry | Ran::Dropped => Outcome::retry_in(RETRY, "again"),
            Ran::Failed => Outcome::failed("for good"),
            Ran::Snoozed => Ok(Outcome::Snooze(Duration::from_millis(50))),
            Ran::Done => Outcome::done(&self.mark),
        };
        (ran, outcome.unwrap_or(Outcome::GiveBack))
    }
}

/// A handler at work: its end is written down however it comes.
struct Running {
    history: Writer,
    fence: Fence,
    ran: Ran,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.history.note(Event::Ended { fence: self.fence, ran: self.ran });
    }
}

/// What a retain of this library gave the task out by.
pub(crate) fn fence(task: &Task) -> Option<Fence> {
    let claim = task.claim()?;
    Some(Fence { task: claim.id(), attempt: claim.attempt(), holder: claim.holder() })
}

/// Does what the task asks for.
async fn perform(history: &Writer, task: &Task, fence: Fence) -> Outcome {
    let Some(job) = task.payload.as_ref().and_then(|payload| payload.decode::<Job>().ok()) else {
        return Outcome::GiveBack;
    };
    let retained_at = match task.started_at {
        Some(at) => at.as_microsecond(),
        None => 0,
    };
    history.note(Event::Started {
        fence,
        mark: job.mark.clone(),
        queue: task.queue.to_string(),
        retained_at,
    });
    let mut running = Running { history: history.clone(), fence, ran: Ran::Dropped };
    tokio::time::sleep(Duration::from_millis(job.ms)).await;
    let (ran, outcome) = job.says(fence.attempt);
    running.ran = ran;
    outcome
}

/// Runs until it is asked to end, or killed.
pub(crate) fn run(args: &RoleArgs) -> anyhow::Result<()> {
    crate::linux::die_with_parent()?;
    if args.role == Role::Server {
        return server::become_it(args);
    }
    let history = Writer::open(&args.folder, &args.name)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let over = CancellationToken::new();
        let (mut asked, told) = (signal(SignalKind::terminate())?, over.clone());
        tokio::spawn(async move {
            asked.recv().await;
            told.cancel();
        });
        match args.role {
            Role::Worker => worker::work(args, &SHARED, 8, history, over).await,
            Role::Orderly => worker::work(args, &[crate::check::ORDERED], 1, history, over).await,
            Role::Remote => remote::work(args, history, over).await,
            Role::Producer => producer::produce(args, history, over).await,
            Role::Caller => producer::call(args, history, over).await,
            Role::Maintainer => maintainer::maintain(args, history, over).await,
            Role::Server => Ok(()),
        }
    })
}

/// A manager as programs have it, but less patient.
async fn manager(args: &RoleArgs) -> Result<Manager, OpenError> {
    // While claims are slow, floors let a task be found some seconds after those behind it.
    let batching = BatchOptions::default().settle(seconds(3)).floors(args.role != Role::Orderly);
    let namespace = if args.role == Role::Orderly { APART } else { NAMESPACE };
    let manager = Manager::connect(&args.url).namespace(namespace).migrate(false);
    let manager = manager.deadline(seconds(2)).batching(batching).await?;
    tokio::spawn(hoard::watch(args.clone(), manager.clone()));
    Ok(manager)
}

fn client(args: &RoleArgs) -> Result<Client, pgmill_client::Error> {
    Client::builder(format!("http://{}/api", args.server)).timeout(seconds(4)).retries(1).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(fails: i32, end: Ran) -> [Ran; 3] {
        let job = Job { mark: "a".to_owned(), ms: 0, fails, end };
        [1, 2, 3].map(|attempt| job.says(attempt).0)
    }

    #[test]
    fn a_task_fails_as_often_as_it_asks_for_and_is_put_off_once() {
        assert_eq!(says(2, Ran::Done), [Ran::Retry, Ran::Retry, Ran::Done]);
        assert_eq!(says(0, Ran::Snoozed), [Ran::Snoozed, Ran::Done, Ran::Done]);
        assert_eq!(says(1, Ran::Failed), [Ran::Retry, Ran::Failed, Ran::Failed]);
    }
}
