//! `/queue` and what is below it.

use pgmill::{List, Queue, QueueCounts, QueueError, QueueMeta};

use crate::answer::{Answer, Answered};
use crate::audit::Change;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::input::{Body, Page, Segment};
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
async fn list(caller: Caller, Page(page): Page) -> Answered<List<Queue>> {
    Ok(Answer::ok(unechoed(caller.manager.list_queues(page).await?)))
}

/// How many tasks each queue of the namespace has in each status, sorted by name.
async fn list_statuses(caller: Caller, Page(page): Page) -> Answered<List<QueueCounts>> {
    Ok(Answer::ok(unechoed(caller.manager.list_queue_counts(page).await?)))
}

/// How many tasks one queue has in each status.
async fn status(caller: Caller, Segment(name): Segment) -> Answered<QueueCounts> {
    Ok(Answer::ok(caller.manager.queue_status(&name).await?))
}

/// Creates a queue.
async fn create(caller: Caller, Body(meta): Body<QueueMeta>) -> Answered<Queue> {
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
async fn get(caller: Caller, Segment(name): Segment) -> Answered<Queue> {
    Ok(Answer::ok(caller.manager.get_queue(&name).await?))
}

/// Changes the settings that are given; a name renames.
async fn update(caller: Caller, Segment(name): Segment, Body(meta): Body<QueueMeta>) -> Answered<Queue> {
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
async fn delete(caller: Caller, Segment(name): Segment) -> Answered<Queue> {
    let change = Change::new("delete_queue");
    Ok(Answer::ok(caller.change(change, |manager| async move { manager.delete_queue(&name).await }).await?))
}

/// Lets a queue hand out no tasks.
async fn pause(caller: Caller, Segment(name): Segment) -> Answered<Queue> {
    let change = Change::new("pause_queue");
    Ok(Answer::ok(caller.change(change, |manager| async move { manager.pause_queue(&name).await }).await?))
}

/// Lets it hand out tasks again.
async fn resume(caller: Caller, Segment(name): Segment) -> Answered<Queue> {
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
