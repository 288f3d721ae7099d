//! `pgmill next-ticker`

use crate::feed;
use crate::remote::RemoteArgs;

/// Print ticks as they fall due, a line each: [event] data.
///
/// Each tick goes to one of all who listen. Lines that begin with [ping] tell that the connection is alive; when it is
/// lost, a line that begins with [reconnecting] tells why, and it is tried again after 1 to 30 seconds.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = args.remote.client()?;
    feed::follow(client.ticks().into_signals(), feed::Loss::Line, |message| {
        Some(format!("[{}] {}", message.event, message.data))
    })
    .await
}
