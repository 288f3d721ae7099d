//! `pgmill ticker`

use crate::remote::RemoteArgs;

/// Show a ticker.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The name of the ticker.
    name: String,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = args.remote.client()?;
    args.remote.print(&client.get_ticker(&args.name).await?)
}
