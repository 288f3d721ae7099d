//! `pgmill update-queue`

use pgmill::QueueMeta;

use crate::remote::RemoteArgs;
use crate::settings::QueueSettings;

/// Change the settings of a queue: those that are named, and no others.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The name of the queue.
    name: String,
    /// Give the queue another name. Its tasks stay in it.
    #[arg(long, value_name = "NAME")]
    rename: Option<String>,
    #[command(flatten)]
    settings: QueueSettings,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = args.remote.client()?;
    let meta = args.settings.apply(QueueMeta::new(args.rename.unwrap_or_default()));
    args.remote.print(&client.update_queue(&args.name, &meta).await?)
}
