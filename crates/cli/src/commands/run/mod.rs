//! `pgmill run`: the server.

mod files;
mod http;
mod postgres;

use std::process::ExitCode;

use anyhow::{Context, anyhow};
use pgmill::{ListRequest, Manager, Namespace};
use pgmill_server::{Api, Options, Recorder, Reloader, ServeError, Server};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use self::http::HttpArgs;
use self::postgres::PostgresArgs;
use crate::database::Database;
use crate::shutdown::Shutdown;

/// Run the server.
///
/// Serves the queues of a namespace over HTTP, and maintains the database, until SIGINT or SIGTERM. Then streams are
/// closed, and requests under way have `--http.grace` to end; a second signal ends them at once.
///
/// Logs are on standard error, a line for each request among them: JSON unless it is a terminal.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    postgres: PostgresArgs,
    /// The namespace that is served.
    #[arg(long, value_name = "NAME", default_value = "default")]
    namespace: String,
    /// Further namespaces that requests may name by `?namespace=` or the header `Pgmill-Namespace`, separated by
    /// commas; `*` for all.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    namespaces: Vec<String>,
    /// Ask for a token with each request. Without it, tokens are asked for if there are any, also such as have ended.
    #[arg(long)]
    auth: bool,
    #[command(flatten)]
    http: HttpArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let namespace = Namespace::new(&args.namespace)?;
    let options = served(Options::new(), &args.namespaces)?;
    let shutdown = Shutdown::listen()?;
    // Before the manager, which counts from its beginning.
    let recorder = Recorder::install()?;
    tracing::info!("{}@{}", env!("CARGO_BIN_NAME"), env!("CARGO_PKG_VERSION"));
    if args.postgres.schema.is_some() {
        tracing::info!("--pg.schema has no effect: the schema is pgmill");
    }
    let session = Database::open(&args.postgres.database()).await?.session(&namespace).await?;
    let served = serve(session.manager(), options, args.auth, &args.http, recorder, &shutdown).await;
    tracing::info!("http server terminated");
    session.close().await?;
    served.map(|()| ExitCode::SUCCESS)
}

/// The namespaces that requests may name.
fn served(options: Options, names: &[String]) -> anyhow::Result<Options> {
    if names.iter().any(|name| name == "*") {
        return Ok(options.all_namespaces());
    }
    let names: Result<Vec<_>, _> = names.iter().map(|name| Namespace::new(name)).collect();
    Ok(options.namespaces(names?))
}

async fn serve(
    manager: &Manager,
    options: Options,
    auth: bool,
    args: &HttpArgs,
    recorder: Recorder,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let options = options.prefix(&args.prefix).max_body(args.max_body).recorder(recorder.clone());
    let options = match args.rate_limit() {
        Some(limit) => options.rate_limit(limit),
        None => options,
    };
    let prefix = options.path_prefix().to_owned();
    let has_tokens = manager.has_tokens().await?;
    // Tokens that were revoked or have expired count too: where the last one ends, nobody gets in, rather than everybody.
    let had_tokens = manager.list_tokens(ListRequest::new().limit(0)).await?.count > 0;
    if auth && !has_tokens {
        tracing::warn!("no token opens anything: make one with `pgmill token create NAME --role admin`");
    }
    let api = Api::new(manager.clone(), options.auth(auth || had_tokens));
    let connections = files::connections(args.max_connections);
    let limits = args.serve_options().authenticated(has_tokens).max_connections(connections);
    let server = Server::new(api.router(), limits).map_err(explained)?;
    let listener = server.listen(&args.addr).await.map_err(explained)?;
    tracing::info!(addr = %listener.local_addr()?, prefix, "http server starting");
    let streams = api.shutdown();
    tokio::select! {
        ended = serve_until(server, listener, &streams, &shutdown.stop) => ended?,
        () = shutdown.now.cancelled() => {}
        () = recorder.upkeep() => {}
    }
    Ok(())
}

/// Serves until the first signal. Streams end with it, or they would be waited for.
async fn serve_until(
    server: Server,
    listener: TcpListener,
    streams: &CancellationToken,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let reloads = reload_at_hangup(server.reloader());
    let served = server.run(listener, stop.clone());
    let streams = async {
        stop.cancelled().await;
        streams.cancel();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        served = served => served.map_err(explained),
        error = reloads => error,
        () = streams => Ok(()),
    }
}

/// Reads the certificate again at each SIGHUP.
async fn reload_at_hangup(reloader: Reloader) -> anyhow::Result<()> {
    let mut hangups = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    while hangups.recv().await.is_some() {
        reloader.reload();
    }
    std::future::pending().await
}

/// What to do about it on the command line.
fn explained(error: ServeError) -> anyhow::Error {
    let advice = match &error {
        ServeError::Unencrypted { .. } => {
            "give --tls.cert and --tls.key, or --http.insecure if something in front of it encrypts"
        }
        ServeError::Open { .. } => "create a token first, with pgmill token create",
        _ => return anyhow::Error::new(error),
    };
    anyhow!("{error}: {advice}")
}
