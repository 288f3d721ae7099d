//! Streams end with the token that opened them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use futures_util::StreamExt;
use pgmill::KnownToken;

use crate::api::App;

/// How often it is looked whether the token is still good: as long as one is believed in, so that however many streams a token
/// has, they cost one look.
const LOOK: Duration = Duration::from_secs(5);

/// The response; if it is a stream, one that ends soon after its token is good no longer. Others have ended by then.
pub(crate) fn watched(response: Response, app: &App, known: &Arc<KnownToken>) -> Response {
    let kind = response.headers().get(CONTENT_TYPE);
    if kind.is_none_or(|kind| !kind.as_bytes().starts_with(b"text/event-stream")) {
        return response;
    }
    let revoked = revoked(app.clone(), known.token().id);
    response.map(|body| Body::from_stream(body.into_data_stream().take_until(Box::pin(revoked))))
}

/// Returns when a token is good no longer. While the database is away that cannot be known; then there is nothing to be told in
/// a stream either.
async fn revoked(app: App, id: u64) {
    loop {
        tokio::time::sleep(LOOK).await;
        if let Ok(None) = app.auth().keyring.known(id).await {
            return;
        }
    }
}
