//! Streams that outlive their connections.

use std::time::Duration;

use futures_util::StreamExt as _;
use pgmill_client::{Change, Client, Signal, Signals};
use pgmill_schema::{EventFilter, QueueName, Status};
use serde_json::json;
use tokio::time::timeout;

use crate::stub::{Reply, SOON, Stub};

fn tick(name: &str) -> String {
    let ticker = json!({"ticker": name, "payload": {}, "interval": 1_000_000_000, "namespace": "default", "timestamp": "2030-01-01T00:00:00Z"});
    format!("event: ticker\ndata: {ticker}\n\n")
}

/// A client whose streams connect again at once.
fn impatient(stub: &Stub) -> Client {
    let moment = Duration::from_millis(1);
    stub.builder().stream_pauses(moment, moment).build().expect("a client")
}

async fn signal(signals: &mut Signals) -> String {
    match timeout(SOON, signals.next()).await.expect("a signal") {
        None => "end".to_owned(),
        Some(Err(error)) => format!("error {:?}", error.status()),
        Some(Ok(Signal::Connected)) => "connected".to_owned(),
        Some(Ok(Signal::Message(message))) => format!("[{}] {}", message.event, message.data),
        Some(Ok(Signal::Reconnecting(error))) => format!("reconnecting: {error}"),
        Some(Ok(other)) => format!("{other:?}"),
    }
}

#[tokio::test]
async fn ticks_come_as_they_are_sent_and_pings_are_left_out() {
    let pieces = ["event: ping\n\n", &tick("a"), "event: later\ndata: x\n\n", &tick("b")];
    let stub = Stub::always(Reply::events(&pieces, false)).await;
    let ticks = stub.client().ticks();
    let names = ticks.map(|tick| tick.unwrap().ticker.to_string()).take(2).collect::<Vec<_>>();
    assert_eq!(timeout(SOON, names).await.unwrap(), ["a", "b"]);
    let asked = stub.only();
    assert_eq!(
        (asked.line().as_str(), asked.headers["accept"].as_str()),
        ("GET /api/ticker", "text/event-stream")
    );
}

#[tokio::test]
async fn a_stream_that_ends_is_opened_again_however_it_ends() {
    let replies = vec![
        Reply::events(&[&tick("a")], true),
        Reply::Hangup,
        Reply::error(503, "unavailable"),
        Reply::error(500, "internal"),
        Reply::error(429, "rate_limited"),
        Reply::events(&["data: half"], true),
        Reply::events(&[&tick("b")], false),
    ];
    let stub = Stub::replies(replies).await;
    let ticks = impatient(&stub).ticks().map(|tick| tick.unwrap().ticker.to_string());
    assert_eq!(timeout(SOON, ticks.take(2).collect::<Vec<_>>()).await.unwrap(), ["a", "b"]);
    assert_eq!(stub.asked().len(), 7);
}

#[tokio::test]
async fn signals_tell_all_that_happens() {
    let stub = Stub::replies(vec![
        Reply::events(&["event: ping\n\n"], true),
        Reply::error(503, "unavailable"),
        Reply::events(&["data: x\n\n"], false),
    ])
    .await;
    let mut signals = impatient(&stub).ticks().into_signals();
    let expected = [
        "connected",
        "[ping] ",
        "reconnecting: GET /ticker: the server closed the stream",
        "reconnecting: GET /ticker: 503 Told So (unavailable)",
        "connected",
        "[message] x",
    ];
    for expected in expected {
        assert_eq!(signal(&mut signals).await, expected);
    }
}

#[tokio::test]
async fn a_connection_that_falls_silent_is_given_up() {
    let stub =
        Stub::replies(vec![Reply::events(&["event: ping\n\n"], false), Reply::events(&[&tick("a")], false)])
            .await;
    let moment = Duration::from_millis(50);
    let client = stub.builder().stream_silence(moment).stream_pauses(moment, moment).build().unwrap();
    let tick = timeout(SOON, client.ticks().next()).await.unwrap().unwrap().unwrap();
    assert_eq!(tick.ticker.as_str(), "a");
    assert_eq!(stub.asked().len(), 2);
}

