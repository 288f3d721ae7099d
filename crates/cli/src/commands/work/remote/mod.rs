//! Work through a server: tasks come by long polls, are kept by heartbeats, and are released with their lease.

mod attempt;
mod outage;

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::TryStreamExt;
use pgmill::{QueueName, Status};
use pgmill_client::{Client, Error, QueueCounts, Retain, RetainedTask};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::attempt::{End, Keeper};
use self::outage::Outage;
use super::handler::CommandHandler;
use super::process::{LAST_WORDS, TIDY_UP};
use super::watch::{BETWEEN_LOOKS, Mentioned};
use super::{Args, MARGIN, late, missing, say_what_is_waited_for};
use crate::shutdown::Shutdown;
use crate::{args, output};

/// How long a retain waits for tasks.
const LONG_POLL: Duration = Duration::from_secs(30);
/// The same when it is looked in between whether tasks wait at all.
const SHORT_POLL: Duration = Duration::from_secs(1);
/// How many tasks one retain can ask for.
const AT_ONCE: usize = 1_000;
/// How long the last releases may take.
const FLUSH: Duration = Duration::from_secs(10);

/// A worker that asks a server for tasks.
struct Worker {
    client: Client,
    keeper: Arc<Keeper>,
    queues: Vec<QueueName>,
    /// How many commands run at once.
    slots: usize,
    until_empty: bool,
}

/// Returns how many attempts ended that could not be recorded.
pub(super) async fn run(
    args: &Args,
    address: &str,
    handler: Arc<CommandHandler>,
    shutdown: &Shutdown,
) -> anyhow::Result<u64> {
    let mut builder = args.access.builder(address)?;
    if let Some(namespace) = &args.namespace {
        builder = builder.namespace(namespace.clone());
    }
    let client = builder.clone().build()?;
    // What keeps a lease has to be over before that lapses.
    let quick = builder.timeout((args.lease / 3).min(LONG_POLL)).retries(0).build()?;
    let name = args.name.as_ref().map_or_else(host_name, ToString::to_string);
    let keeper = Arc::new(Keeper {
        client: quick,
        handler: Arc::clone(&handler),
        worker: name,
        lease: args.lease,
        stop: CancellationToken::new(),
        hurry: late(&shutdown.now),
    });
    let worker = Worker {
        client,
        keeper,
        queues: args.queues.clone(),
        slots: args::workers(args.workers),
        until_empty: args.until_empty,
    };
    worker.check_queues(args).await?;
    let mut attempts = JoinSet::new();
    let mut unrecorded = 0;
    let end = tokio::select! {
        end = worker.work(&mut attempts, &mut unrecorded, shutdown) => end,
        never = worker.watch_paused(&handler) => match never {},
    };
    tokio::select! {
        () = worker.stop(args.grace, shutdown, &mut attempts, &mut unrecorded) => {}
        never = say_what_is_waited_for(&handler, shutdown) => match never {},
    }
    if unrecorded > 0 {
        output::note(&format!(
            "pgmill: the end of {unrecorded} attempts could not be recorded; their tasks run again when their leases \
             have run out"
        ));
    }
    end.map(|()| unrecorded)
}

fn host_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.unwrap_or_else(|| "pgmill".to_owned())
}

impl Worker {
    /// Retains and begins tasks until it is asked to stop or there are none.
    async fn work(
        &self,
        attempts: &mut JoinSet<End>,
        unrecorded: &mut u64,
        shutdown: &Shutdown,
    ) -> anyhow::Result<()> {
        let mut outage = Outage::new("tasks cannot be retained");
        loop {
            while let Some(end) = attempts.try_join_next() {
                count(&end, unrecorded);
            }
            let free = self.slots - attempts.len();
            let asked = Instant::now();
            tokio::select! {
                biased;
                () = shutdown.stop.cancelled() => return Ok(()),
                Some(end) = attempts.join_next(), if free == 0 => count(&end, unrecorded),
                claimed = self.claim(free), if free > 0 => match claimed {
                    Ok(tasks) => {
                        outage.over();
                        if tasks.is_empty() && attempts.is_empty() && self.is_done().await? {
                            return Ok(());
                        }
                        for task in tasks {
                            attempts.spawn(Arc::clone(&self.keeper).attempt(task, asked));
                        }
                    }
                    Err(error) if is_final(&error) => {
                        return Err(error).context("the server does not give out tasks");
                    }
                    Err(error) => {
                        let pause = outage.failed(&error);
                        shutdown.stop.run_until_cancelled(sleep(pause)).await;
                    }
                },
            }
        }
    }

