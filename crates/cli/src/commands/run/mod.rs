//! `pgmill run`: the server.

mod files;
mod http;
mod postgres;

use std::process::ExitCode;

use pgmill::{Manager, Namespace};
use pgmill_server::{Options, Recorder};

use self::http::HttpArgs;
use self::postgres::PostgresArgs;
use crate::database::Database;
use crate::serving::Serving;
use crate::shutdown::Shutdown;
use crate::traces::TraceArgs;

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
    #[command(flatten)]
    pub(super) traces: TraceArgs,
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
    let options = options.prefix(&args.prefix).max_body(args.max_body);
    let options = match args.rate_limit() {
        Some(limit) => options.rate_limit(limit),
        None => options,
    };
    let prefix = options.path_prefix().to_owned();
    let limits = args.serve_options().max_connections(files::connections(args.max_connections));
    let serving = Serving::new(manager, options, auth, limits, recorder).await?;
    let listener = serving.listen(&args.address()).await?;
    let tokens = if serving.wants_tokens() { "needed" } else { "not needed" };
    tracing::info!(addr = %listener.local_addr()?, prefix, tokens, "http server starting");
    serving.run(listener, shutdown).await
}
