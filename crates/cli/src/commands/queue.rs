//! `pgmill queue`

use crate::remote::RemoteArgs;
use crate::show::QueueView;
use crate::watch::WatchArgs;

/// Show a queue.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The name of the queue.
    name: String,
    #[command(flatten)]
    watch: WatchArgs,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = args.remote.client()?;
    let for_people = args.remote.is_for_people();
    let ask = async || {
        let queue = client.get_queue(&args.name).await?;
        // An addition: a server that does not tell, or not to everybody, has told what was asked for.
        let tasks = if for_people { client.queue_status(&args.name).await.ok() } else { None };
        Ok(QueueView { queue, tasks })
    };
    args.watch.print(&args.remote, ask).await
}
