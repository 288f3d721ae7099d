//! `pgmill namespaces`

use crate::remote::RemoteArgs;

/// List the namespaces that have a queue or a ticker.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = args.remote.client()?;
    args.remote.print(&client.list_namespaces().await?)
}
