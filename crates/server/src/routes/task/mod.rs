//! `/task` and what is below it.

pub(crate) mod create;
pub(crate) mod release;
pub(crate) mod retain;

use pgmill::{List, QueueName, Status, Task, TaskFilter};

use crate::answer::{Answer, Answered};
use crate::audit::Change;
use crate::caller::Caller;
use crate::input::{Page, Query, TaskId};
use crate::openapi::{PageQuery, TaskQuery};
use crate::resource::{Routes, at};
use crate::routes::queue::unechoed;

pub(crate) fn routes() -> Routes {
    Routes::new([
        at("/task").get(list).post(create::create).put(retain::from_any),
        // The contract puts a queue where all other methods have the id of a task.
        at("/task/{id}").get(get).put(retain::from_one).patch(release::release).delete(cancel),
        at("/task/{id}/retry").post(retry),
        at("/task/{id}/heartbeat").post(release::heartbeat),
    ])
}

/// The tasks of the namespace, or of one queue or status of it, oldest first.
#[utoipa::path(
    get,
    path = "/task",
    operation_id = "list_tasks",
    tag = "task",
    params(PageQuery, TaskQuery),
    responses((status = 200, description = "One page of tasks.", body = List<Task>)),
)]
pub(crate) async fn list(caller: Caller, query: Query, Page(page): Page) -> Answered<List<Task>> {
    let mut filter = TaskFilter::new().page(page);
    if let Some(queue) = query.first("queue").filter(|queue| !queue.is_empty()) {
        filter = filter.queue(QueueName::new(queue)?);
    }
    if let Some(status) = query.first("status").filter(|status| !status.is_empty()) {
        filter = filter.status(status.parse::<Status>()?);
    }
    Ok(Answer::ok(unechoed(caller.manager.list_tasks(filter).await?)))
}

/// One task, with its attempts.
#[utoipa::path(
    get,
    path = "/task/{id}",
    operation_id = "get_task",
    tag = "task",
    params(("id" = u64, Path, description = "The id of the task.", minimum = 1)),
    responses((status = 200, description = "The task.", body = Task)),
)]
pub(crate) async fn get(caller: Caller, TaskId(id): TaskId) -> Answered<Task> {
    Ok(Answer::ok(caller.manager.get_task(id).await?))
}

/// Calls off a task that waits or is retained. A worker that has it learns of it by its heartbeat or its release.
#[utoipa::path(
    delete,
    path = "/task/{id}",
    operation_id = "cancel_task",
    tag = "task",
    params(("id" = u64, Path, description = "The id of the task.", minimum = 1)),
    responses((status = 200, description = "The task, which is cancelled.", body = Task)),
)]
pub(crate) async fn cancel(caller: Caller, TaskId(id): TaskId) -> Answered<Task> {
    let change = Change::new("cancel_task");
    let cancelled = caller.change(change, move |manager| async move { manager.cancel_task(id).await });
    Ok(Answer::ok(cancelled.await?))
}

/// Has a task that has ended wait once more, as if it were new.
#[utoipa::path(
    post,
    path = "/task/{id}/retry",
    operation_id = "retry_task",
    tag = "task",
    params(("id" = u64, Path, description = "The id of the task.", minimum = 1)),
    responses((status = 201, description = "The task, which waits.", body = Task)),
)]
pub(crate) async fn retry(caller: Caller, TaskId(id): TaskId) -> Answered<Task> {
    let change = Change::new("retry_task");
    let retried = caller.change(change, move |manager| async move { manager.retry_task(id).await });
    Ok(Answer::created(retried.await?))
}

/// So many tasks, all of which are here.
fn whole<T>(body: Vec<T>) -> List<T> {
    List { offset: 0, limit: None, count: body.len() as u64, body }
}
