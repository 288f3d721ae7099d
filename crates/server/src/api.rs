//! The interface as a whole, and in groups.

use std::sync::Arc;

use axum::Router;
use pgmill::{Manager, Namespace};
use tokio_util::sync::CancellationToken;

use crate::auth::Auth;
use crate::lobby::Lobby;
use crate::options::Options;
use crate::quota::Quota;
use crate::resource::Routes;
use crate::routes::health::Health;
use crate::tick_stream::TickStreams;
use crate::{layers, metrics, routes, unclean};

/// Of how many namespaces there can be streams at a time: each has a loop or a row in the database, and any name will do for one
/// where all are served.
const MOST_WATCHED: usize = 1_000;

/// What every handler can reach.
#[derive(Debug, Clone)]
pub(crate) struct App(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    manager: Manager,
    options: Options,
    auth: Auth,
    shutdown: CancellationToken,
    health: Health,
    lobby: Lobby,
    tick_streams: TickStreams,
    watched: Quota<Namespace>,
}

impl App {
    pub(crate) fn manager(&self) -> &Manager {
        &self.0.manager
    }

    pub(crate) fn options(&self) -> &Options {
        &self.0.options
    }

    /// Where requests wait for tasks.
    pub(crate) fn lobby(&self) -> &Lobby {
        &self.0.lobby
    }

    /// The streams of ticks that are open.
    pub(crate) fn tick_streams(&self) -> &TickStreams {
        &self.0.tick_streams
    }

    /// The namespaces of which a stream is open.
    pub(crate) fn watched(&self) -> &Quota<Namespace> {
        &self.0.watched
    }

    pub(crate) fn auth(&self) -> &Auth {
        &self.0.auth
    }

    pub(crate) fn health(&self) -> &Health {
        &self.0.health
    }

    /// Cancelled when requests that wait and streams are to end.
    pub(crate) fn shutdown(&self) -> &CancellationToken {
        &self.0.shutdown
    }
}

/// The REST interface of one manager: all of it, or one group of resources at a time.
///
/// Its routers can be merged and nested. Only [`router`](Self::router) answers paths that it does not have.
#[derive(Debug, Clone)]
pub struct Api {
    app: App,
}

/// The whole interface: [`Api::router`].
pub fn router(manager: Manager, options: Options) -> Router {
    Api::new(manager, options).router()
}

impl Api {
    /// The interface of this manager, which goes on being usable beside it.
    pub fn new(manager: Manager, options: Options) -> Self {
        let auth = Auth::new(&manager, &options);
        let shutdown = CancellationToken::new();
        let shared = Shared {
            manager,
            options,
            auth,
            shutdown,
            health: Health::default(),
            lobby: Lobby::default(),
            tick_streams: TickStreams::default(),
            watched: Quota::new(MOST_WATCHED),
        };
        Self { app: App(Arc::new(shared)) }
    }

    /// What ends all that would otherwise go on for long, once it is cancelled: streams are closed, and requests that wait
    /// for a task are answered that none was found. Other requests are answered as ever; so this goes before a graceful
    /// shutdown of whatever serves the router, which would wait for streams to end.
    ///
    /// ```no_run
    /// # async fn example(manager: pgmill::Manager) -> Result<(), std::io::Error> {
    /// use pgmill_server::{Api, Options};
    ///
    /// let api = Api::new(manager, Options::new());
    /// let shutdown = api.shutdown();
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    /// axum::serve(listener, api.router())
    ///     .with_graceful_shutdown(async move { shutdown.cancelled().await })
    ///     .await
    /// # }
    /// ```
    pub fn shutdown(&self) -> CancellationToken {
        self.app.shutdown().clone()
    }

    /// Everything, and an answer of 404 for all other paths.
    pub fn router(&self) -> Router {
        let all = routes::all(self.app.options().path_prefix());
        self.finish(all.into_router(&self.app).fallback(routes::fallback))
    }

    /// `GET /namespace`.
    pub fn namespaces(&self) -> Router {
        self.group(routes::namespace::routes())
    }

    /// `/queue` and what is below it, and `/status`.
    pub fn queues(&self) -> Router {
        self.group(routes::queue::routes())
    }

    /// `/task` and what is below it.
    pub fn tasks(&self) -> Router {
        self.group(routes::task::routes())
    }

    /// `/ticker` and what is below it.
    pub fn tickers(&self) -> Router {
        self.group(routes::ticker::routes())
    }

    /// `GET /event`: changes of tasks as they happen.
    pub fn events(&self) -> Router {
        self.group(routes::event::routes())
    }

    /// `/token` and what is below it: see [`Options::auth`].
    pub fn tokens(&self) -> Router {
        self.group(routes::token::routes())
    }

    /// `GET /audit`: who changed what.
    pub fn audit(&self) -> Router {
        self.group(routes::audit::routes())
    }

    /// `GET /metrics`.
    pub fn metrics(&self) -> Router {
        self.group(routes::metrics::routes())
    }

    /// `/health/live` and `/health/ready`.
    pub fn health(&self) -> Router {
        self.group(routes::health::routes())
    }

    /// `/openapi.json` and `/docs`: what each route takes and answers, to be read by programs and by people.
    pub fn docs(&self) -> Router {
        self.group(routes::docs::routes())
    }

    fn group(&self, group: Routes) -> Router {
        self.finish(group.under(self.app.options().path_prefix()).into_router(&self.app))
    }

    /// The layers that every request passes: the last one first.
    fn finish(&self, router: Router<App>) -> Router {
        router
            .layer(axum::middleware::from_fn(unclean::redirect))
            .layer(axum::middleware::from_fn(layers::report))
            .layer(axum::middleware::from_fn(layers::trace))
            .layer(axum::middleware::from_fn(metrics::count))
            .with_state(self.app.clone())
    }
}
