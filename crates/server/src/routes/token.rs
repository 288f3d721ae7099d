//! `/token` and what is below it.

use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use pgmill::{List, NewToken, Token, TokenMeta};

use crate::answer::{Answer, Answered};
use crate::api::App;
use crate::audit::Change;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::input::{Body, Page, Segment};
use crate::openapi::PageQuery;
use crate::resource::{Routes, at};
use crate::routes::queue::unechoed;

pub(crate) fn routes() -> Routes {
    Routes::new([at("/token").get(list).post(create), at("/token/{id}").get(get).delete(revoke)])
}

/// All tokens, newest first, without what proves them.
#[utoipa::path(
    get,
    path = "/token",
    operation_id = "list_tokens",
    tag = "token",
    params(PageQuery),
    responses((status = 200, description = "One page of tokens.", body = List<Token>)),
)]
pub(crate) async fn list(caller: Caller, Page(page): Page) -> Answered<List<Token>> {
    Ok(Answer::ok(unechoed(caller.manager.list_tokens(page).await?)))
}

/// Creates a token. The answer is the only one that has its secret, and nothing on the way may keep it.
#[utoipa::path(
    post,
    path = "/token",
    operation_id = "create_token",
    tag = "token",
    request_body = TokenMeta,
    responses((status = 201, description = "The token with its secret, which is shown only here.", body = NewToken)),
)]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(meta): Body<TokenMeta>,
) -> Result<Response, ApiError> {
    let creator = caller.actor().to_owned();
    let creating = Change::new("create_token");
    let new = caller
        .change(creating, move |manager| async move { manager.create_token(meta, &creator).await })
        .await?;
    // Somebody may have guessed its id before it was there.
    app.auth().forget(new.token.id);
    let no_store = HeaderValue::from_static("no-store");
    Ok(([(CACHE_CONTROL, no_store)], Answer::created(new)).into_response())
}

/// One token.
#[utoipa::path(
    get,
    path = "/token/{id}",
    operation_id = "get_token",
    tag = "token",
    params(("id" = u64, Path, description = "The id of the token.", minimum = 1)),
    responses((status = 200, description = "The token.", body = Token)),
)]
pub(crate) async fn get(caller: Caller, id: Segment) -> Answered<Token> {
    Ok(Answer::ok(caller.manager.get_token(number(&id)?).await?))
}

/// Revokes a token, for this server at once.
#[utoipa::path(
    delete,
    path = "/token/{id}",
    operation_id = "revoke_token",
    tag = "token",
    params(("id" = u64, Path, description = "The id of the token.", minimum = 1)),
    responses((status = 200, description = "The token, which is revoked.", body = Token)),
)]
pub(crate) async fn revoke(State(app): State<App>, caller: Caller, id: Segment) -> Answered<Token> {
    let id = number(&id)?;
    let revoke = move |manager: pgmill::Manager| async move {
        let revoked = manager.revoke_token(id).await;
        // Even if it fails, for then it may have been done.
        app.auth().forget(id);
        revoked
    };
    Ok(Answer::ok(caller.change(Change::new("revoke_token"), revoke).await?))
}

fn number(Segment(segment): &Segment) -> Result<u64, ApiError> {
    let digits = segment.bytes().all(|byte| byte.is_ascii_digit());
    segment
        .parse()
        .ok()
        .filter(|_| digits)
        .ok_or_else(|| ApiError::bad("invalid_parameter", "invalid token id").with_detail(segment.as_str()))
}
