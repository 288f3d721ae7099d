//! Commands that go on until they are interrupted.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::served::Served;
use crate::support::Program;

async fn interrupt(mut program: Program) {
    program.signal(Signal::SIGINT);
    assert_eq!(program.end().await, Some(0));
}

#[tokio::test]
async fn ticks_are_printed_as_they_come_also_after_a_restart_of_the_server() {
    let mut served = Served::new().await;
    let mut ticks = Program::start(&mut served.pgmill(&["next-ticker"]));
    assert_eq!(ticks.line().await, "[ping] ");
    served.json(&["create-ticker", "t", "--interval=100ms", "--payload={\"a\":1}"]).await;
    let tick = ticks.line_with("[ticker] ").await;
    let tick: Value = serde_json::from_str(tick.strip_prefix("[ticker] ").unwrap()).unwrap();
    assert_eq!((tick["ticker"].as_str(), tick["payload"]["a"].as_u64()), (Some("t"), Some(1)));
    served.stop().await;
    ticks.line_with("[reconnecting] ").await;
    served.start().await;
    ticks.line_with("[ticker] ").await;
    interrupt(ticks).await;
}

#[tokio::test]
async fn changes_of_tasks_are_printed_as_lines_of_json() {
    let served = Served::new().await;
    served.json(&["create-queue", "other"]).await;
    let mut events = Program::start(&mut served.pgmill(&["events", "jobs", "--status=new", "--debug"]));
    events.says("response: 200").await;
    served.json(&["create-task", "other", "--payload=1"]).await;
    let task = served.json(&["create-task", "jobs", "--payload=1"]).await;
    let event: Value = serde_json::from_str(&events.line().await).unwrap();
    assert_eq!((&event["id"], event["status"].as_str()), (&task["id"], Some("new")));
    interrupt(events).await;
}

#[tokio::test]
async fn a_stream_that_the_server_does_not_know_is_an_error_and_no_reason_to_wait() {
    let served = Served::new().await;
    let refusal = served.refusal(&["next-ticker", "--http.prefix=/none"]).await;
    assert!(refusal.starts_with("Error: ErrUnexpectedResponse: 404 Not Found: {"), "{refusal}");
}

#[tokio::test]
async fn watch_prints_a_line_of_json_each_time_and_outlives_a_restart_of_the_server() {
    let mut served = Served::new().await;
    for command in ["status", "queues", "tasks", "tickers"] {
        let mut watch = Program::start(&mut served.pgmill(&[command, "--watch=100ms"]));
        let first: Value = serde_json::from_str(&watch.line().await).unwrap();
        assert_eq!(first, serde_json::from_str::<Value>(&watch.line().await).unwrap());
        interrupt(watch).await;
    }
    let mut watch = Program::start(&mut served.pgmill(&["queue", "jobs", "--watch=100ms"]));
    watch.line().await;
    served.stop().await;
    watch.says("Error: ").await;
    served.start().await;
    served.json(&["update-queue", "jobs", "--retries=9"]).await;
    while !watch.line().await.contains("\"retries\":9") {}
    interrupt(watch).await;
}

#[tokio::test]
async fn what_nobody_reads_any_more_ends() {
    let served = Served::new().await;
    served.json(&["create-ticker", "t", "--interval=100ms"]).await;
    for args in [&["status", "--watch=100ms"][..], &["next-ticker"]] {
        let mut stream = Program::start(&mut served.pgmill(args));
        stream.line().await;
        stream.close();
        assert_eq!(stream.end().await, Some(0), "{args:?}");
    }
}
