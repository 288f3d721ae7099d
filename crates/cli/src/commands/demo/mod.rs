//! `pgmill demo`: the whole way of some thousand tasks, on real input, in one command.

mod files;
mod hashing;
mod progress;
mod report;
mod tally;
mod visit;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use pgmill::{Manager, Namespace, QueueMeta, QueueOptions, TaskMeta, WorkerPool};
use pgmill_server::Recorder;
use tokio_util::sync::CancellationToken;

use self::files::Found;
use self::hashing::{Hashing, Job};
use self::tally::Tally;
use self::visit::Visit;
use crate::database::{Database, DatabaseArgs};
use crate::shutdown::Shutdown;
use crate::{args, output};

/// How many tasks are created in one call.
const CHUNK: usize = 500;
/// How many tasks the pool runs for each file that is read: a statement for each few tasks would cost more than they do.
const RUN_PER_READER: usize = 8;
/// How long files may be read on after the program was asked to end.
const GRACE: Duration = Duration::from_secs(5);

/// Hash the files of a folder through the queue: one task for each file.
///
/// Creates a queue, and in it a task for each regular file below FOLDER, while workers already take them: they read the
/// file and record its SHA-256 and size as the result. Some attempts fail on purpose and are tried again. At the end, a
/// table tells how it went, counted in the database. `.git`, `target` and symbolic links are left out. With `--serve` the
/// tasks can be looked at over HTTP from then on.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder to read.
    #[arg(default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    database: DatabaseArgs,
    /// The namespace of the queue that is created.
    #[arg(long, value_name = "NAME", default_value = "demo", value_parser = args::namespace)]
    namespace: Namespace,
    /// How many files to read at once. Default: one for each processor.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    /// The share of attempts that fail on purpose, from 0 to 1. A task has five attempts.
    #[arg(long, value_name = "RATE", default_value = "0.05", value_parser = args::rate)]
    fail_rate: f64,
    /// How many files to take at most.
    #[arg(long, value_name = "N", default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print one line of JSON in place of the table.
    #[arg(long, conflicts_with = "serve")]
    json: bool,
    /// Serve the tasks over HTTP afterwards, until SIGINT or SIGTERM, and print what to try.
    #[arg(long)]
    serve: bool,
    /// The address to listen at. Default: 127.0.0.1:8080, or another port where that one is taken.
    #[arg(long = "http.addr", value_name = "HOST:PORT", requires = "serve")]
    address: Option<String>,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let shutdown = Shutdown::listen()?;
    let found = find(&args.folder, args.limit).await?;
    let tasks = found.paths.len();
    // Before the manager, which counts from its beginning.
    let recorder = args.serve.then(Recorder::install).transpose()?;
    let database = Database::open(&args.database).await?;
    let session = database.session(&args.namespace).await?;
    let manager = session.manager();
    // An address that cannot be had is told before the work, not after.
    let visit = match recorder {
        Some(recorder) => Some(Visit::prepare(manager, recorder, args.address.as_deref()).await?),
        None => None,
    };
    let queue = create_queue(manager).await?;
    output::note(&format!(
        "pgmill: {tasks} files of {} as tasks of the queue {queue}",
        args.folder.display()
    ));

    let finished = CancellationToken::new();
    let tally = Arc::new(Tally::new(tasks, finished.clone()));
    let readers = args::workers(args.workers);
    let hashing = Hashing::new(readers, args.fail_rate, Arc::clone(&tally));
    let pool = pool(manager, &queue, readers * RUN_PER_READER, hashing, &tally, &shutdown).await?;
    let watch = Watch { manager: manager.clone(), queue: queue.clone(), tasks };
    let stop = shutdown.stop.child_token();

    let started = Instant::now();
    let working = tokio::spawn({
        let stop = stop.clone();
        async move { pool.run(stop).await }
    });
    let running = async {
        enqueue(manager, &queue, &found.paths).await?;
        tokio::select! {
            () = finished.cancelled() => {}
            () = watch.until_finished() => {}
        }
        anyhow::Ok(())
    };
    let outcome = tokio::select! {
        outcome = stop.run_until_cancelled(running) => outcome,
        never = progress::show(&tally) => match never {},
    };
    let took = started.elapsed();
    stop.cancel();
    working.await??;
    progress::close(&tally);
    outcome.transpose()?;

    let report = report::Report::gather(manager, &args.namespace, &queue, &tally, took).await?;
    if args.json {
        output::json_line(&report);
    } else {
        output::line(&report.table());
        // The server that serves them keeps the database up, too.
        let start = session.start_command().filter(|_| visit.is_none());
        let start = start.map(|start| format!("  {start}   # in another terminal\n"));
        output::line(&format!(
            "Every result is in the database. To list them:\n\n{}  {}",
            start.unwrap_or_default(),
            report.listing(&session.psql())
        ));
    }
    let complete = report.is_complete();
    if !complete {
        output::note(&format!("pgmill: {}", report.missing()));
    }
    if let Some(visit) = visit.filter(|_| complete) {
        visit.receive(manager, &queue, &shutdown).await?;
    }
    session.close().await?;
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn find(folder: &Path, limit: u32) -> anyhow::Result<Found> {
    let folder = folder.to_owned();
    let shown = folder.display().to_string();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let found = tokio::task::spawn_blocking(move || files::find(&folder, limit)).await??;
    if found.paths.is_empty() {
        bail!(
            "there are no regular files below {shown} (`.git`, `target` and links are left out): name another folder"
        );
    }
    if found.more {
        output::note(&format!("pgmill: there are more files than {limit}; --limit takes more of them"));
    }
    if found.skipped > 0 {
        output::note(&format!("pgmill: {} entries cannot be read or named, and are left out", found.skipped));
    }
    Ok(found)
}