#[tokio::test]
async fn what_would_be_refused_again_ends_the_stream() {
    for status in [400, 401, 403, 404] {
        let stub = Stub::always(Reply::error(status, "no")).await;
        let mut signals = impatient(&stub).ticks().into_signals();
        assert_eq!(signal(&mut signals).await, format!("error Some({status})"));
        assert_eq!(signal(&mut signals).await, "end");
        assert_eq!(stub.asked().len(), 1);
    }
}

#[tokio::test]
async fn an_answer_that_is_no_stream_ends_it() {
    let stub = Stub::always(Reply::json(200, &json!({"count": 0}))).await;
    let mut ticks = impatient(&stub).ticks();
    let error = timeout(SOON, ticks.next()).await.unwrap().unwrap().unwrap_err();
    assert!(error.is_decode() && error.to_string().contains("not a stream of events"), "{error}");
    assert!(ticks.next().await.is_none());
}

#[tokio::test]
async fn a_tick_that_cannot_be_read_is_an_error_and_the_stream_goes_on() {
    let stub = Stub::always(Reply::events(&["event: ticker\ndata: {}\n\n", &tick("a")], false)).await;
    let mut ticks = impatient(&stub).ticks();
    assert!(timeout(SOON, ticks.next()).await.unwrap().unwrap().unwrap_err().is_decode());
    assert_eq!(ticks.next().await.unwrap().unwrap().ticker.as_str(), "a");
}

#[tokio::test]
async fn b50_a_long_line_is_read() {
    let payload = "x".repeat(1 << 20);
    let ticker = json!({"ticker": "a", "payload": payload, "namespace": "default"});
    let event = format!("event: ticker\ndata: {ticker}\n\n");
    let stub = Stub::always(Reply::events(&[&event], false)).await;
    let tick = timeout(SOON, impatient(&stub).ticks().next()).await.unwrap().unwrap().unwrap();
    assert_eq!(tick.payload.len(), payload.len() + 2);
}

#[tokio::test]
async fn a_stream_that_is_dropped_closes_its_connection() {
    let stub = Stub::always(Reply::events(&["event: ping\n\n"], false)).await;
    let mut signals = impatient(&stub).ticks().into_signals();
    assert_eq!(signal(&mut signals).await, "connected");
    drop(signals);
    timeout(SOON, stub.all_closed()).await.expect("the connection is closed");
}

#[tokio::test]
async fn changes_come_with_what_was_left_out() {
    let task =
        r#"{"id":7,"namespace":"n","queue":"q","status":"failed","attempt":3,"at":"2030-01-01T00:00:00Z"}"#;
    let pieces = [
        "event: ping\n\n",
        &format!("event: task\ndata: {task}\n\n"),
        "event: lost\ndata: {\"count\": 4}\n\n",
        "event: dropped\ndata: {\"reason\": \"too slow\"}\n\n",
    ];
    let stub = Stub::replies(vec![Reply::events(&pieces, true), Reply::events(&[], false)]).await;
    let filter = EventFilter::new().queue(QueueName::new("q").unwrap()).status(Status::Failed).id(7).id(8);
    let changes = impatient(&stub).events(&filter).map(Result::unwrap);
    let changes: Vec<_> = timeout(SOON, changes.take(5).collect()).await.unwrap();
    let expected = [
        Change::Listening,
        Change::Task(serde_json::from_str(task).unwrap()),
        Change::Lost(4),
        Change::Dropped("too slow".to_owned()),
        Change::Listening,
    ];
    assert_eq!(changes, expected);
    assert_eq!(stub.lines(), ["GET /api/event?queue=q&status=failed&id=7&id=8"; 2]);
}
