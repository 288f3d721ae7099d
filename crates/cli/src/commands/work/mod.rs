//! `pgmill work`: runs a command for each task.

mod handler;
mod process;
mod remote;
mod verdict;
mod watch;

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use pgmill::{End, Manager, Namespace, Prefetch, QueueName, QueueOptions, RunReport, WorkerName, WorkerPool};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use self::handler::{Attempt, CommandHandler, Report};
use self::process::{LAST_WORDS, Process, TIDY_UP, resolve};
use self::watch::{Paused, watch_listening};
use crate::database::{Database, DatabaseArgs};
use crate::remote::AccessArgs;
use crate::shutdown::Shutdown;
use crate::traces::TraceArgs;
use crate::{args, output};

/// How much longer than a command may take to end it is waited for.
const MARGIN: Duration = Duration::from_secs(1);

/// Run a command for each task of some queues
///
/// The command finds the payload, as JSON, on standard input, and in its environment
/// `PGMILL_TASK_ID`, `PGMILL_QUEUE`, `PGMILL_NAMESPACE`, `PGMILL_ATTEMPT` (which attempt it is,
/// from 1), `PGMILL_RETRIES` (how many attempts are left) and `PGMILL_WORKER`. How it ends decides:
///
///   exit 0      done; standard output is the result: JSON if it is that, else text, else null
///   exit 65     failed for good; the end of standard error is the result
///   otherwise   failed, and tried again if attempts are left: exit 75, a signal, a timeout
///
/// At SIGTERM or SIGINT no more tasks are begun. Commands have `--grace` to end; then they get
/// SIGTERM, 5 seconds later SIGKILL, and their tasks are given back, which costs no attempt. A second
/// signal ends them at once.
///
/// With `--http.addr` the tasks come from a server, and no database is needed.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The queues to take tasks from.
    #[arg(value_name = "QUEUE", required_unless_present = "any", value_parser = args::queue)]
    queues: Vec<QueueName>,
    /// Take tasks from every queue of the namespace.
    #[arg(long, conflicts_with = "queues")]
    any: bool,
    /// The command to run, and its arguments.
    #[arg(value_name = "COMMAND", last = true, required = true)]
    command: Vec<OsString>,
    #[command(flatten)]
    database: DatabaseArgs,
    /// Take the tasks from the server at this address, host:port or a URL, rather than from a database.
    #[arg(long = "http.addr", value_name = "ADDRESS")]
    address: Option<String>,
    #[command(flatten)]
    access: AccessArgs,
    /// The namespace of the queues. Default: `default`, or that of the server.
    #[arg(long, value_name = "NAME", value_parser = args::namespace)]
    namespace: Option<Namespace>,
    /// How many commands to run at once. Default: one for each processor.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    /// The name the tasks are retained under. Default: the name of this host.
    #[arg(long, value_name = "NAME", value_parser = args::worker)]
    name: Option<WorkerName>,
    /// How long one command may take, such as 90s or 1h30m; then it gets SIGTERM, and 5 seconds later SIGKILL.
    #[arg(long, value_name = "DURATION", value_parser = args::timeout)]
    timeout: Option<Duration>,
    /// How long commands may run on after the first SIGTERM or SIGINT.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = args::duration)]
    grace: Duration,
    /// How long a task stays with a worker that gives no sign of life; from 1s to 24h.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = args::lease)]
    lease: Duration,
    /// End when no task of the queues waits any more, neither new nor for another attempt. Tasks of a paused queue do
    /// not count.
    #[arg(long)]
    until_empty: bool,
    /// Print one line of JSON for each attempt: id, queue, status, attempt, seconds, and error if there is one.
    #[arg(long, conflicts_with = "quiet")]
    json: bool,
    /// Print nothing for the attempts that have ended.
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    pub(super) traces: TraceArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let shutdown = Shutdown::listen()?;
    let handler = Arc::new(handler(&args, &shutdown)?);
    let unrecorded = match &args.address {
        Some(address) => remote::run(&args, address, handler, &shutdown).await?,
        None => run_on_database(&args, &handler, &shutdown).await?,
    };
    Ok(if unrecorded == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn handler(args: &Args, shutdown: &Shutdown) -> anyhow::Result<CommandHandler> {
    let report = match (args.json, args.quiet) {
        (true, _) => Report::Json,
        (_, true) => Report::Nothing,
        _ => Report::Lines,
    };
    let process = Process {
        program: program(&args.command)?,
        args: args.command[1..].to_vec(),
        timeout: args.timeout,
        output_limit: verdict::RESULT_LIMIT,
    };
    Ok(CommandHandler::new(process, report, shutdown.now.clone()))
}

/// Returns how many attempts ended that could not be recorded.
async fn run_on_database(
    args: &Args,
    handler: &Arc<CommandHandler>,
    shutdown: &Shutdown,
) -> anyhow::Result<u64> {
    let namespace = args.namespace.clone().map_or_else(|| Namespace::new("default"), Ok)?;
    let session = Database::open(&args.database).await?.session(&namespace).await?;
    let manager = session.manager();
    check_queues(manager, args).await?;
    let report = work(manager, args, handler, shutdown).await;
    session.close().await?;
    Ok(report?.unrecorded)
}

async fn work(
    manager: &Manager,
    args: &Args,
    handler: &Arc<CommandHandler>,
    shutdown: &Shutdown,
) -> anyhow::Result<RunReport> {
    let workers = args::workers(args.workers);
    let pool = pool(manager, args, workers, handler, late(&shutdown.now)).await?;

    let mut paused = Paused::new(manager.clone(), args.queues.clone());
    let report = tokio::select! {
        report = pool.run(shutdown.stop.clone()) => report?,
        never = paused.watch(|| handler.running() < workers) => match never {},
        never = watch_listening(manager) => match never {},
        never = say_what_is_waited_for(handler, shutdown) => match never {},
    };
    if args.until_empty && !shutdown.stop.is_cancelled() {
        paused.look().await;
    }
    Ok(report)
}

/// A pool that runs the command.
async fn pool(
    manager: &Manager,
    args: &Args,
    workers: usize,
    handler: &Arc<CommandHandler>,
    now: CancellationToken,
) -> anyhow::Result<WorkerPool> {
    let observer = Arc::clone(handler);
    let mut builder = WorkerPool::builder(manager)
        .workers(workers)
        .lease(args.lease)
        .prefetch(Prefetch::None)
        // The session maintains the database.
        .maintenance(false)
        .until_empty(args.until_empty)
        .shutdown_grace(args.grace)
        .cancel_grace(TIDY_UP + LAST_WORDS + MARGIN)
        .now(now)
        .on_end(move |ended| observer.ended(ended.task, word(ended.end), ended.ran));
    if let Some(name) = &args.name {
        builder = builder.name(name.as_str());
    }
    let pool = builder.build()?;
    let queues: Vec<&str> = args.queues.iter().map(QueueName::as_str).collect();
    let handler = Arc::clone(handler);
    pool.register_raw(&queues, QueueOptions::new(), move |context| {
        let handler = Arc::clone(&handler);
        async move {
            let attempt = Attempt {
                task: context.task(),
                worker: context.worker(),
                cancelled: context.cancellation().clone(),
                deadline: context.deadline(),
            };
            handler.run(&attempt).await
        }
    })
    .await?;
    Ok(pool)
}

/// How an attempt has ended; nothing for one that could not be recorded.
fn word(end: &End) -> Option<&'static str> {
    match end {
        End::Recorded { status, .. } => Some(status.as_str()),
        End::GivenBack => Some("given_back"),
        End::Unrecorded => None,
        _ => Some("lost"),
    }
}

