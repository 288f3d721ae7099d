//! `pgmill status`

use crate::page::PageArgs;
use crate::remote::RemoteArgs;
use crate::watch::WatchArgs;

/// Tell how many tasks the queues have, by status.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this queue.
    #[arg(value_name = "QUEUE", conflicts_with_all = ["offset", "limit"])]
    queue: Option<String>,
    #[command(flatten)]
    page: PageArgs,
    #[command(flatten)]
    watch: WatchArgs,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = args.remote.client()?;
    match &args.queue {
        Some(queue) => args.watch.print(&args.remote, async || client.queue_status(queue).await).await,
        None => {
            args.watch.print(&args.remote, async || client.list_statuses(args.page.request()).await).await
        }
    }
}
