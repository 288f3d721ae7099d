//! One operation: what is asked, and how it is sent, again if need be.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use pgmill_schema::ListRequest;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Request, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{sleep, timeout};

use crate::builder::NAMESPACE;
use crate::error::status_line;
use crate::retry::{Safety, pause};
use crate::trace::{TraceEvent, shown};
use crate::{Client, Error};

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    method: Method,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
    safety: Safety,
    waits: Duration,
    accept: Option<&'static str>,
    confidential: bool,
}

/// What came back, and it was a success.
pub(crate) struct Success {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

impl Call {
    fn new(method: Method, path: &[&str], safety: Safety) -> Call {
        let path = path.iter().map(|segment| (*segment).to_owned()).collect();
        Call {
            method,
            path,
            query: Vec::new(),
            body: None,
            safety,
            waits: Duration::ZERO,
            accept: None,
            confidential: false,
        }
    }

    pub(crate) fn get(path: &[&str]) -> Call {
        Call::new(Method::GET, path, Safety::Repeatable)
    }

    pub(crate) fn post(path: &[&str]) -> Call {
        Call::new(Method::POST, path, Safety::Once)
    }

    pub(crate) fn put(path: &[&str]) -> Call {
        Call::new(Method::PUT, path, Safety::Unsent)
    }

    pub(crate) fn patch(path: &[&str]) -> Call {
        Call::new(Method::PATCH, path, Safety::Once)
    }

    pub(crate) fn delete(path: &[&str]) -> Call {
        Call::new(Method::DELETE, path, Safety::Once)
    }

    pub(crate) fn safety(self, safety: Safety) -> Call {
        Call { safety, ..self }
    }

    /// `Repeatable` if that is so, and as it is otherwise.
    pub(crate) fn repeatable_if(self, repeatable: bool) -> Call {
        if repeatable { self.safety(Safety::Repeatable) } else { self }
    }

    /// The server may take this long before it begins to work on an answer.
    pub(crate) fn waits(self, waits: Duration) -> Call {
        Call { waits, ..self }
    }

    pub(crate) fn accept(self, accept: &'static str) -> Call {
        Call { accept: Some(accept), ..self }
    }

    /// The answer is not to be found in an error.
    pub(crate) fn confidential(self) -> Call {
        Call { confidential: true, ..self }
    }

    pub(crate) fn query(mut self, key: &'static str, value: &impl ToString) -> Call {
        self.query.push((key, value.to_string()));
        self
    }

    pub(crate) fn query_all(
        self,
        key: &'static str,
        values: impl IntoIterator<Item = impl ToString>,
    ) -> Call {
        values.into_iter().fold(self, |call, value| call.query(key, &value))
    }

    /// As the reference's client: an offset of 0 is not sent, a limit of 0 is.
    pub(crate) fn page(self, page: ListRequest) -> Call {
        let call = self.query_all("offset", (page.offset > 0).then_some(page.offset));
        call.query_all("limit", page.limit)
    }

    /// # Errors
    ///
    /// If the value has no JSON form, as a duration of more than 292 years.
    pub(crate) fn json(self, body: &impl Serialize) -> Result<Call, Error> {
        let body = serde_json::to_vec(body)
            .map_err(|error| Error::invalid(format!("cannot be sent: {error}")).asked(|| self.asked()))?;
        Ok(Call { body: Some(body), ..self })
    }

    /// Method and path, to be told.
    pub(crate) fn asked(&self) -> String {
        format!("{} /{}", self.method, self.path.join("/"))
    }

    fn url(&self, endpoint: &Url) -> Result<Url, Error> {
        let mut url = endpoint.clone();
        // A path of these would be that of something else.
        if let Some(segment) = self.path.iter().find(|segment| matches!(segment.as_str(), "" | "." | "..")) {
            return Err(Error::invalid(format!("{segment:?} is no name")));
        }
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(&self.path);
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Ok(url)
    }
}

impl Success {
    /// Reads the answer as JSON.
    pub(crate) fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| self.unreadable(error))
    }

    /// Reads the answer as text.
    pub(crate) fn into_text(self) -> Result<String, Error> {
        let Success { status, body } = self;
        String::from_utf8(body).map_err(|error| Error::undecodable(status, error.as_bytes(), &error))
    }

    pub(crate) fn unreadable(&self, reason: impl std::fmt::Display) -> Error {
        Error::undecodable(self.status, &self.body, reason)
    }
}

