//! `POST /task`: one task, or a list of them.

use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use pgmill::{EnqueueError, Json, Task, TaskMeta};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde_json::value::RawValue;

use super::whole;
use crate::answer::Answer;
use crate::api::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::input::{Object, Read, invalid_body, object, read_body};
use crate::layers::is_traced;
use crate::openapi::{OneOrMany, OneOrManyNew};

/// How many tasks one request can create.
const MOST: usize = 1_000;

/// What to create: a queue, by its name as it was given, and a task for it.
#[derive(Debug)]
pub(crate) enum NewTasks {
    One(String, TaskMeta),
    Many(Vec<(String, TaskMeta)>),
}

impl FromRequest<App> for NewTasks {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let traceparent = traceparent(request.headers());
        let traced = |(queue, meta): (String, TaskMeta)| {
            let traceparent = meta.traceparent.or_else(|| traceparent.clone());
            (queue, TaskMeta { traceparent, ..meta })
        };
        let one = |(queue, meta)| Self::One(queue, meta);
        match read_body(request, app).await? {
            Read::Form(form) => new_task(form).map(traced).map(one).map_err(|error| invalid_body(&error)),
            Read::Json(text) if is_list(&text) => {
                Ok(Self::Many(new_tasks(&text)?.into_iter().map(traced).collect()))
            }
            Read::Json(text) => {
                object(&text).and_then(new_task).map(traced).map(one).map_err(|error| invalid_body(&error))
            }
        }
    }
}

fn is_list(text: &[u8]) -> bool {
    text.trim_ascii_start().starts_with(b"[")
}

fn new_task<'de, V>(mut object: Object<'de, V>) -> Result<(String, TaskMeta), serde_json::Error>
where
    V: IntoDeserializer<'de, serde_json::Error>,
{
    let queue = object.take("queue").map(|queue| Option::deserialize(queue.into_deserializer()));
    Ok((queue.transpose()?.flatten().unwrap_or_default(), TaskMeta::deserialize(object)?))
}

fn new_tasks(text: &[u8]) -> Result<Vec<(String, TaskMeta)>, ApiError> {
    // As after an object, whatever follows the list is ignored.
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<Vec<&RawValue>>();
    let elements = values.next().transpose().map_err(|error| invalid_body(&error))?.unwrap_or_default();
    if !(1..=MOST).contains(&elements.len()) {
        let message = format!("want 1 to {MOST} tasks in a list, not {}", elements.len());
        return Err(ApiError::bad("invalid_body", message));
    }
    let read = |(index, element): (usize, &RawValue)| {
        object(element.get().as_bytes())
            .and_then(new_task)
            .map_err(|error| invalid_body(&error).at_index(index))
    };
    elements.into_iter().enumerate().map(read).collect()
}

/// The trace context of the request, unless it has a span, whose context its tasks take by themselves. One that cannot be
/// used is ignored, as W3C wants it.
fn traceparent(headers: &HeaderMap) -> Option<String> {
    if is_traced() {
        return None;
    }
    let given = headers.get("traceparent")?.to_str().ok()?;
    let task = TaskMeta::raw(Json::null()).traceparent(given);
    task.validate(usize::MAX).ok()?;
    task.traceparent
}

/// Creates a task, or all tasks of a list or none.
#[utoipa::path(
    post,
    path = "/task",
    operation_id = "create_task",
    tag = "task",
    request_body = OneOrManyNew,
    responses((status = 201, description = "The task, or for a list of them the list of tasks.", body = OneOrMany), (status = 200, description = "The task that has the key already.", body = Task)),
)]
pub(crate) async fn create(caller: Caller, tasks: NewTasks) -> Result<Response, ApiError> {
    match tasks {
        NewTasks::One(queue, meta) => create_one(&caller, &queue, meta).await,
        NewTasks::Many(tasks) => {
            let created = caller.manager.create_or_find_tasks(tasks).await?;
            let tasks = created.into_iter().map(|created| created.task).collect();
            Ok(Answer::created(whole(tasks)).into_response())
        }
    }
}

async fn create_one(caller: &Caller, queue: &str, meta: TaskMeta) -> Result<Response, ApiError> {
    match caller.manager.create_or_find_task(queue, meta).await {
        Ok(created) => Ok(Answer::created_or_found(created.is_new, created.task).into_response()),
        // The contract looks for the queue before it looks at the task.
        Err(EnqueueError::Meta(error)) => {
            caller.manager.get_queue(queue).await?;
            Err(error.into())
        }
        Err(error) => Err(error.into()),
    }
}
