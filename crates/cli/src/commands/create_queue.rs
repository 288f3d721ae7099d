//! `pgmill create-queue`

use pgmill::QueueMeta;

use crate::remote::RemoteArgs;
use crate::settings::QueueSettings;

/// Create a queue.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The name of the queue: 1 to 64 letters, digits, hyphens and underscores; the first a letter.
    name: String,
    #[command(flatten)]
    settings: QueueSettings,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = args.remote.client()?;
    let meta = args.settings.apply(QueueMeta::new(args.name));
    args.remote.print(&client.create_queue(&meta).await?)
}