/// A queue of its own for each run, so that runs do not meet.
async fn create_queue(manager: &Manager) -> anyhow::Result<String> {
    let name = format!("files-{}", jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S-%6f"));
    let meta = QueueMeta::new(&name).no_ttl().retries(5).retry_delay(Duration::from_millis(200));
    manager.create_queue(meta).await.context("the queue cannot be created")?;
    Ok(name)
}

/// A pool that hashes the files of a queue.
async fn pool(
    manager: &Manager,
    queue: &str,
    workers: usize,
    hashing: Hashing,
    tally: &Arc<Tally>,
    shutdown: &Shutdown,
) -> anyhow::Result<WorkerPool> {
    let tally = Arc::clone(tally);
    let builder = WorkerPool::builder(manager).name("demo").workers(workers).shutdown_grace(GRACE);
    // The session maintains the database.
    let builder = builder.maintenance(false).now(shutdown.now.clone());
    let pool = builder.on_end(move |ended| tally.ended(ended)).build()?;
    let hashing = Arc::new(hashing);
    pool.register_raw(&[queue], QueueOptions::new(), move |context| {
        let hashing = Arc::clone(&hashing);
        async move { hashing.run(context).await }
    })
    .await?;
    Ok(pool)
}

async fn enqueue(manager: &Manager, queue: &str, paths: &[String]) -> anyhow::Result<()> {
    for chunk in paths.chunks(CHUNK) {
        let metas = chunk.iter().map(|path| TaskMeta::json(&Job { path: path.clone() }));
        let metas = metas.collect::<Result<Vec<_>, _>>().context("a path cannot be a payload")?;
        manager.create_tasks(queue, metas).await.context("the tasks cannot be created")?;
    }
    Ok(())
}

/// Asks the database whether everything is finished, in case the end of an attempt was not heard of.
struct Watch {
    manager: Manager,
    queue: String,
    tasks: usize,
}

impl Watch {
    async fn until_finished(&self) {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if let Ok(counts) = report::Counts::read(&self.manager, &self.queue).await
                && counts.finished() >= self.tasks as u64
            {
                return;
            }
        }
    }
}
