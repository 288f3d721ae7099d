//! `pgmill resume-queue`

use crate::remote::RemoteArgs;

/// Let a paused queue hand out tasks again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The name of the queue.
    name: String,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = args.remote.client()?;
    args.remote.print(&client.resume_queue(&args.name).await?)
}