/// The second signal as the pool hears of it: when commands, which hear of it at once, have had their time to end.
fn late(now: &CancellationToken) -> CancellationToken {
    let (now, late) = (now.clone(), CancellationToken::new());
    tokio::spawn({
        let late = late.clone();
        async move {
            now.cancelled().await;
            sleep(LAST_WORDS + MARGIN).await;
            late.cancel();
        }
    });
    late
}

/// At the first signal.
async fn say_what_is_waited_for(handler: &CommandHandler, shutdown: &Shutdown) -> Infallible {
    shutdown.stop.cancelled().await;
    match handler.running() {
        0 => {}
        1 => output::note("pgmill: waiting for 1 task"),
        count => output::note(&format!("pgmill: waiting for {count} tasks")),
    }
    std::future::pending().await
}

/// A command that cannot be run is refused before any task is retained for it.
fn program(command: &[OsString]) -> anyhow::Result<PathBuf> {
    let Some(program) = command.first() else { bail!("no command was given; name it after --") };
    let path = std::env::var_os("PATH");
    resolve(Path::new(program), path.as_ref())
        .map_err(anyhow::Error::msg)
        .with_context(|| format!("the command `{}` cannot be run", program.display()))
}

async fn check_queues(manager: &Manager, args: &Args) -> anyhow::Result<()> {
    for queue in &args.queues {
        match manager.get_queue(queue.as_str()).await {
            Ok(_) => {}
            Err(pgmill::QueueError::NotFound { .. }) => {
                missing(queue, &format!("the namespace `{}`", manager.namespace()), args)?;
            }
            Err(error) => return Err(error).context("the queues cannot be looked up"),
        }
    }
    Ok(())
}

/// A queue that does not exist may be created later; but it may also be a slip of the pen.
fn missing(queue: &QueueName, place: &str, args: &Args) -> anyhow::Result<()> {
    if args.until_empty {
        bail!("there is no queue `{queue}` in {place}: check the two names");
    }
    output::note(&format!("pgmill: there is no queue `{queue}` in {place} yet; waiting for it"));
    Ok(())
}
