//! `pgmill run`: the server.

use std::process::ExitCode;

use anyhow::Context;
use pgmill::Namespace;
use pgmill_server::{Api, Options, ServeOptions, Server};
use tokio::net::TcpListener;

use crate::database::{Database, DatabaseArgs};
use crate::shutdown::Shutdown;

/// Run the server.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The database, as with `--url`.
    #[arg(value_name = "URL", conflicts_with = "url")]
    address: Option<String>,
    /// The namespace that is served.
    #[arg(long, value_name = "NAME", default_value = "default")]
    namespace: String,
    /// The address to listen at.
    #[arg(
        long = "http.addr",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:8080",
        env = "PGQUEUE_ADDR"
    )]
    addr: String,
    /// What all paths begin with.
    #[arg(long = "http.prefix", value_name = "PATH", default_value = pgmill_server::DEFAULT_PREFIX)]
    prefix: String,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let namespace = Namespace::new(&args.namespace)?;
    let shutdown = Shutdown::listen()?;
    let database = match args.address {
        Some(url) => DatabaseArgs::named(url),
        None => args.database,
    };
    let session = Database::open(&database).await?.session(&namespace).await?;
    let options = Options::new().prefix(&args.prefix);
    let prefix = options.path_prefix().to_owned();
    let api = Api::new(session.manager().clone(), options);
    let listener =
        TcpListener::bind(&args.addr).await.with_context(|| format!("cannot listen at {}", args.addr))?;
    let addr = listener.local_addr()?;
    tracing::info!(%addr, prefix, "http server starting");
    let serve = Server::new(api.router(), ServeOptions::new()).run(listener, shutdown.stop.clone());
    tokio::select! {
        served = serve => served?,
        () = shutdown.now.cancelled() => {}
    }
    tracing::info!("http server terminated");
    drop(api);
    session.close().await?;
    Ok(ExitCode::SUCCESS)
}
