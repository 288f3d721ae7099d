//! `pgmill retry-task`

use crate::args;
use crate::remote::RemoteArgs;

/// Run a task that has ended once more, with all its attempts, under the same id.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The number of the task.
    #[arg(value_parser = args::uint)]
    id: u64,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = args.remote.client()?;
    args.remote.print(&client.retry_task(args.id).await?)
}
