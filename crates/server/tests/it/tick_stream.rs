//! `GET /ticker` as a stream of events.

use serde_json::json;

use crate::fixture::Fixture;
use crate::wire::{SOON, Wire, alive, until_only_so_many};
use pgmill_testkit::wait_until;

const STREAM: &str = "Accept: text/event-stream\r\n";

impl Fixture {
    async fn stream(&self) -> Wire {
        Wire::open(self.http, "GET", "/api/ticker?limit=x", STREAM).await
    }

    async fn ticker(&self, name: &str, interval: &str) {
        let ticker = json!({ "ticker": name, "interval": interval });
        let created = self.post("/api/ticker", &ticker).await;
        assert_eq!(created.status, 201, "{}", created.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_begins_with_200_and_a_ping_where_there_is_no_tick() {
    let fixture = Fixture::new().await;
    // As the client of the reference does it: with a body.
    let headers = "Accept: text/event-stream\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n\
                   Transfer-Encoding: chunked\r\n\r\n5\r\nnull\n\r\n0\r\n";
    let mut wire = Wire::open(fixture.http, "GET", "/api/ticker", headers).await;
    wire.until("event: ping\n\n\r\n").await;
    assert!(wire.text.starts_with("HTTP/1.1 200 OK\r\n"), "{}", wire.text);
    let head = wire.text.to_ascii_lowercase();
    for header in [
        "content-type: text/event-stream\r\n",
        "cache-control: no-cache\r\n",
        "connection: keep-alive\r\n",
        "transfer-encoding: chunked\r\n",
    ] {
        assert!(head.contains(header), "{header} in {head}");
    }
    assert!(wire.text.ends_with("\r\n\r\nD\r\nevent: ping\n\n\r\n"), "{}", wire.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_is_an_event_of_one_line() {
    let fixture = Fixture::new().await;
    let ticker = "{\"ticker\":\"t2\",\"payload\":{ \"a b\":\n [1, 2] },\"interval\":60000000000}";
    assert_eq!(fixture.send("POST", "/api/ticker", ticker).await.status, 201);
    let mut wire = fixture.stream().await;
    wire.until("event: ticker\n").await;
    wire.until("\n\n").await;
    let expected = "event: ticker\ndata: {\"ticker\":\"t2\",\"payload\":{\"a b\":[1,2]},\"interval\":60000000000,\
                    \"namespace\":\"default\",\"timestamp\":\"";
    assert!(wire.text.contains(expected), "{}", wire.text);
    let tick = &wire.events("ticker")[0];
    assert_eq!(fixture.get("/api/ticker/t2").await.json()["timestamp"], tick["timestamp"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_accepts_events_and_nothing_else_gets_a_stream() {
    let fixture = Fixture::new().await;
    for accept in ["application/json", "*/*", "text/event-stream, */*", "text/event-stream;q", "text/html"] {
        let list = fixture.http.send("GET", "/api/ticker", &[("Accept", accept)], "").await;
        assert_eq!((list.status, list.json()), (200, json!({ "count": 0 })), "{accept}");
    }
    for accept in ["text/event-stream", "Text/Event-Stream", "text/event-stream; q=0.5;"] {
        let headers = format!("Accept: {accept}\r\n");
        Wire::open(fixture.http, "GET", "/api/ticker", &headers).await.until("event: ping\n\n").await;
    }
    fixture.ticker("t", "1h").await;
    let one = [("Accept", "text/event-stream")];
    assert_eq!(fixture.http.send("GET", "/api/ticker/t", &one, "").await.json()["ticker"], "t");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_tick_goes_to_exactly_one_of_all_streams() {
    let fixture = Fixture::new().await;
    let (mut one, mut two) = (fixture.stream().await, fixture.stream().await);
    one.until("event: ping\n\n").await;
    two.until("event: ping\n\n").await;
    fixture.ticker("t", "20ms").await;
    wait_until("ticks in both streams", SOON, async || {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        one.read_on();
        two.read_on();
        one.events("ticker").len() > 5 && two.events("ticker").len() > 5
    })
    .await;
    let ticks = [one.events("ticker"), two.events("ticker")].concat();
    let mut times: Vec<_> = ticks.iter().map(|tick| tick["timestamp"].as_str().unwrap()).collect();
    times.sort_unstable();
    times.dedup();
    assert_eq!(times.len(), ticks.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn ticks_are_taken_only_while_a_stream_is_open() {
    let fixture = Fixture::new().await;
    fixture.ticker("first", "1h").await;
    assert!(fixture.get("/api/ticker/first").await.json()["timestamp"].is_null());
    let mut wire = fixture.stream().await;
    wire.until("event: ticker\n").await;
    wire.hang_up().await;
    fixture.ticker("second", "1h").await;
    // Nobody else takes it, so it is there for whoever asks.
    let tick = fixture.manager.next_ticker().await.unwrap();
    assert_eq!(tick.map(|tick| tick.ticker.to_string()).as_deref(), Some("second"));
}

#[tokio::test(flavor = "multi_thread")]
async fn b34_streams_that_are_aborted_leave_nothing_behind() {
    let fixture = Fixture::new().await;
    fixture.ticker("t", "1ms").await;
    // What the manager begins with the first stream, and goes on with, is not counted.
    let mut wire = fixture.stream().await;
    wire.until("event: ticker\n").await;
    wire.hang_up().await;
    let before = alive(&fixture.manager);
    let mut wires = Vec::new();
    for _ in 0..40 {
        wires.push(fixture.stream().await);
    }
    wait_until("the server to see them", SOON, async || alive(&fixture.manager) >= before + 40).await;
    wires[0].until("event: ticker\n").await;
    drop(wires);
    until_only_so_many(before, &fixture.manager).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_keeps_ticks_from_nobody() {
    let fixture = Fixture::new().await;
    let _slow = fixture.stream().await;
    fixture.ticker("t", "1ms").await;
    let mut quick = fixture.stream().await;
    while quick.events("ticker").len() < 500 {
        let next = quick.text.len();
        quick.until("event: ticker\n").await;
        quick.read_on();
        if quick.text.len() == next {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_closes_streams() {
    let fixture = Fixture::new().await;
    let mut wire = fixture.stream().await;
    wire.until("event: ping\n\n").await;
    fixture.api.shutdown().cancel();
    // The chunk that ends a body: it is complete, and not cut off.
    wire.until("\r\n0\r\n\r\n").await;
}
