//! `pgmill pause-queue`

use crate::remote::RemoteArgs;

/// Let a queue hand out no more tasks, until `resume-queue`. Tasks can still be created.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The name of the queue.
    name: String,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = args.remote.client()?;
    args.remote.print(&client.pause_queue(&args.name).await?)
}
