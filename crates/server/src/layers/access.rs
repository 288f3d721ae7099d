//! The access log: a line for each request, when its answer has been sent to the end.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{Method, Uri};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};

use super::address::{ClientAddress, Peers};
use super::request_id::RequestId;
use crate::serve::Flight;

/// What is logged of a client that went away before its answer began: the number that nginx has for it.
const CLIENT_GONE: u16 = 499;

/// A request and what became of it. Logged when it is dropped.
#[derive(Debug)]
pub(super) struct Access {
    begun: Instant,
    id: RequestId,
    method: Method,
    uri: Uri,
    host: String,
    remote_ip: Option<IpAddr>,
    status: u16,
    size: u64,
    /// Kept as long as the request is under way.
    flight: Option<Arc<Flight>>,
}

impl Access {
    pub(super) fn begin(request: &mut Request, peers: Peers, id: &RequestId) -> Self {
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| request.uri().authority().map(Authority::as_str)).unwrap_or_default();
        let host = host.to_owned();
        let remote_ip = peers.address(request);
        if let Some(address) = remote_ip {
            request.extensions_mut().insert(ClientAddress(address));
        }
        Self {
            begun: Instant::now(),
            id: id.clone(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            host,
            remote_ip,
            status: CLIENT_GONE,
            size: 0,
            flight: request.extensions_mut().remove(),
        }
    }

    /// The response, which goes on with the record until its end.
    pub(super) fn answered(mut self, response: Response) -> Response {
        self.status = response.status().as_u16();
        self.flight.iter().for_each(|flight| flight.offered());
        response.map(|body| Body::new(Recorded { body, rest: Bytes::new(), access: self }))
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        let delta_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let path = self.uri.path();
        tracing::info!(
            target: "pgmill_server::access",
            delta_ms,
            method = self.method.as_str(),
            status = self.status,
            remote_ip = self.remote_ip.map(tracing::field::display),
            url = %self.uri,
            path,
            query = self.uri.query().unwrap_or_default(),
            host = self.host,
            size = self.size,
            request_id = self.id.as_str(),
            "{} {path} -> [{}]",
            self.method,
            self.status,
        );
    }
}

struct Recorded {
    body: Body,
    /// What the body has given and is not handed on yet.
    rest: Bytes,
    access: Access,
}

impl Recorded {
    /// The next part, no longer than the flight wants it.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let longest = self.access.flight.as_ref().and_then(|flight| flight.longest_part());
        let longest = longest.unwrap_or(usize::MAX);
        if self.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                end => return Poll::Ready(end),
            };
            match frame.into_data() {
                Ok(data) if data.len() > longest => self.rest = data,
                Ok(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Err(frame) => return Poll::Ready(Some(Ok(frame))),
            }
        }
        let part = self.rest.split_to(longest.min(self.rest.len()));
        Poll::Ready(Some(Ok(Frame::data(part))))
    }
}

impl HttpBody for Recorded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.access.flight.iter().for_each(|flight| flight.asked());
        let frame = ready!(self.poll_part(cx));
        self.access.flight.iter().for_each(|flight| flight.offered());
        if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
            self.access.size += data.len() as u64;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (hint, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut with_rest = SizeHint::new();
        with_rest.set_lower(hint.lower() + rest);
        if let Some(upper) = hint.upper() {
            with_rest.set_upper(upper + rest);
        }
        with_rest
    }
}
