//! `/queue` and what is below it.

use pgmill::{List, Queue, QueueError, QueueMeta};

use crate::answer::{Answer, Answered};
use crate::caller::Caller;
use crate::error::ApiError;
use crate::input::{Body, Page, Segment};
use crate::openapi::PageQuery;
use crate::resource::{Routes, at};

pub(crate) fn routes() -> Routes {
    Routes::new([
        at("/queue").get(list).post(create),
        at("/queue/{name}").get(get).patch(update).delete(delete),
        at("/queue/{name}/pause").post(pause),
        at("/queue/{name}/resume").post(resume),
    ])
}

/// The queues of the namespace, sorted by name.
#[utoipa::path(
    get,
    path = "/queue",
    operation_id = "list_queues",
    tag = "queue",
    params(PageQuery),
    responses((status = 200, description = "One page of queues.", body = List<Queue>)),
)]
pub(crate) async fn list(caller: Caller, Page(page): Page) -> Answered<List<Queue>> {
    Ok(Answer::ok(unechoed(caller.manager.list_queues(page).await?)))
}

/// Creates a queue.
#[utoipa::path(
    post,
    path = "/queue",
    operation_id = "create_queue",
    tag = "queue",
    request_body = QueueMeta,
    responses((status = 201, description = "The queue.", body = Queue)),
)]
pub(crate) async fn create(caller: Caller, Body(meta): Body<QueueMeta>) -> Answered<Queue> {
    let asked = meta.queue.clone();
    let queue = caller.manager.create_queue(meta).await.map_err(|error| named(error, &asked))?;
    Ok(Answer::created(queue))
}

/// One queue.
#[utoipa::path(
    get,
    path = "/queue/{name}",
    operation_id = "get_queue",
    tag = "queue",
    params(("name" = String, Path, description = "The name of the queue.")),
    responses((status = 200, description = "The queue.", body = Queue)),
)]
pub(crate) async fn get(caller: Caller, Segment(name): Segment) -> Answered<Queue> {
    Ok(Answer::ok(caller.manager.get_queue(&name).await?))
}

/// Changes the settings that are given; a name renames.
#[utoipa::path(
    patch,
    path = "/queue/{name}",
    operation_id = "update_queue",
    tag = "queue",
    params(("name" = String, Path, description = "The name of the queue.")),
    request_body = QueueMeta,
    responses((status = 200, description = "The queue as it is now.", body = Queue)),
)]
pub(crate) async fn update(
    caller: Caller,
    Segment(name): Segment,
    Body(meta): Body<QueueMeta>,
) -> Answered<Queue> {
    let asked = meta.queue.clone();
    let queue = caller.manager.update_queue(&name, meta).await.map_err(|error| named(error, &asked))?;
    Ok(Answer::ok(queue))
}

/// Deletes a queue and its tasks.
#[utoipa::path(
    delete,
    path = "/queue/{name}",
    operation_id = "delete_queue",
    tag = "queue",
    params(("name" = String, Path, description = "The name of the queue.")),
    responses((status = 200, description = "The queue as it was.", body = Queue)),
)]
pub(crate) async fn delete(caller: Caller, Segment(name): Segment) -> Answered<Queue> {
    Ok(Answer::ok(caller.manager.delete_queue(&name).await?))
}

/// Lets a queue hand out no tasks.
#[utoipa::path(
    post,
    path = "/queue/{name}/pause",
    operation_id = "pause_queue",
    tag = "queue",
    params(("name" = String, Path, description = "The name of the queue.")),
    responses((status = 200, description = "The queue.", body = Queue)),
)]
pub(crate) async fn pause(caller: Caller, Segment(name): Segment) -> Answered<Queue> {
    Ok(Answer::ok(caller.manager.pause_queue(&name).await?))
}

/// Lets it hand out tasks again.
#[utoipa::path(
    post,
    path = "/queue/{name}/resume",
    operation_id = "resume_queue",
    tag = "queue",
    params(("name" = String, Path, description = "The name of the queue.")),
    responses((status = 200, description = "The queue.", body = Queue)),
)]
pub(crate) async fn resume(caller: Caller, Segment(name): Segment) -> Answered<Queue> {
    Ok(Answer::ok(caller.manager.resume_queue(&name).await?))
}

/// A name that is taken is told as it was asked for.
fn named(error: QueueError, asked: &str) -> ApiError {
    let taken = matches!(error, QueueError::Exists { .. });
    let error = ApiError::from(error);
    if taken { error.with_detail(asked) } else { error }
}

/// The contract does not tell which page a list is.
pub(crate) fn unechoed<T>(list: List<T>) -> List<T> {
    List { offset: 0, limit: None, ..list }
}
