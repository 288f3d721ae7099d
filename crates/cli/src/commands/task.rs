//! `pgmill task`

use crate::args;
use crate::remote::RemoteArgs;

/// Show a task with the attempts that did not succeed.
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
    args.remote.print(&client.get_task(args.id).await?)
}
