//! How long a request may take.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequestParts, Request};
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use crate::error::ApiError;

/// When a request is given up, as its handler may move it.
///
/// Where no server limits it, as in an application that nests the router, it is a limit that nobody looks at.
#[derive(Debug, Clone)]
pub(crate) struct TimeLimit(Arc<Mutex<Instant>>);

/// A body that took too long to arrive.
#[derive(Debug, thiserror::Error)]
#[error("the body did not arrive in time")]
pub(crate) struct BodyLate;

impl TimeLimit {
    fn after(time: Duration) -> Self {
        Self(Arc::new(Mutex::new(Instant::now() + time)))
    }

    fn at(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn restart(&self, time: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + time;
    }

    /// For a request that is to wait for something: as much longer.
    pub(crate) fn extend(&self, by: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }
}

impl<S: Sync> FromRequestParts<S> for TimeLimit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_else(|| Self::after(Duration::ZERO)))
    }
}

/// Answers the request, or that it took too long.
pub(super) async fn limited<F: Future<Output = Response>>(
    mut request: Request,
    request_time: Duration,
    body_time: Duration,
    answer: impl FnOnce(Request) -> F,
) -> Response {
    let limit = TimeLimit::after(request_time);
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    request.extensions_mut().insert(limit.clone());
    if !request.body().is_end_stream() {
        let timing = Timing { limit: limit.clone(), request_time, body_time };
        request = request.map(|body| Body::new(Timed { body, timing, late: None }));
    }
    let mut answer = std::pin::pin!(answer(request));
    loop {
        let at = limit.at();
        tokio::select! {
            biased;
            response = answer.as_mut() => return response,
            // It may have been moved meanwhile.
            () = sleep_until(at) => if limit.at() <= at {
                return ApiError::too_late(request_time, changes).into_response();
            }
        }
    }
}

/// What a body has to do with the limit: while it arrives, its own time counts.
struct Timing {
    limit: TimeLimit,
    request_time: Duration,
    body_time: Duration,
}

struct Timed {
    body: Body,
    timing: Timing,
    /// From when it is read for the first time.
    late: Option<Pin<Box<Sleep>>>,
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Self { body, timing, late } = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
            if late.is_some() && (frame.is_none() || body.is_end_stream()) {
                timing.limit.restart(timing.request_time);
            }
            return Poll::Ready(frame);
        }
        let late = late.get_or_insert_with(|| {
            timing.limit.restart(timing.body_time + timing.request_time);
            Box::pin(sleep(timing.body_time))
        });
        late.as_mut().poll(cx).map(|()| Some(Err(axum::Error::new(BodyLate))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
