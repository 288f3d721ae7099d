//! `/ticker` and what is below it.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use pgmill::{List, Ticker, TickerError, TickerMeta};
use pgmill_schema::openapi::NameGiven;

use crate::answer::{Answer, Answered};
use crate::api::App;
use crate::audit::Change;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::input::{Body, Page, Query, Segment, accepts_only};
use crate::openapi::{NewTicker, PageQuery};
use crate::resource::{Routes, at};
use crate::routes::queue::unechoed;
use crate::sse;

pub(crate) fn routes() -> Routes {
    Routes::new([
        at("/ticker").get(list).post(create),
        at("/ticker/{name}").get(get).patch(update).delete(delete),
    ])
}

/// The tickers of the namespace, sorted by name; or, if that and nothing else is accepted, a stream of their ticks.
#[utoipa::path(
    get,
    path = "/ticker",
    operation_id = "list_tickers",
    tag = "ticker",
    params(PageQuery),
    responses((status = 200, description = "One page of tickers, or with `Accept: text/event-stream` the ticks of the namespace as they come.", content((List<Ticker> = "application/json"), (String = "text/event-stream")))),
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, ApiError> {
    if accepts_only(&headers, "text/event-stream") {
        return stream(&app, &caller);
    }
    let Page(page) = Page::of(&query)?;
    Ok(Answer::ok(unechoed(caller.manager.list_tickers(page).await?)).into_response())
}

/// Ticks as they come. Each goes to one of all who take them.
fn stream(app: &App, caller: &Caller) -> Result<Response, ApiError> {
    let share = app.watched().take(caller.manager.namespace())?;
    let state = (app.tick_streams().open(&caller.manager)?, share);
    let events = stream::unfold(state, |(mut ticks, share)| async {
        let event = sse::Event::new("ticker", &ticks.next().await?).ok()?;
        Some((event, (ticks, share)))
    });
    Ok(sse::answer(events, app.shutdown().clone()))
}

/// Creates a ticker.
#[utoipa::path(
    post,
    path = "/ticker",
    operation_id = "create_ticker",
    tag = "ticker",
    request_body = NewTicker,
    responses((status = 201, description = "The ticker.", body = Ticker)),
)]
pub(crate) async fn create(caller: Caller, Body(meta): Body<TickerMeta>) -> Answered<Ticker> {
    let asked = meta.ticker.clone();
    let change = Change::new("create_ticker").with(&settings(&meta));
    let ticker = caller
        .change(change, |manager| async move {
            manager.create_ticker(meta).await.map_err(|error| named(error, &asked))
        })
        .await?;
    Ok(Answer::created(ticker))
}

/// One ticker.
#[utoipa::path(
    get,
    path = "/ticker/{name}",
    operation_id = "get_ticker",
    tag = "ticker",
    params(("name" = inline(NameGiven), Path, description = "The name of the ticker.")),
    responses((status = 200, description = "The ticker.", body = Ticker)),
)]
pub(crate) async fn get(caller: Caller, Segment(name): Segment) -> Answered<Ticker> {
    Ok(Answer::ok(caller.manager.get_ticker(&name).await?))
}

/// Changes the settings that are given; a name renames.
#[utoipa::path(
    patch,
    path = "/ticker/{name}",
    operation_id = "update_ticker",
    tag = "ticker",
    params(("name" = inline(NameGiven), Path, description = "The name of the ticker.")),
    request_body = TickerMeta,
    responses((status = 200, description = "The ticker as it is now.", body = Ticker)),
)]
pub(crate) async fn update(
    caller: Caller,
    Segment(name): Segment,
    Body(meta): Body<TickerMeta>,
) -> Answered<Ticker> {
    let asked = meta.ticker.clone();
    let change = Change::new("update_ticker").of(&name).with(&settings(&meta));
    let ticker = caller
        .change(change, |manager| async move {
            manager.update_ticker(&name, meta).await.map_err(|error| named(error, &asked))
        })
        .await?;
    Ok(Answer::ok(ticker))
}

/// Deletes a ticker.
#[utoipa::path(
    delete,
    path = "/ticker/{name}",
    operation_id = "delete_ticker",
    tag = "ticker",
    params(("name" = inline(NameGiven), Path, description = "The name of the ticker.")),
    responses((status = 200, description = "The ticker as it was.", body = Ticker)),
)]
pub(crate) async fn delete(caller: Caller, Segment(name): Segment) -> Answered<Ticker> {
    let change = Change::new("delete_ticker");
    Ok(Answer::ok(caller.change(change, |manager| async move { manager.delete_ticker(&name).await }).await?))
}

/// What of it is for the audit: not the payload.
fn settings(meta: &TickerMeta) -> TickerMeta {
    TickerMeta { payload: None, ..meta.clone() }
}

/// A name that is taken is told as it was asked for.
fn named(error: TickerError, asked: &str) -> ApiError {
    let taken = matches!(error, TickerError::Exists { .. });
    let error = ApiError::from(error);
    if taken { error.with_detail(asked) } else { error }
}
