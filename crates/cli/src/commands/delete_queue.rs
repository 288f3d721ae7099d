//! `pgmill delete-queue`

use crate::remote::RemoteArgs;

/// Delete a queue with all its tasks, also those that are being worked on.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The name of the queue.
    name: String,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = args.remote.client()?;
    args.remote.print(&client.delete_queue(&args.name).await?)
}
