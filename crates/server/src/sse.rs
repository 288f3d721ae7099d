//! Streams of server-sent events, as the contract has them on the wire.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::indent::compacted;

/// A stream that has said nothing yet does so after this time, so that the client knows that it works.
const FIRST_PING: Duration = Duration::from_millis(100);
/// How long a stream is silent at most after that.
const PING: Duration = Duration::from_secs(10);

/// One event as bytes: its name, and its data on one line.
#[derive(Debug)]
pub(crate) struct Event(Bytes);

impl Event {
    /// # Errors
    /// If the data has no JSON.
    pub(crate) fn new(name: &str, data: &impl Serialize) -> Result<Self, serde_json::Error> {
        let mut text = format!("event: {name}\ndata: ").into_bytes();
        text.extend(compacted(&serde_json::to_vec(data)?));
        text.extend(b"\n\n");
        Ok(Self(text.into()))
    }
}

/// An answer that goes on for as long as there are events to come, until the client goes away or the shutdown. While there are
/// none, it pings.
pub(crate) fn answer(
    events: impl Stream<Item = Event> + Send + 'static,
    shutdown: CancellationToken,
) -> Response {
    let state = (Box::pin(events), Instant::now() + FIRST_PING, shutdown);
    let body = stream::unfold(state, |(mut events, ping_at, shutdown)| async move {
        let bytes = tokio::select! {
            biased;
            () = shutdown.cancelled() => return None,
            event = events.next() => event?.0,
            () = tokio::time::sleep_until(ping_at) => Bytes::from_static(b"event: ping\n\n"),
        };
        Some((Ok::<_, std::convert::Infallible>(bytes), (events, Instant::now() + PING, shutdown)))
    });
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (CONNECTION, HeaderValue::from_static("keep-alive")),
    ];
    (headers, Body::from_stream(body)).into_response()
}
