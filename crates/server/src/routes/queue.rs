//! `/queue` and what is below it.

use pgmill::{List, Queue, QueueCounts, QueueError, QueueMeta};
use pgmill_schema::openapi::NameGiven;

use crate::answer::{Answer, Answered};
use crate::audit::Change;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::input::{Body, Page, Segment};
use crate::openapi::{NewQueue, PageQuery};
use crate::resource::{Routes, at};

pub(crate) fn routes() -> Routes {
    Routes::new([
        at("/queue").get(list).post(create),
        at("/queue/{name}").get(get).patch(update).delete(delete),
        at("/status").get(list_statuses),
        at("/queue/{name}/status").get(status),
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

/// How many tasks each queue of the namespace has in each status, sorted by name.
#[utoipa::path(
    get,
    path = "/status",
    operation_id = "list_statuses",
    tag = "queue",
    params(PageQuery),
    responses((status = 200, description = "One page of counts.", body = List<QueueCounts>)),
)]
pub(crate) async fn list_statuses(caller: Caller, Page(page): Page) -> Answered<List<QueueCounts>> {
    Ok(Answer::ok(unechoed(caller.manager.list_queue_counts(page).await?)))
}

/// How many tasks one queue has in each status.
#[utoipa::path(
    get,
    path = "/queue/{name}/status",
    operation_id = "get_queue_status",
    tag = "queue",
    params(("name" = inline(NameGiven), Path, description = "The name of the queue.")),
    responses((status = 200, description = "The counts.", body = QueueCounts)),
)]
pub(crate) async fn status(caller: Caller, Segment(name): Segment) -> Answered<QueueCounts> {
    Ok(Answer::ok(caller.manager.queue_status(&name).await?))
}

/// Creates a queue.
#[utoipa::path(
    post,
    path = "/queue",
    operation_id = "create_queue",
    tag = "queue",
    request_body = NewQueue,
    responses((status = 201, description = "The queue.", body = Queue)),
)]
pub(crate) async fn create(caller: Caller, Body(meta): Body<QueueMeta>) -> Answered<Queue> {
    let asked = meta.queue.clone();
    let change = Change::new("create_queue").with(&meta);
    let queue = caller
        .change(change, |manager| async move {
            manager.create_queue(meta).await.map_err(|error| named(error, &asked))
        })
        .await?;
    Ok(Answer::created(queue))
}

/// One queue.
#[utoipa::path(
    get,
    path = "/queue/{name}",
    operation_id = "get_queue",
    tag = "queue",
    params(("name" = inline(NameGiven), Path, description = "The name of the queue.")),
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
    params(("name" = inline(NameGiven), Path, description = "The name of the queue.")),
    request_body = QueueMeta,
    responses((status = 200, description = "The queue as it is now.", body = Queue)),
)]
pub(crate) async fn update(
    caller: Caller,
    Segment(name): Segment,
    Body(meta): Body<QueueMeta>,
) -> Answered<Queue> {
    let asked = meta.queue.clone();
    let change = Change::new("update_queue").of(&name).with(&meta);
    let queue = caller
        .change(change, |manager| async move {
            manager.update_queue(&name, meta).await.map_err(|error| named(error, &asked))
        })
        .await?;
    Ok(Answer::ok(queue))
}

/// Deletes a queue and its tasks.
#[utoipa::path(
    delete,
    path = "/queue/{name}",
    operation_id = "delete_queue",
    tag = "queue",
    params(("name" = inline(NameGiven), Path, description = "The name of the queue.")),
    responses((status = 200, description = "The queue as it was.", body = Queue)),
)]
pub(crate) async fn delete(caller: Caller, Segment(name): Segment) -> Answered<Queue> {
    let change = Change::new("delete_queue");
    Ok(Answer::ok(caller.change(change, |manager| async move { manager.delete_queue(&name).await }).await?))
}

/// Lets a queue hand out no tasks.
#[utoipa::path(
    post,
    path = "/queue/{name}/pause",
    operation_id = "pause_queue",
    tag = "queue",
    params(("name" = inline(NameGiven), Path, description = "The name of the queue.")),
    responses((status = 200, description = "The queue.", body = Queue)),
)]
pub(crate) async fn pause(caller: Caller, Segment(name): Segment) -> Answered<Queue> {
    let change = Change::new("pause_queue");
    Ok(Answer::ok(caller.change(change, |manager| async move { manager.pause_queue(&name).await }).await?))
}

/// Lets it hand out tasks again.
#[utoipa::path(
    post,
    path = "/queue/{name}/resume",
    operation_id = "resume_queue",
    tag = "queue",
    params(("name" = inline(NameGiven), Path, description = "The name of the queue.")),
    responses((status = 200, description = "The queue.", body = Queue)),
)]
pub(crate) async fn resume(caller: Caller, Segment(name): Segment) -> Answered<Queue> {
    let change = Change::new("resume_queue");
    Ok(Answer::ok(caller.change(change, |manager| async move { manager.resume_queue(&name).await }).await?))
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