impl Client {
    /// Sends a call and reads its answer as JSON.
    pub(crate) async fn fetch<T: DeserializeOwned>(&self, call: Call) -> Result<T, Error> {
        let success = self.send(&call).await?;
        let decoded = success.decode();
        decoded.map_err(|error| {
            if call.confidential { error.without_body() } else { error }.asked(|| call.asked())
        })
    }

    /// Sends a call and reads its answer as text.
    pub(crate) async fn fetch_text(&self, call: Call) -> Result<String, Error> {
        let success = self.send(&call).await?;
        success.into_text().map_err(|error| error.asked(|| call.asked()))
    }

    /// Sends a call, and sends it again as long as it fails, it may be repeated, and tries are left.
    pub(crate) async fn send(&self, call: &Call) -> Result<Success, Error> {
        let mut unknown = None;
        let mut tries = 0;
        loop {
            let error = match self.send_once(call).await {
                Ok(success) => return Ok(success),
                Err(error) => error.asked(|| call.asked()),
            };
            let again = tries < self.shared.retries && call.safety.allows(&error);
            let Some(pause) = again.then(|| pause(tries, error.retry_after())).flatten() else {
                return Err(call.safety.verdict(error, unknown));
            };
            if error.is_outcome_unknown() {
                unknown.get_or_insert(error);
            }
            sleep(pause).await;
            tries += 1;
        }
    }

    pub(crate) async fn send_once(&self, call: &Call) -> Result<Success, Error> {
        let mut request = self.request(call)?;
        *request.timeout_mut() = Some(self.shared.timeout.saturating_add(call.waits));
        let response = self.exchange(request).await?;
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        let body = response.bytes().await.map_err(Error::transport)?;
        if status.is_success() {
            Ok(Success { status, body: body.into() })
        } else {
            Err(Error::answer(status, retry_after, &body))
        }
    }

    /// Opens a stream: the head of the answer is there, and the body is still to come.
    pub(crate) async fn open(&self, call: &Call) -> Result<Response, Error> {
        let opening = async {
            let response = self.exchange(self.request(call)?).await?;
            let (status, retry_after) = (response.status(), retry_after(response.headers()));
            if status.is_success() {
                return Ok(response);
            }
            let body = response.bytes().await.map_err(Error::transport)?;
            Err(Error::answer(status, retry_after, &body))
        };
        let opened = timeout(self.shared.timeout, opening).await.unwrap_or_else(|_| Err(Error::timed_out()));
        opened.map_err(|error| error.asked(|| call.asked()))
    }

    fn request(&self, call: &Call) -> Result<Request, Error> {
        let mut request = Request::new(call.method.clone(), call.url(&self.shared.endpoint)?);
        *request.headers_mut() = self.shared.headers.clone();
        if let Some(namespace) = &self.namespace {
            request.headers_mut().insert(NAMESPACE, namespace.clone());
        }
        if let Some(accept) = call.accept {
            request.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
        }
        *request.body_mut() = call.body.clone().map(Into::into);
        Ok(request)
    }

    /// Sends a request and waits for the head of its answer.
    async fn exchange(&self, request: Request) -> Result<Response, Error> {
        let Some(trace) = &self.shared.trace else {
            return self.shared.http.execute(request).await.map_err(Error::transport);
        };
        let body = request.body().and_then(|body| body.as_bytes()).map(String::from_utf8_lossy);
        trace.tell(&TraceEvent::Request {
            method: request.method().as_str(),
            url: request.url().as_str(),
            headers: &shown(request.headers()),
            body: body.as_deref(),
        });
        drop(body);
        let since = Instant::now();
        let response = self.shared.http.execute(request).await.map_err(Error::transport);
        let took = since.elapsed();
        match &response {
            Ok(response) => trace.tell(&TraceEvent::Response {
                status: &status_line(response.status()),
                headers: &shown(response.headers()),
                took,
            }),
            Err(error) => trace.tell(&TraceEvent::Failed { error, took }),
        }
        response
    }
}

/// How long to wait by `Retry-After`: a number of seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    // A date that has passed means now.
    Some(Duration::try_from(date.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO))
}
