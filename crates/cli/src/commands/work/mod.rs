//! `pgmill work`: runs a command for each task.

mod handler;
mod verdict;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use pgmill::{Manager, Namespace, QueueName, WorkerName};

use self::handler::{CommandHandler, Report};
use crate::database::{Database, DatabaseArgs};
use crate::shutdown::Shutdown;
use crate::worker::{Options, Process, Worker, resolve};
use crate::{args, output};

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
    /// The namespace of the queues.
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = args::namespace)]
    namespace: Namespace,
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
}

pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let shutdown = Shutdown::listen()?;
    let program = program(&args.command)?;
    let name = args.name.map_or_else(host_name, |name| name.as_str().to_owned());
    let report = match (args.json, args.quiet) {
        (true, _) => Report::Json,
        (_, true) => Report::Nothing,
        _ => Report::Lines,
    };
    let process = Process {
        program,
        args: args.command[1..].to_vec(),
        timeout: args.timeout,
        output_limit: verdict::RESULT_LIMIT,
    };
    let options = Options {
        name: name.clone(),
        queues: args.queues.iter().map(|queue| queue.as_str().to_owned()).collect(),
        slots: args::workers(args.workers),
        lease: args.lease,
        grace: args.grace,
        until_empty: args.until_empty,
    };

    let session = Database::open(&args.database).await?.session(&args.namespace).await?;
    let manager = session.manager();
    check_queues(manager, &options).await?;
    let handler = Arc::new(CommandHandler { process, worker: name, report });
    let unrecorded = Worker::new(manager.clone(), handler, options, shutdown).run().await;
    session.close().await?;
    Ok(if unrecorded? == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A command that cannot be run is refused before any task is retained for it.
fn program(command: &[OsString]) -> anyhow::Result<PathBuf> {
    let Some(program) = command.first() else { bail!("no command was given; name it after --") };
    let path = std::env::var_os("PATH");
    resolve(Path::new(program), path.as_ref())
        .map_err(anyhow::Error::msg)
        .with_context(|| format!("the command `{}` cannot be run", program.display()))
}

fn host_name() -> String {
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    host.filter(|name| WorkerName::new(name).is_ok()).unwrap_or_else(|| "pgmill".to_owned())
}

/// A queue that does not exist may be created later; but it may also be a slip of the pen.
async fn check_queues(manager: &Manager, options: &Options) -> anyhow::Result<()> {
    for queue in &options.queues {
        match manager.get_queue(queue).await {
            Ok(_) => {}
            Err(pgmill::QueueError::NotFound { .. }) if options.until_empty => {
                bail!(
                    "there is no queue `{queue}` in the namespace `{}`: check the two names",
                    manager.namespace()
                );
            }
            Err(pgmill::QueueError::NotFound { .. }) => output::note(&format!(
                "pgmill: there is no queue `{queue}` in the namespace `{}` yet; waiting for it",
                manager.namespace()
            )),
            Err(error) => return Err(error).context("the queues cannot be looked up"),
        }
    }
    Ok(())
}
