//! `/health`: for whatever watches over the process.

use std::time::Duration;

use axum::extract::State;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use pgmill::{Manager, MigrateError, Migrator};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::answer::{Answer, json};
use crate::api::App;
use crate::error::ApiError;
use crate::resource::{Routes, at};

/// How long a report is good for: however often it is asked for, it costs the database one look in that time.
const FRESH: Duration = Duration::from_secs(1);
/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

pub(crate) fn routes() -> Routes {
    Routes::new([at("/health/live").get(live), at("/health/ready").get(ready)])
}

/// What is known of the health of the process.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// What was found last, and when.
    last: Option<(Instant, Checks)>,
    /// A look at the database that is under way. There is one at a time, however long it takes: were it given up, its
    /// connection would go back among the others, and hold up whoever gets it next.
    look: Option<JoinHandle<Looked>>,
}

/// The migrations that the database lacks.
type Looked = Result<Vec<&'static str>, MigrateError>;

/// Whether the process can do its work.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct Report {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Checks>,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct Checks {
    server: Check,
    database: Check,
    migrations: Check,
    listener: Check,
}

/// One thing that may be wrong. Meant for strangers too: without names of hosts, and without SQL.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct Check {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// The process answers: whether it is to be killed. What it depends on has no say in that.
#[utoipa::path(
    get,
    path = "/health/live",
    operation_id = "get_live",
    tag = "server",
    responses((status = 200, description = "It answers.", body = Report)),
)]
pub(crate) async fn live() -> Answer<Report> {
    Answer::ok(Report { status: OK, checks: None })
}

/// Whether requests can be sent to it, and if not, what is wrong.
#[utoipa::path(
    get,
    path = "/health/ready",
    operation_id = "get_ready",
    tag = "server",
    responses((status = 200, description = "It can do its work.", body = Report), (status = 503, description = "It cannot, and why.", body = Report)),
)]
pub(crate) async fn ready(State(app): State<App>) -> Response {
    let mut checks = app.health().checks(app.manager()).await;
    if app.shutdown().is_cancelled() {
        checks.server = Check::failed("stopping", "the server is about to end");
    }
    let is_ok = checks.are_ok();
    let (code, status) =
        if is_ok { (StatusCode::OK, OK) } else { (StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE) };
    let report = Report { status, checks: Some(checks) };
    let mut answer = json(code, &report).unwrap_or_else(|error| ApiError::defect(error).into_response());
    if !is_ok {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(FRESH.as_secs()));
    }
    answer
}

const OK: &str = "ok";
const UNAVAILABLE: &str = "unavailable";
const UNKNOWN: &str = "unknown";

impl Health {
    /// Those who ask at the same time wait for the same look.
    async fn checks(&self, manager: &Manager) -> Checks {
        let mut known = self.0.lock().await;
        if let Some((made, checks)) = &known.last
            && made.elapsed() < FRESH
        {
            return checks.clone();
        }
        let looked = known.look(manager).await;
        let checks = Checks::new(looked, manager.wants_to_listen() && !manager.is_listening());
        known.last = Some((Instant::now(), checks.clone()));
        checks
    }
}

impl Known {
    /// `None` if there is no answer in time.
    async fn look(&mut self, manager: &Manager) -> Option<Looked> {
        let manager = manager.clone();
        // Whoever began it did not wait for its end, and nobody knows how long ago that was.
        self.look.take_if(|look| look.is_finished());
        let look = self.look.get_or_insert_with(|| {
            tokio::spawn(async move { Migrator::new(manager.store()).missing().await })
        });
        let looked = timeout(PATIENCE, look).await.ok()?;
        self.look = None;
        looked.ok()
    }
}

impl Checks {
    fn new(looked: Option<Looked>, deaf: bool) -> Self {
        let unavailable = |detail: &str| (Check::failed(UNAVAILABLE, detail), Check::unknown());
        let (database, migrations) = match looked {
            None => unavailable("it does not answer in time"),
            Some(Ok(missing)) if missing.is_empty() => (Check::ok(), Check::ok()),
            Some(Ok(missing)) => {
                let detail = format!("{} missing: run pgmill migrate", missing.join(", "));
                (Check::ok(), Check::failed("missing", detail))
            }
            Some(Err(error @ MigrateError::TooOld { .. })) => {
                (Check::ok(), Check::failed("too_new", error.to_string()))
            }
            // What the driver says may name hosts, and hold SQL.
            Some(Err(error)) if error.is_transient() => unavailable("it cannot be reached, or is too busy"),
            Some(Err(_)) => unavailable("it refuses to answer"),
        };
        let listener = match deaf {
            false => Check::ok(),
            true => Check::failed("polling", "not told of tasks: they are looked for every second"),
        };
        Self { server: Check::ok(), database, migrations, listener }
    }

    /// Without the listener work goes on, if later.
    fn are_ok(&self) -> bool {
        [&self.server, &self.database, &self.migrations].iter().all(|check| check.status == OK)
    }
}

impl Check {
    fn ok() -> Self {
        Self { status: OK, detail: None }
    }

    /// What cannot be told without a database.
    fn unknown() -> Self {
        Self { status: UNKNOWN, detail: None }
    }

    fn failed(status: &'static str, detail: impl Into<String>) -> Self {
        Self { status, detail: Some(detail.into()) }
    }
}
