//! `/event`: what happens to tasks, as it happens.

use axum::extract::State;
use axum::response::Response;
use futures_util::stream;
use pgmill::{EVENT_IDS_LIMIT, EventFilter, EventItem, Events, QueueName, Status};
use serde::Serialize;

use crate::api::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::input::{Query, invalid_parameter};
use crate::openapi::EventQuery;
use crate::resource::{Routes, at};
use crate::sse;

pub(crate) fn routes() -> Routes {
    Routes::new([at("/event").get(stream)])
}

/// Some changes are not told.
#[derive(Serialize)]
struct Lost {
    /// How many; 0 if that is not known.
    count: u64,
}

/// Nothing more is told.
#[derive(Serialize)]
struct Dropped {
    reason: &'static str,
}

/// Every change of the status of a task, as server-sent events: `task` for each; `lost` where some had to be left out;
/// `dropped` to a client that is too slow, before the stream ends.
///
/// This is no log: whoever must not miss a change reads the lists.
#[utoipa::path(
    get,
    path = "/event",
    operation_id = "watch_tasks",
    tag = "task",
    params(EventQuery),
    responses((status = 200, description = "The changes as they come.", body = String, content_type = "text/event-stream")),
)]
pub(crate) async fn stream(
    State(app): State<App>,
    caller: Caller,
    query: Query,
) -> Result<Response, ApiError> {
    let filter = filter(&query)?;
    let share = app.watched().take(caller.manager.namespace())?;
    let state = (caller.manager.events(filter), share);
    let events = stream::unfold(state, |(mut events, share): (Events, _)| async {
        let event = event(&events.next().await?).ok()?;
        Some((event, (events, share)))
    });
    Ok(sse::answer(events, app.shutdown().clone()))
}

fn filter(query: &Query) -> Result<EventFilter, ApiError> {
    let mut filter = EventFilter::new();
    for name in query.all("queue").filter(|name| !name.is_empty()) {
        filter = filter.queue(QueueName::new(name)?);
    }
    for word in query.all("status").filter(|word| !word.is_empty()) {
        filter = filter.status(word.parse::<Status>()?);
    }
    for id in query.all("id") {
        let digits = id.bytes().all(|byte| byte.is_ascii_digit());
        let number = id.parse::<i64>().ok().filter(|number| digits && *number > 0);
        let number = number.ok_or_else(|| invalid_parameter("id", "want the id of a task"))?;
        filter = filter.id(number.unsigned_abs());
    }
    if filter.ids.len() > EVENT_IDS_LIMIT {
        return Err(invalid_parameter("id", &format!("at most {EVENT_IDS_LIMIT} ids are allowed")));
    }
    Ok(filter)
}

fn event(item: &EventItem) -> Result<sse::Event, serde_json::Error> {
    match item {
        EventItem::Task(event) => sse::Event::new("task", event),
        EventItem::Lost(count) => sse::Event::new("lost", &Lost { count: count.unwrap_or_default() }),
        _ => sse::Event::new("dropped", &Dropped { reason: "the client is too slow" }),
    }
}
