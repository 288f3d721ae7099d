//! The capture of a stream: bytes as they came off the socket.
//!
//! Two differences are wanted here. There is no interim answer before the 200 (B35). And ticks come when they are due, on their
//! grid, not when every 15 s somebody looks (B32): so the same events come first in the same order, and none but those come
//! after, but how often each does until then is another matter.

use super::answer::{Answer, events};
use super::json::Json;
use super::normalise::micros;
use super::scene::{Scene, stream};
use crate::http::Reply;

const CAPTURE: &str = include_str!("../../transcripts/gold_sse.txt");
const PING: &str = "event: ping\n\n";

/// Asks for the stream, and compares it with the captured one.
pub(crate) async fn compare(scene: &Scene) {
    let captured = captured();
    // Where nothing ticks, a ping comes soon.
    let idle = stream(scene.second, &request("/v1/ticker"), |text| !text.is_empty()).await;
    assert_eq!(idle.body, PING);
    assert!(captured.body.starts_with(PING));
    let reply = stream(scene.first, &request("/api/ticker"), |text| {
        text.matches("\"tform\"").count() > 1 && text.contains("\"tick-renamed\"")
    })
    .await;
    let mut found = Answer::of(&reply);
    let expected = Answer::of(&captured);
    found.limit_headers(&expected);
    assert_eq!((found.status, &found.headers), (expected.status, &expected.headers));
    assert_eq!(kinds(&reply.body), kinds(&captured.body));
    let ticks = ticks_of(&reply.body, "tform");
    for pair in ticks.windows(2) {
        let (step, second) = (pair[1] - pair[0], 1_000_000);
        assert!(step > 0 && step % second == 0, "ticks off their grid: {ticks:?}");
    }
}

fn request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:18080\r\nAccept: text/event-stream\r\n\r\n").into_bytes()
}

/// The different ticks without their times, in the order in which each came first.
fn kinds(body: &str) -> Vec<String> {
    let mut kinds: Vec<String> = Vec::new();
    for event in body.split_inclusive("\n\n").filter(|event| *event != PING) {
        let until = event.find(",\"timestamp\":").unwrap_or(event.len());
        let rest = &event[until..];
        // A time of any value, and what must follow it.
        let end = rest.find("\"}").map_or("", |end| &rest[end..]);
        let kind = format!("{}{end}", &event[..until]);
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds
}

/// The times of a ticker's ticks in microseconds.
fn ticks_of(body: &str, ticker: &str) -> Vec<i64> {
    let mut events = events(body);
    let ticks = events.subjects();
    let named = |tick: &&mut Json| tick.get("ticker").and_then(Json::as_text) == Some(ticker);
    ticks
        .into_iter()
        .filter(named)
        .map(|tick| micros(tick.get("timestamp").unwrap().as_text().unwrap()))
        .collect()
}

/// What was captured, without the interim answer.
fn captured() -> Reply {
    let mut bytes: Vec<u8> = Vec::new();
    for line in CAPTURE.lines().skip(1) {
        let (_, literal) = line.split_once("b'").expect("bytes as Python writes them");
        let literal = literal.strip_suffix('\'').expect("the end of the bytes");
        bytes.extend(literal.replace("\\r", "\r").replace("\\n", "\n").into_bytes());
    }
    assert!(CAPTURE.starts_with("  0.00 b'HTTP/1.1 100 Continue"));
    bytes.extend(b"0\r\n\r\n");
    Reply::parse(&bytes)
}

#[test]
fn the_captured_stream_is_read() {
    let captured = captured();
    let tick = |ticker: &str, payload: &str, seconds: u64| {
        format!(
            "event: ticker\ndata: {{\"ticker\":\"{ticker}\",\"payload\":{payload},\"interval\":{seconds}000000000,\
             \"namespace\":\"default\"\"}}\n\n"
        )
    };
    let expected = [tick("tform", "{}", 1), tick("tick-renamed", "\"x\"", 2)];
    assert_eq!(kinds(&captured.body), expected);
    assert_eq!(ticks_of(&captured.body, "tform").len(), 3);
}
