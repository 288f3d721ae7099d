//! `pgmill tickers`

use crate::page::PageArgs;
use crate::remote::RemoteArgs;
use crate::watch::WatchArgs;

/// List the tickers.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    page: PageArgs,
    #[command(flatten)]
    watch: WatchArgs,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = args.remote.client()?;
    args.watch.print(&args.remote, async || client.list_tickers(args.page.request()).await).await
}
