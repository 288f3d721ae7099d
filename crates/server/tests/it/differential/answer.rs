//! An answer as far as it is compared.

use std::fmt;

use super::json::Json;
use super::normalise::Run;
use crate::http::Reply;

/// Compared wherever the capture has them. What is in a capture besides are the date and the framing.
const HEADERS: &[&str] = &["content-type", "location", "cache-control", "connection"];
/// Compared even if the capture does not have them.
const ALWAYS: &[&str] = &["content-type", "location"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Body,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    Json(Json),
    Text(String),
}

impl Answer {
    pub(crate) fn of(reply: &Reply) -> Self {
        let given = |name: &&'static str| Some((*name, reply.header(name)?.to_owned()));
        let mut headers: Vec<_> = HEADERS.iter().filter_map(given).collect();
        // Some captures were made without the heads of the answers.
        if reply.headers.is_empty() && reply.body.starts_with('{') {
            headers.push(("content-type", "application/json".to_owned()));
        }
        let is = |kind: &str| headers.iter().any(|(_, value)| value.starts_with(kind));
        let body = if is("text/event-stream") {
            Body::Json(events(&reply.body))
        } else if is("text/plain; version=0.0.4") {
            Body::Text(gauge(&reply.body))
        } else if reply.body.starts_with('{') {
            Body::Json(Json::parse(&reply.body))
        } else {
            Body::Text(reply.body.clone())
        };
        Self { status: reply.status, headers, body }
    }

    pub(crate) fn json(&mut self) -> Option<&mut Json> {
        match &mut self.body {
            Body::Json(json) => Some(json),
            Body::Text(_) => None,
        }
    }

    /// Without the headers that the other one, from a capture, does not have.
    pub(crate) fn limit_headers(&mut self, captured: &Self) {
        let has = |name: &str| captured.headers.iter().any(|(it, _)| *it == name);
        self.headers.retain(|(name, _)| ALWAYS.contains(name) || has(name));
    }

    pub(crate) fn normalise(&mut self, run: &mut Run) {
        if let Some(json) = self.json() {
            run.normalise(json);
        }
    }
}

/// The ticks of a stream as a list. Only events that the contract has are understood: a name, and at most one line of data.
/// A ping comes first unless a tick does within 100 ms, so pings are left out.
pub(crate) fn events(stream: &str) -> Json {
    let events = stream.split_terminator("\n\n").filter_map(|event| {
        let (name, data) = event.split_once('\n').unwrap_or((event, ""));
        match name {
            "event: ping" if data.is_empty() => None,
            "event: ticker" if data.starts_with("data: {") && !data.contains('\n') => {
                Some(Json::parse(&data[6..]))
            }
            _ => panic!("an event that the contract does not have: {event:?}"),
        }
    });
    Json::Object(vec![("body".to_owned(), Json::List(events.collect()))])
}

/// The lines about the gauge that both have; ours has other metrics beside it.
fn gauge(text: &str) -> String {
    let ours = |line: &&str| line.split(['{', ' ']).any(|word| word == "queue_tasks");
    text.lines().filter(ours).map(|line| format!("{line}\n")).collect()
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        for (name, value) in &self.headers {
            write!(f, " {name}: {value};")?;
        }
        match &self.body {
            Body::Json(json) => write!(f, " {json}"),
            Body::Text(text) => write!(f, " {text:?}"),
        }
    }
}
