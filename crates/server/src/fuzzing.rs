//! What holds of whatever comes in, for the targets of `fuzz/` and for the tests.

use std::net::SocketAddr;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use futures_util::FutureExt;
use pgmill::{QueueMeta, TaskMeta, TickerMeta, TokenMeta};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::auth::take_token;
use crate::indent::{compacted, indented};
use crate::input::{Page, Query, accepts_only, fuzzing, object};
use crate::layers::{Names, Origins, Peers};

/// A query string. Whatever is read of it has the type that it is asked for, and every text can be sent as a parameter.
///
/// # Panics
/// If something does not hold.
pub fn queries(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let query = Query::parse(&text);
    for name in ["limit", "offset", "wait", "queue", ""] {
        let all: Vec<&str> = query.all(name).collect();
        assert_eq!(query.first(name), all.first().copied());
        let _ = (query.uint(name), query.duration(name));
    }
    if let Ok(page) = Page::of(&query) {
        assert!(page.0.validate().is_ok());
    }
    let escaped: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let sent = Query::parse(&format!("a&b=%&text={escaped}&text=second"));
    assert_eq!(sent.first("text"), Some(&*text));
}

/// A content type, and below it, after a line feed, a body.
///
/// # Panics
/// If something does not hold.
pub fn bodies(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (kind, body) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    read::<QueueMeta>(body);
    read::<TaskMeta>(body);
    read::<TickerMeta>(body);
    read::<TokenMeta>(body);
    let Ok(header) = HeaderValue::from_bytes(kind) else { return };
    let headers: HeaderMap =
        [(CONTENT_TYPE, header.clone()), (ACCEPT, header.clone()), (AUTHORIZATION, header)]
            .into_iter()
            .collect();
    let _ = accepts_only(&headers, "text/event-stream");
    let mut taken = headers.clone();
    take_token(&mut taken);
    assert!(!taken.contains_key(AUTHORIZATION), "nothing behind this can log it");
    let Ok((_, header)) = fuzzing::media_type(&headers) else { return };
    let form =
        fuzzing::form(header, Bytes::copy_from_slice(body)).now_or_never().expect("nothing is waited for");
    if let Ok(form) = form {
        let _ = QueueMeta::deserialize(form);
    }
}

/// What is read of a JSON body is what serde reads of it, but for the names of keys, and what follows it.
fn read<T: for<'de> Deserialize<'de> + Serialize>(body: &[u8]) {
    let Ok(read) = fuzzing::from_slice::<T>(body) else { return };
    let written = serde_json::to_vec(&read).expect("what was read can be written");
    let again: T = fuzzing::from_slice(&written).expect("what was written can be read");
    assert_eq!(serde_json::to_vec(&again).ok(), Some(written));
}

/// JSON as it is sent. Laid out for people, or on one line, it means the same, and is never much longer.
///
/// # Panics
/// If something does not hold.
pub fn answers(input: &[u8]) {
    let _ = object(input).map(|mut object| object.take("queue"));
    if serde_json::from_slice::<IgnoredAny>(input).is_err() {
        return;
    }
    let (people, line) = (indented(input), compacted(input));
    assert!(people.len() <= 4 * input.len() + (128 << 10) && line.len() <= input.len());
    assert!(!line.contains(&b'\n'));
    for text in [&people, &line] {
        // Not all that is valid is read into values: beyond 127 levels, or where a number is too large.
        let same = match serde_json::from_slice::<Value>(input) {
            Ok(value) => serde_json::from_slice::<Value>(text).is_ok_and(|read| read == value),
            Err(_) => serde_json::from_slice::<IgnoredAny>(text).is_ok(),
        };
        assert!(same, "{}", String::from_utf8_lossy(text));
    }
}

/// Headers, one a line, of somebody who wants to pass for another. Without a trusted proxy they do not change the address; and a page
/// of another origin, or another name of the server, stays what it is.
///
/// # Panics
/// If something does not hold.
pub fn headers(input: &[u8]) {
    let peer = SocketAddr::from(([10, 1, 2, 3], 4));
    let mut request = Request::new(Body::empty());
    request.extensions_mut().insert(ConnectInfo(peer));
    let mut named = false;
    for line in input.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(line[..colon].trim_ascii());
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            named |= name == HOST;
            request.headers_mut().append(name, value);
        }
    }
    assert_eq!(Peers { trust_proxy: false }.address(&request), Some(peer.ip()));
    assert!(Peers { trust_proxy: true }.address(&request).is_some());

    let names = Names { bound: SocketAddr::from(([127, 0, 0, 1], 8080)), others: Vec::new() };
    let allowed = vec!["https://app.example".to_owned()];
    let mut origins = Origins { allowed: allowed.clone(), names: Some(names), trust_proxy: false };
    for trust_proxy in [true, false] {
        origins.trust_proxy = trust_proxy;
        let other = [HeaderName::from_static("x-forwarded-host")];
        let hosts = [HOST].into_iter().chain(other.into_iter().filter(|_| trust_proxy));
        match origins.judge(&request) {
            Ok(Some(origin)) => {
                let is = |allowed: &String| origin.as_bytes().eq_ignore_ascii_case(allowed.as_bytes());
                assert!(allowed.iter().any(is), "{origin:?}");
            }
            Ok(None) => {
                let is_own = |origin| hosts.clone().any(|host| is_at(origin, request.headers().get(host)));
                assert!(request.headers().get(ORIGIN).is_none_or(is_own), "{:?}", request.headers());
            }
            Err(_) => {}
        }
        assert!(named || origins.judge(&request).is_err(), "nobody knows which host was asked");
    }
    let local = HeaderValue::from_static("localhost:8080");
    request.headers_mut().insert(HOST, local);
    request.headers_mut().insert(ORIGIN, HeaderValue::from_static("https://evil.example"));
    assert!(origins.judge(&request).is_err(), "a page of another origin");
    request.headers_mut().remove(ORIGIN);
    request.headers_mut().remove("sec-fetch-site");
    assert!(matches!(origins.judge(&request), Ok(None)), "no page sends this");
    request.headers_mut().insert(HOST, HeaderValue::from_static("evil.example"));
    assert!(origins.judge(&request).is_err(), "a name that somebody pointed here");
}

/// Whether an origin and a host, written as they are in headers, are one: but for the port that goes without saying, and for what
/// no browser adds to them.
fn is_at(origin: &HeaderValue, host: Option<&HeaderValue>) -> bool {
    let lower = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
    let (origin, host) = (lower(origin), host.map(lower).unwrap_or_default());
    let parts = |text: &str, usual: u16| {
        let authority = text.split(['/', '?', '#']).next().unwrap_or_default();
        let place = authority.rsplit('@').next().unwrap_or_default().to_owned();
        match place.rsplit_once(':') {
            Some((name, "")) => (name.to_owned(), usual),
            Some((name, port)) if port.parse::<u16>().is_ok() => {
                (name.to_owned(), port.parse().unwrap_or(usual))
            }
            _ => (place, usual),
        }
    };
    let of = |scheme: &str, usual: u16| {
        origin.strip_prefix(scheme).is_some_and(|at| parts(at, usual) == parts(&host, usual))
    };
    of("http://", 80) || of("https://", 443)
}

#[cfg(test)]
#[path = "../../../fuzz/kept.rs"]
mod kept;

#[test]
fn queries_hold() {
    kept::hold("queries", queries);
}

#[test]
fn bodies_hold() {
    kept::hold("bodies", bodies);
}

#[test]
fn headers_hold() {
    kept::hold("headers", headers);
}

#[test]
fn answers_hold() {
    kept::hold("answers", answers);
}
