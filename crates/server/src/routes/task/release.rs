//! `PATCH /task/{id}` and `POST /task/{id}/heartbeat`: how an attempt ends, and how it goes on.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use pgmill::{Attempted, Claim, Json, Outcome, ReleaseError, Released, Status, Task, duration_nanos};
use pgmill_schema::openapi::{Any, DelayGiven, LeaseGiven, Time};
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, Answered};
use crate::caller::Caller;
use crate::error::ApiError;
use crate::input::{Body, TaskId};
use crate::metrics;

/// How an attempt ends. Without any of these keys, the task is done with nothing to report.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub(crate) struct Release {
    #[schema(value_type = Any, required = false)]
    result: Option<Json>,
    /// The attempt failed: there is another, if the task has one left.
    fail: Option<bool>,
    /// What the retain answered. It must be given if the retain asked for a lease.
    #[schema(pattern = "^[0-9a-f]{24}$")]
    lease: Option<String>,
    /// With `fail`: there is no other attempt.
    discard: Option<bool>,
    /// With `fail`: the pause until the next attempt.
    #[serde(with = "duration_nanos::option")]
    #[schema(value_type = Option<DelayGiven>)]
    retry_in: Option<Duration>,
    /// The task goes to the next worker at once, and this attempt does not count.
    give_back: Option<bool>,
    /// The task comes back after so long, and this attempt does not count.
    #[serde(with = "duration_nanos::option")]
    #[schema(value_type = Option<DelayGiven>)]
    snooze: Option<Duration>,
    /// The task is called off.
    cancel: Option<bool>,
}

impl Release {
    /// # Errors
    /// 400 if the keys contradict each other.
    fn outcome(self) -> Result<Outcome, ApiError> {
        let set = |flag: Option<bool>| flag.unwrap_or_default();
        let (fail, discard) = (set(self.fail), set(self.discard));
        let (give_back, cancel) = (set(self.give_back), set(self.cancel));
        let chosen = [fail, give_back, self.snooze.is_some(), cancel];
        let contradiction = |message| Err(ApiError::bad("invalid_body", message));
        if chosen.into_iter().filter(|chosen| *chosen).count() > 1 {
            return contradiction("fail, give_back, snooze and cancel exclude each other");
        }
        if !fail && (discard || self.retry_in.is_some()) {
            return contradiction("discard and retry_in go with fail");
        }
        if discard && self.retry_in.is_some() {
            return contradiction("discard and retry_in exclude each other");
        }
        let result = self.result.filter(|result| !result.is_null());
        if result.is_some() && (give_back || self.snooze.is_some()) {
            return contradiction("an attempt that is spared has no result");
        }
        let result = result.unwrap_or_else(Json::null);
        Ok(match self.snooze {
            Some(pause) => Outcome::Snooze(pause),
            None if give_back => Outcome::GiveBack,
            None if cancel => Outcome::Cancelled(result),
            None if discard => Outcome::Failed(result),
            None if fail => Outcome::Retry { result, after: self.retry_in },
            None => Outcome::Done(result),
        })
    }
}

/// What is known of a task whose release was settled by a look, and that is gone from history since.
#[derive(Serialize)]
struct Ended {
    id: u64,
    status: Status,
}

/// Ends an attempt: the one that the lease stands for; without one, whatever attempt runs. With a lease, the answer has no
/// payload: whoever retained the task has it.
#[utoipa::path(
    patch,
    path = "/task/{id}",
    operation_id = "release_task",
    tag = "task",
    params(("id" = u64, Path, description = "The id of the task.", minimum = 1)),
    request_body = Release,
    responses((status = 201, description = "The task as it is now.", body = Task)),
)]
pub(crate) async fn release(
    caller: Caller,
    TaskId(id): TaskId,
    Body(mut release): Body<Release>,
) -> Result<Response, ApiError> {
    let claim = release.lease.take().map(|token| Claim::from_token(id, &token)).transpose()?;
    let attempted = claim.map_or_else(|| Attempted::from(id), Attempted::from);
    match caller.manager.release_task(attempted, release.outcome()?).await {
        Ok(Released { task: Some(task), .. }) => {
            metrics::released(&task);
            Ok(Answer::created(task).into_response())
        }
        Ok(Released { id, status, .. }) => Ok(Answer::created(Ended { id, status }).into_response()),
        Err(ReleaseError::NotRetained { .. }) if claim.is_some() => Err(over(&caller, id).await),
        Err(error) => Err(error.into()),
    }
}

/// How an attempt goes on.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(crate) struct Heartbeat {
    /// What the retain answered.
    #[schema(value_type = String, required, pattern = "^[0-9a-f]{24}$")]
    lease: Option<String>,
    /// For how long from now. Default: what the queue grants.
    #[serde(default, with = "duration_nanos::option")]
    #[schema(value_type = Option<LeaseGiven>)]
    extend: Option<Duration>,
}

/// A lease that was extended.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Extended {
    id: u64,
    #[schema(value_type = Time)]
    lease_until: String,
}

/// Extends a lease, from now, by as much as is asked for or its queue grants.
#[utoipa::path(
    post,
    path = "/task/{id}/heartbeat",
    operation_id = "heartbeat",
    tag = "task",
    params(("id" = u64, Path, description = "The id of the task.", minimum = 1)),
    request_body = Heartbeat,
    responses((status = 200, description = "Until when the task is held.", body = Extended)),
)]
pub(crate) async fn heartbeat(
    caller: Caller,
    TaskId(id): TaskId,
    Body(heartbeat): Body<Heartbeat>,
) -> Answered<Extended> {
    let Some(token) = heartbeat.lease else {
        return Err(ApiError::bad("invalid_lease", "missing lease"));
    };
    let claim = Claim::from_token(id, &token)?;
    let extended = caller.manager.extend_leases(&[claim], heartbeat.extend).await?;
    match extended.into_iter().flatten().next() {
        Some(until) => Ok(Answer::ok(Extended { id, lease_until: until.to_string() })),
        None => Err(over(&caller, id).await),
    }
}

/// Why an attempt is over: the task goes on without it, or has ended, or is gone.
async fn over(caller: &Caller, id: u64) -> ApiError {
    match caller.manager.get_task(id).await {
        Ok(task) if task.status.is_some_and(Status::is_finished) => ApiError::not_found("task_not_retained"),
        Ok(_) => ReleaseError::Superseded { id }.into(),
        Err(error) => error.into(),
    }
}
