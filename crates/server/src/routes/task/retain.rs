//! `PUT /task` and `PUT /task/{queue}`: the next task. What is in the body does not matter.

use std::ops::RangeInclusive;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use pgmill::{QueueName, Retain, RetainError, Task, format_duration, seconds};
use pgmill_schema::openapi::NameGiven;
use serde::Serialize;
use tokio::time::Instant;

use super::whole;
use crate::answer::Answer;
use crate::api::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::input::{Query, Segment, invalid_parameter, skip_body};
use crate::layers::TimeLimit;
use crate::metrics;
use crate::openapi::{RetainQuery, RetainedOneOrMany};

/// How many tasks one request can retain.
const COUNTS: RangeInclusive<u64> = 1..=1_000;
/// How many queues one request can name.
const MOST_QUEUES: usize = 100;
/// How long a request can wait for a task.
const LONGEST_WAIT: Duration = seconds(60);

/// What a request asks for.
struct Wanted<'a> {
    caller: &'a Caller,
    worker: &'a str,
    /// None: any.
    queues: Vec<QueueName>,
    retain: Retain,
}

/// A task for whoever retains it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Retained {
    #[serde(flatten)]
    task: Task,
    /// What a release of this attempt is proven with.
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<String>,
}

impl From<Task> for Retained {
    fn from(task: Task) -> Self {
        Self { lease: task.claim().map(pgmill::Claim::token), task }
    }
}

/// From any queue of the namespace, or those that the query names.
#[utoipa::path(
    put,
    path = "/task",
    operation_id = "retain_task",
    tag = "task",
    params(RetainQuery),
    responses((status = 201, description = "The task; where `n` is given, the list of tasks, which may be empty.", body = RetainedOneOrMany)),
)]
pub(crate) async fn from_any(
    app: State<App>,
    limit: TimeLimit,
    caller: Caller,
    query: Query,
    body: Body,
) -> Result<Response, ApiError> {
    retain(&app, &limit, &caller, &query, Vec::new(), body).await
}

/// From this queue, and those that the query names.
#[utoipa::path(
    put,
    path = "/task/{id}",
    operation_id = "retain_task_from",
    tag = "task",
    params(("id" = inline(NameGiven), Path, description = "The name of the queue."), RetainQuery),
    responses((status = 201, description = "The task; where `n` is given, the list of tasks, which may be empty.", body = RetainedOneOrMany)),
)]
pub(crate) async fn from_one(
    app: State<App>,
    limit: TimeLimit,
    caller: Caller,
    Segment(name): Segment,
    query: Query,
    body: Body,
) -> Result<Response, ApiError> {
    retain(&app, &limit, &caller, &query, vec![queue_name(&name)?], body).await
}

async fn retain(
    app: &App,
    limit: &TimeLimit,
    caller: &Caller,
    query: &Query,
    mut queues: Vec<QueueName>,
    body: Body,
) -> Result<Response, ApiError> {
    if query.all("queue").count() > MOST_QUEUES {
        return Err(invalid_parameter("queue", &format!("at most {MOST_QUEUES} queues are allowed")));
    }
    for name in query.all("queue").filter(|name| !name.is_empty()) {
        queues.push(queue_name(name)?);
    }
    let worker = query.first("worker").filter(|worker| !worker.is_empty());
    let worker = worker.ok_or_else(|| ApiError::bad("missing_worker", "missing worker parameter"))?;
    let count = count(query)?;
    let mut retain = Retain::new().count(count.unwrap_or(1));
    if let Some(lease) = query.duration("lease")? {
        // Who asks for a lease knows of leases: from then on the id of the task alone ends nothing.
        retain = retain.lease(lease).fenced();
    }
    let wanted = Wanted { caller, worker, queues, retain };
    let found = match wait(query)? {
        Duration::ZERO => wanted.look().await?,
        wait => {
            // Before the limit is extended: it begins anew with the end of a body.
            skip_body(body, app).await?;
            limit.extend(wait);
            wanted.look_until(app, Instant::now() + wait).await?
        }
    };
    metrics::retained(&found);
    let mut found = found.into_iter().map(Retained::from);
    match count {
        Some(_) => Ok(Answer::created(whole(found.collect())).into_response()),
        None => found.next().map(|task| Answer::created(task).into_response()).ok_or_else(none_available),
    }
}

impl Wanted<'_> {
    async fn look(&self) -> Result<Vec<Task>, RetainError> {
        let queues: Vec<&str> = self.queues.iter().map(QueueName::as_str).collect();
        self.caller.manager.next_tasks(self.worker, &queues, self.retain.clone()).await
    }

    /// Looks whenever a task may have come. If the client goes away, the future is dropped, and with it its place in line
    /// and what was retained for it just then, which is given back.
    async fn look_until(&self, app: &App, deadline: Instant) -> Result<Vec<Task>, ApiError> {
        let place = app.lobby().enter(self.caller, self.queues.clone())?;
        let mut found = self.look().await;
        while found.as_ref().is_ok_and(Vec::is_empty) {
            tokio::select! {
                biased;
                () = app.shutdown().cancelled() => return Ok(Vec::new()),
                () = place.called() => {}
                () = tokio::time::sleep_until(deadline) => return Ok(Vec::new()),
            }
            // A token that was revoked meanwhile takes nothing any more; the call goes to the next in line.
            app.auth().admits_still(self.caller).await?;
            found = self.look().await;
            if found.as_ref().is_ok_and(Vec::is_empty) {
                place.found_nothing();
            }
        }
        match &found {
            Ok(_) => place.found(),
            Err(_) => place.failed(),
        }
        Ok(found?)
    }
}

fn none_available() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "no_task_available", "no task available")
}

fn queue_name(name: &str) -> Result<QueueName, ApiError> {
    QueueName::new(name).map_err(|_| ApiError::bad("invalid_name", "invalid queue name").with_detail(name))
}

fn count(query: &Query) -> Result<Option<usize>, ApiError> {
    let Some(count) = query.uint("n")? else { return Ok(None) };
    if !COUNTS.contains(&count) {
        let (least, most) = COUNTS.into_inner();
        return Err(invalid_parameter("n", &format!("want {least} to {most} tasks, not {count}")));
    }
    Ok(usize::try_from(count).ok())
}

fn wait(query: &Query) -> Result<Duration, ApiError> {
    let wait = query.duration("wait")?.unwrap_or_default();
    if wait > LONGEST_WAIT {
        let longest = format_duration(LONGEST_WAIT);
        return Err(invalid_parameter("wait", &format!("want at most {longest}")));
    }
    Ok(wait)
}
