//! The REST interface of a manager, served by a command.

use anyhow::{Context, anyhow};
use pgmill::{ListRequest, Manager};
use pgmill_server::{Api, Options, Recorder, Reloader, ServeError, ServeOptions, Server};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::shutdown::Shutdown;

/// What whoever starts it is told where it goes away between the first connection and the first request.
const NO_DATABASE: &str = "the database cannot be used";

/// A server that is set up, and does not listen yet.
#[derive(Debug)]
pub(crate) struct Serving {
    api: Api,
    server: Server,
    recorder: Recorder,
    wants_tokens: bool,
}

impl Serving {
    /// Sets up the server of a manager. Requests need a token if that is wanted, or if there are or were any.
    pub(crate) async fn new(
        manager: &Manager,
        options: Options,
        auth: bool,
        limits: ServeOptions,
        recorder: Recorder,
    ) -> anyhow::Result<Self> {
        let has_tokens = manager.has_tokens().await.context(NO_DATABASE)?;
        // Tokens that were revoked or have expired count too: where the last one ends, nobody gets in, rather than everybody.
        let tokens = manager.list_tokens(ListRequest::new().limit(0)).await.context(NO_DATABASE)?;
        let had_tokens = tokens.count > 0;
        let wants_tokens = auth || had_tokens;
        if wants_tokens && !has_tokens {
            tracing::warn!("no token opens anything: make one with `pgmill token create NAME --role admin`");
        }
        let api = Api::new(manager.clone(), options.recorder(recorder.clone()).auth(wants_tokens));
        let server = Server::new(api.router(), limits.authenticated(has_tokens)).map_err(explained)?;
        Ok(Self { api, server, recorder, wants_tokens })
    }

    /// Whether requests need a token.
    pub(crate) fn wants_tokens(&self) -> bool {
        self.wants_tokens
    }

    /// Listens at this address.
    pub(crate) async fn listen(&self, address: &str) -> anyhow::Result<TcpListener> {
        self.server.listen(address).await.map_err(explained)
    }

    /// Serves until the first signal, and then until what is under way has ended; or until the second.
    pub(crate) async fn run(self, listener: TcpListener, shutdown: &Shutdown) -> anyhow::Result<()> {
        let Self { api, server, recorder, .. } = self;
        let streams = api.shutdown();
        tokio::select! {
            ended = serve_until(server, listener, &streams, &shutdown.stop) => ended?,
            () = shutdown.now.cancelled() => {}
            () = recorder.upkeep() => {}
        }
        Ok(())
    }
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
