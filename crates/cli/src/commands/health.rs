//! `pgmill health`

use std::process::ExitCode;

use crate::remote::RemoteArgs;

/// Ask the server whether it can work, and what is wrong if it cannot. The exit code is 0 if it can, and 1 if not.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let client = args.remote.client()?;
    let health = client.health_ready().await?;
    args.remote.print(&health)?;
    Ok(if health.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
