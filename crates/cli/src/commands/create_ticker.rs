//! `pgmill create-ticker`

use pgmill::TickerMeta;

use crate::remote::RemoteArgs;
use crate::settings::TickerSettings;

/// Create a ticker.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The name of the ticker: 1 to 64 letters, digits, hyphens and underscores; the first a letter.
    name: String,
    #[command(flatten)]
    settings: TickerSettings,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = args.remote.client()?;
    let meta = args.settings.apply(TickerMeta::new(args.name))?;
    args.remote.print(&client.create_ticker(&meta).await?)
}
