//! What the command line asks for, and what follows from it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use pgmill::Json;
use serde::{Deserialize, Serialize};

use crate::child::ChildArgs;

/// Measures pgmill, and in the same run the limits of the server it runs on.
///
/// The server should be idle, and the database one that nobody else uses: what others do there is measured too.
#[derive(Debug, clap::Parser)]
#[command(name = "pgmill-bench", version)]
pub(crate) struct Args {
    /// The database, as a URL or as name=value pairs; without it, an embedded PostgreSQL that is removed at the end
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) url: Option<String>,

    /// The folder of `initdb` and `postgres` for the embedded PostgreSQL; without it, the newest that is installed
    #[arg(long, value_name = "DIR")]
    pub(crate) bin_dir: Option<PathBuf>,

    /// A setting of the embedded PostgreSQL, as in postgresql.conf; may be given repeatedly
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub(crate) settings: Vec<(String, String)>,

    /// The workloads to run; without it, all but `backlog`, `finished`, `pinned` and `growth`, which take minutes
    #[arg(long, value_enum, value_name = "NAME", num_args = 1..)]
    pub(crate) workload: Vec<Workload>,

    /// Runs every workload, also those that take long
    #[arg(long, conflicts_with = "workload")]
    pub(crate) all: bool,

    /// The length of each payload as JSON text, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..=1_048_576))]
    payload: u32,

    /// The tasks of a bulk and of a backlog, and the most that any other workload creates a round [default: 100000,
    /// quick: 30000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    tasks: Option<u32>,

    /// How often each workload is run; medians are reported [default: 3, quick: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,

    /// The most tasks that wait, have finished, or are added up to in `backlog`, `finished` and `growth` [default:
    /// 10000000, quick: 100000, 200000 finished]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1_000..=100_000_000))]
    deep: Option<u32>,

    /// How long `pinned` holds a transaction open, in minutes [default: 10, quick: 10 s]
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(1..=600))]
    pinned_minutes: Option<u32>,

    /// Takes some five minutes: one round, short and small
    #[arg(long)]
    quick: bool,

    /// Writes one JSON object a result to standard output, and nothing else there
    #[arg(long)]
    pub(crate) json: bool,

    /// Writes the same to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) save: Option<PathBuf>,

    /// Writes a report with plots: one file of HTML that needs nothing else
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Makes a report of the results of earlier runs
    Report(ReportArgs),
    /// Prints what results say of the bars, as a table in Markdown
    Bars(BarsArgs),
    /// What this program starts as its other processes
    #[command(hide = true)]
    Child(ChildArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReportArgs {
    /// Files written by --json or --save
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// The report: one file of HTML that needs nothing else
    #[arg(long, value_name = "OUT")]
    pub(crate) html: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct BarsArgs {
    /// Files written by --json or --save
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
}

/// How many different payloads there are: more than rows on a page, for the server compresses pages that it puts into
/// the WAL.
pub(crate) const PAYLOADS: usize = 256;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[value(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(crate) enum Workload {
    /// Callers that create one task after the other, each awaiting that it is durable
    EnqueueSingle,
    /// One caller that creates many tasks at once
    EnqueueBulk,
    /// Processes that retain and release a backlog of no-op tasks
    Drain,
    /// The time from the commit of a task to its arrival at an idle worker, in this process and in another one
    Latency,
    /// The time a retain takes beside many leased and delayed tasks
    Retain,
    /// How late ticks come, with many tickers and three processes
    Tickers,
    /// The statements of pools that have nothing to do
    Idle,
    /// Drain, retain and lists with very many tasks waiting
    Backlog,
    /// The same with very many finished, and while they are removed
    Finished,
    /// A steady load beside a transaction that stays open
    Pinned,
    /// What retains take as backlog, history, queues, processes and payloads grow
    Growth,
    /// Tasks created at fixed rates, done by another process, and the highest rate that is held
    Sustained,
    /// Pickup of a few tasks a second, with LISTEN and without
    LowLoad,
    /// Tasks due now and later, some tried twice, on top of many of the future
    Mixed,
    /// A thousand queues, a few of which have most of the tasks, against one
    Queues,
    /// Requests to the server, and the same asked of the library
    Http,
    /// Many connections that wait for tasks and watch events, and the server beside them
    Connections,
}

impl Workload {
    /// Whether it takes minutes, and repeats within its one round what it compares.
    pub(crate) fn is_long(self) -> bool {
        matches!(self, Self::Backlog | Self::Finished | Self::Pinned | Self::Growth)
    }

    /// As it is named on the command line and in results.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// How much of each workload is run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Whether variants are left out that tell little more.
    pub(crate) quick: bool,
    pub(crate) rounds: u32,
    pub(crate) tasks: u32,
    /// How long callers create tasks one by one, or until `tasks` are created.
    pub(crate) window: Duration,
    /// The same for one number of clients of the one-row INSERT.
    pub(crate) limit_window: Duration,
    pub(crate) samples: u32,
    /// The same where each takes a while.
    pub(crate) slow_samples: u32,
    /// How many tickers there are.
    pub(crate) tickers: u32,
    /// How many connections are open.
    pub(crate) connections: u32,
    /// How long tickers tick, idle pools are watched, and rates are offered.
    pub(crate) watch: Duration,
    /// How many tasks wait at most.
    pub(crate) deep: u32,
    /// How many have finished at most.
    pub(crate) history: u32,
    /// How long a transaction is held open.
    pub(crate) pinned: Duration,
    /// The rates that are offered, in tasks a second.
    pub(crate) rates: &'static [u32],
    /// How many queues there are where there are many.
    pub(crate) queues: u32,
    /// How many tasks are due in an hour or two.
    pub(crate) future: u32,
    /// The most tasks of a rate: `--tasks`, where it is given.
    pub(crate) most: u32,
    payloads: Vec<Json>,
}

impl Plan {
    /// The payload of one of the tasks.
    pub(crate) fn payload(&self, task: usize) -> &Json {
        &self.payloads[task % PAYLOADS]
    }
}

impl Args {
    pub(crate) fn plan(&self) -> anyhow::Result<Plan> {
        let payloads = (0..PAYLOADS).map(|_| payload(self.payload)).collect::<anyhow::Result<_>>()?;
        let plan = if self.quick {
            Plan {
                quick: true,
                rounds: 1,
                tasks: 30_000,
                window: Duration::from_millis(1_500),
                limit_window: Duration::from_millis(900),
                samples: 200,
                slow_samples: 50,
                tickers: 200,
                connections: 1_000,
                watch: Duration::from_secs(5),
                deep: 100_000,
                history: 200_000,
                pinned: Duration::from_secs(10),
                rates: &[1_000, 5_000],
                queues: 1_000,
                future: 10_000,
                most: u32::MAX,
                payloads,
            }
        } else {
            Plan {
                quick: false,
                rounds: 3,
                tasks: 100_000,
                window: Duration::from_secs(5),
                limit_window: Duration::from_secs(3),
                samples: 500,
                slow_samples: 500,
                tickers: 1_000,
                connections: 10_000,
                watch: Duration::from_secs(60),
                deep: 10_000_000,
                history: 10_000_000,
                pinned: Duration::from_secs(600),
                rates: &[1_000, 5_000, 20_000],
                queues: 1_000,
                future: 1_000_000,
                most: u32::MAX,
                payloads,
            }
        };
        let tasks = self.tasks.unwrap_or(plan.tasks);
        let most = self.tasks.unwrap_or(plan.most);
        let (future, queues) = (plan.future.min(most), plan.queues.min(most));
        let rounds = self.rounds.unwrap_or(plan.rounds);
        let (samples, slow_samples) = (plan.samples.min(tasks), plan.slow_samples.min(tasks));
        let (tickers, connections) = (plan.tickers.min(tasks), plan.connections.min(tasks));
        // Few tasks are few of everything, unless many are asked for.
        let deep = |most: u32| self.deep.unwrap_or_else(|| most.min(self.tasks.unwrap_or(most)));
        let (deep, history) = (deep(plan.deep), deep(plan.history));
        let pinned = self.pinned_minutes.map_or(plan.pinned, |minutes| Duration::from_secs(60) * minutes);
        Ok(Plan {
            deep,
            history,
            pinned,
            tasks,
            most,
            future,
            queues,
            rounds,
            samples,
            slow_samples,
            tickers,
            connections,
            ..plan
        })
    }

    pub(crate) fn workloads(&self) -> Vec<Workload> {
        let by_default = |workload: &Workload| self.workload.is_empty() && !workload.is_long();
        let wanted =
            |workload: &Workload| self.all || by_default(workload) || self.workload.contains(workload);
        Workload::value_variants().iter().filter(|workload| wanted(workload)).copied().collect()
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a setting is NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// A JSON string of so many bytes. Its characters are random, for the server compresses long values.
pub(crate) fn payload(bytes: u32) -> anyhow::Result<Json> {
    let mut noise = vec![0; bytes as usize - 2];
    getrandom::fill(&mut noise).context("the operating system has no random numbers")?;
    let text: String = noise.iter().map(|byte| char::from(b'a' + byte % 26)).collect();
    Ok(Json::encode(&text)?)
}