    async fn claim(&self, count: usize) -> Result<Vec<RetainedTask>, Error> {
        let wait = if self.until_empty { SHORT_POLL } else { LONG_POLL };
        let queues = self.queues.iter().map(QueueName::as_str);
        let retain = Retain::new(&self.keeper.worker).queues(queues).count(count.min(AT_ONCE));
        self.client.retain_tasks(&retain.wait(wait).lease(self.keeper.lease)).await
    }

    /// Whether it was to end when no task waits, and none does.
    async fn is_done(&self) -> anyhow::Result<bool> {
        if !self.until_empty {
            return Ok(false);
        }
        match self.waiting().await {
            Ok(waiting) => {
                Mentioned::default().look_at(paused(&waiting));
                Ok(waiting.iter().all(|queue| queue.paused_at.is_some()))
            }
            Err(error) if is_final(&error) => Err(error).context("it cannot be looked whether tasks wait"),
            // The next retain says what is wrong.
            Err(_) => Ok(false),
        }
    }

    /// The queues in which tasks wait that this worker wants.
    async fn waiting(&self) -> Result<Vec<QueueCounts>, Error> {
        let mut queues: Vec<QueueCounts> = if self.queues.is_empty() {
            self.client.list_statuses_stream().try_collect().await?
        } else {
            let mut queues = Vec::new();
            for queue in &self.queues {
                match self.client.queue_status(queue.as_str()).await {
                    Ok(tasks) => queues.push(tasks),
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(error),
                }
            }
            queues
        };
        queues.retain(|queue| queue.tasks.of(Status::New) + queue.tasks.of(Status::Retry) > 0);
        Ok(queues)
    }

    /// Says which queues are paused, while there are commands to spare.
    async fn watch_paused(&self, handler: &CommandHandler) -> Infallible {
        let mut mentioned = Mentioned::default();
        loop {
            // With --until-empty that is told at the end.
            if !self.until_empty && handler.running() < self.slots {
                match self.waiting().await {
                    Ok(waiting) => mentioned.look_at(paused(&waiting)),
                    Err(error) => tracing::debug!("it cannot be looked whether queues are paused: {error}"),
                }
            }
            sleep(BETWEEN_LOOKS).await;
        }
    }

    async fn check_queues(&self, args: &Args) -> anyhow::Result<()> {
        let place = args.namespace.as_ref().map_or_else(
            || "the namespace of the server".to_owned(),
            |namespace| format!("the namespace `{namespace}`"),
        );
        for queue in &self.queues {
            match self.client.get_queue(queue.as_str()).await {
                Ok(_) => {}
                Err(error) if error.is_not_found() => missing(queue, &place, args)?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Lets commands end for a while, then ends them, and gives their tasks back.
    async fn stop(
        &self,
        grace: Duration,
        shutdown: &Shutdown,
        attempts: &mut JoinSet<End>,
        unrecorded: &mut u64,
    ) {
        let calm = timeout(grace, join_all(attempts, unrecorded));
        shutdown.now.run_until_cancelled(calm).await;
        self.keeper.stop.cancel();
        drop(timeout(TIDY_UP + LAST_WORDS + MARGIN + FLUSH, join_all(attempts, unrecorded)).await);
        self.keeper.hurry.cancel();
        join_all(attempts, unrecorded).await;
    }
}

async fn join_all(attempts: &mut JoinSet<End>, unrecorded: &mut u64) {
    while let Some(end) = attempts.join_next().await {
        count(&end, unrecorded);
    }
}

fn count(end: &Result<End, JoinError>, unrecorded: &mut u64) {
    if !matches!(end, Ok(End::Told)) {
        *unrecorded += 1;
    }
}

fn paused(queues: &[QueueCounts]) -> HashSet<QueueName> {
    let paused = queues.iter().filter(|queue| queue.paused_at.is_some());
    paused.map(|queue| queue.queue.clone()).collect()
}

/// Whether the next try would fail as well.
fn is_final(error: &Error) -> bool {
    let refused = |status| (400..500).contains(&status) && !matches!(status, 408 | 429);
    error.is_invalid() || error.is_decode() || error.status().is_some_and(refused)
}
