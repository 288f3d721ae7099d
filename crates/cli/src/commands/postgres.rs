//! `pgmill postgres`: the embedded PostgreSQL in the foreground, for other programs to use.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use serde::Serialize;

use crate::embedded::Server;
use crate::output;
use crate::shutdown::Shutdown;

/// Run the embedded PostgreSQL in the foreground, and print its URL.
///
/// Prints one line, the URL with its password, when the server answers; then keeps it running until SIGINT or SIGTERM.
/// A server that another pgmill runs on the same data folder is shared, and taken over when that one ends.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The data folder. Default: `PGMILL_DATA`, else the user's own, such as ~/.local/share/pgmill.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Print one line of JSON in place of the bare URL.
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Running {
    url: String,
    port: u16,
    data_dir: String,
    version: u32,
    pid: Option<u32>,
    /// Whether this program started it, and so stops it.
    owned: bool,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let shutdown = Shutdown::listen()?;
    let server =
        Server::start(args.data_dir.as_deref()).await.context("the embedded PostgreSQL cannot be started")?;
    let embedded = server.handle();
    if args.json {
        output::json_line(&Running {
            url: embedded.url(),
            port: embedded.port(),
            data_dir: embedded.data_dir().display().to_string(),
            version: embedded.version(),
            pid: embedded.pid(),
            owned: embedded.owned(),
        });
    } else {
        output::line(&embedded.url());
        output::note(&format!(
            "pgmill: PostgreSQL {} runs in {} until SIGINT or SIGTERM",
            embedded.version(),
            embedded.data_dir().display()
        ));
    }
    shutdown.stop.cancelled().await;
    server.stop().await?;
    Ok(ExitCode::SUCCESS)
}
