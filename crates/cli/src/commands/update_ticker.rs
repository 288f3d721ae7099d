//! `pgmill update-ticker`

use pgmill::TickerMeta;

use crate::remote::RemoteArgs;
use crate::settings::TickerSettings;

/// Change the settings of a ticker: those that are named, and no others.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The name of the ticker.
    name: String,
    /// Give the ticker another name.
    #[arg(long, value_name = "NAME")]
    rename: Option<String>,
    /// Let it tick no more, until it is given an interval or a cron expression again.
    #[arg(long, conflicts_with_all = ["interval", "cron"])]
    disable: bool,
    #[command(flatten)]
    settings: TickerSettings,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = args.remote.client()?;
    let mut meta = args.settings.apply(TickerMeta::new(args.rename.unwrap_or_default()))?;
    meta.disabled = args.disable;
    args.remote.print(&client.update_ticker(&args.name, &meta).await?)
}
