//! `/health`: for whatever watches over the process.
//!
//! Load balancers ask every second, each of them. So there is one look at the database at a time, however many ask. Whether it answers
//! and is migrated is looked at once a second, by two small statements. What [`Manager::check_ready`] looks at besides is
//! looked at every ten seconds while it is well, and every second while it keeps the process from its work. The rest of
//! [`Manager::check`], which reads tables and opens a connection, is looked at once a minute, and is a warning at most. Nobody waits
//! longer than a second for any of that: meanwhile what was found before holds. What strangers may not know is left out.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use pgmill::{CheckOptions, Checkup, Manager, MigrateError, Migrator, Verdict};
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
/// How long what is well of the other checks is good for.
const CALM: Duration = Duration::from_secs(10);
/// How long what is found by those that cost more is good for, and which they are.
const LONG: Duration = Duration::from_secs(60);
const DEAR: [&str; 5] = ["schema", "notify", "stuck", "failing", "unused"];
/// How long is waited for them: meanwhile what was found before holds.
const SHORT_PATIENCE: Duration = Duration::from_secs(1);

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
    ready: Kept,
    dear: Kept,
}

/// What some of the checks came to.
#[derive(Debug, Default)]
struct Kept {
    /// Last, and when.
    found: Option<(Instant, Checkup)>,
    /// Those that are under way, and when they ended.
    looking: Option<JoinHandle<(Instant, Checkup)>>,
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
    /// Those of `pgmill doctor`, by their names, each `ok`, `warn`, `fail` or `unknown`. With a `fail` the server cannot do its
    /// work; with a `warn` it can.
    #[serde(flatten)]
    more: BTreeMap<&'static str, Check>,
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
const FAIL: &str = "fail";

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
        // Without an answer they would only wait for it, too.
        let more = match &looked {
            Some(Ok(_)) => known.more(manager).await,
            _ => BTreeMap::new(),
        };
        let checks = Checks::new(looked, manager.wants_to_listen() && !manager.is_listening(), more);
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

    /// What the other checks came to.
    async fn more(&mut self, manager: &Manager) -> BTreeMap<&'static str, Check> {
        let options = CheckOptions::new();
        let good_for = |checkup: &Checkup| if checkup.verdict == Verdict::Fail { FRESH } else { CALM };
        let ready = {
            let (manager, options) = (manager.clone(), options.clone());
            self.ready.look(good_for, async move { manager.check_ready(&options).await })
        };
        let dear = {
            let manager = manager.clone();
            self.dear.look(|_| LONG, async move { manager.check(&options).await })
        };
        let (ready, dear) = tokio::join!(ready, dear);
        // Whether there is a connection is told as `database`.
        let ready =
            ready.into_iter().flat_map(|found| &found.checks).filter(|check| check.name != "connection");
        let dear =
            dear.into_iter().flat_map(|found| &found.checks).filter(|check| DEAR.contains(&check.name));
        let dear = dear.map(|check| (check.name, Check::of(check).at_most_warn()));
        ready.map(|check| (check.name, Check::of(check))).chain(dear).collect()
    }
}

impl Kept {
    /// What they came to: before, if that is still good, or if there is no answer in time.
    async fn look(
        &mut self,
        good_for: impl Fn(&Checkup) -> Duration,
        look: impl Future<Output = Checkup> + Send + 'static,
    ) -> Option<&Checkup> {
        let is_good = |(made, checkup): &(Instant, Checkup)| made.elapsed() < good_for(checkup);
        let mut look = Some(look);
        // Twice, for those that are under way may have ended long ago, with nobody there to ask.
        for _ in 0..2 {
            if self.found.as_ref().is_some_and(is_good) {
                break;
            }
            if self.looking.is_none()
                && let Some(look) = look.take()
            {
                self.looking = Some(tokio::spawn(async move {
                    let checkup = look.await;
                    (Instant::now(), checkup)
                }));
            }
            let Some(looking) = &mut self.looking else { break };
            let Ok(ended) = timeout(SHORT_PATIENCE, looking).await else { break };
            self.looking = None;
            self.found = ended.ok();
        }
        self.found.as_ref().map(|(_, checkup)| checkup)
    }
}

impl Checks {
    fn new(looked: Option<Looked>, deaf: bool, more: BTreeMap<&'static str, Check>) -> Self {
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
        Self { server: Check::ok(), database, migrations, listener, more }
    }

    /// Without the listener work goes on, if later.
    fn are_ok(&self) -> bool {
        [&self.server, &self.database, &self.migrations].iter().all(|check| check.status == OK)
            && self.more.values().all(|check| check.status != FAIL)
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

    /// What was seen, without what is not for strangers.
    fn of(check: &pgmill::Check) -> Self {
        match check.verdict {
            Verdict::Ok => Self::ok(),
            Verdict::Skipped => Self::failed(UNKNOWN, &*check.seen),
            Verdict::Fail => Self::failed(FAIL, &*check.seen),
            verdict => Self::failed(verdict.as_str(), &*check.seen),
        }
    }

    fn at_most_warn(self) -> Self {
        let status = if self.status == FAIL { Verdict::Warn.as_str() } else { self.status };
        Self { status, ..self }
    }

    fn failed(status: &'static str, detail: impl Into<String>) -> Self {
        Self { status, detail: Some(detail.into()) }
    }
}
