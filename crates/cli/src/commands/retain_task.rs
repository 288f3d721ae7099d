//! `pgmill retain-task`

use std::io::{self, IsTerminal};
use std::time::Duration;

use anyhow::bail;
use pgmill::List;
use pgmill_client::Retain;

use crate::remote::RemoteArgs;
use crate::show::Retained;
use crate::{args, failure};

/// Retain the next task: take it to work on it.
///
/// It is this worker's until it is completed (`pgmill complete-task`) or its lease runs out; then it is offered again.
/// `pgmill work` does all this by itself.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The queues to take it from. Default: any.
    queues: Vec<String>,
    /// The name of the worker, which is a label only.
    #[arg(long, value_name = "NAME")]
    worker: String,
    /// Take so many at most, and print a list of them, which may be empty; from 1 to 1000.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: Option<u16>,
    /// How long to wait for a task if there is none, at most 60s. Default not at all.
    #[arg(long, value_name = "DURATION", value_parser = args::duration)]
    wait: Option<Duration>,
    /// How long to hold it, from 1s to 720h; to complete it then takes the `lease` that is printed. Default what its
    /// queue says.
    #[arg(long, value_name = "DURATION", value_parser = args::duration)]
    lease: Option<Duration>,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = args.remote.client()?;
    let mut retain = Retain::new(args.worker).queues(args.queues);
    if let Some(wait) = args.wait {
        retain = retain.wait(wait);
    }
    if let Some(lease) = args.lease {
        retain = retain.lease(lease);
    }
    let Some(count) = args.count else {
        let Some(retained) = client.retain_one(&retain).await? else {
            bail!(failure::no_task_available(io::stderr().is_terminal()));
        };
        return args.remote.print(&Retained::from(retained));
    };
    let tasks = client.retain_tasks(&retain.count(count.into())).await?;
    let body: Vec<Retained> = tasks.into_iter().map(Retained::from).collect();
    args.remote.print(&List { offset: 0, limit: None, count: body.len() as u64, body })
}
