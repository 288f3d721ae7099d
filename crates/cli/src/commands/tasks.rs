//! `pgmill tasks`

use anyhow::anyhow;
use pgmill::{QueueName, Status, TaskFilter};

use crate::args;
use crate::remote::RemoteArgs;
use crate::settings::statuses;
use crate::watch::WatchArgs;

/// List the tasks, finished ones too.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only those of this queue.
    #[arg(long, value_name = "QUEUE")]
    queue: Option<String>,
    /// Only those with this status.
    #[arg(long, value_name = "STATUS", value_parser = statuses())]
    status: Option<Status>,
    /// How many to skip.
    #[arg(long, value_name = "N", default_value = "0", value_parser = args::uint)]
    offset: u64,
    /// How many to list, at most 100; 0 is as many as the server lists of itself.
    #[arg(long, value_name = "N", default_value = "100", value_parser = args::uint)]
    limit: u64,
    #[command(flatten)]
    watch: WatchArgs,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = args.remote.client()?;
    let mut filter = TaskFilter::new().offset(args.offset);
    if args.limit > 0 {
        filter = filter.limit(args.limit);
    }
    if let Some(queue) = args.queue.filter(|queue| !queue.is_empty()) {
        let queue = QueueName::new(&queue);
        filter = filter.queue(queue.map_err(|error| anyhow!("{error} (allowed: {})", error.allowed()))?);
    }
    filter.status = args.status;
    args.watch.print(&args.remote, async || client.list_tasks(&filter).await).await
}
