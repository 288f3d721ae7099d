//! Queues and tickers, asked for through a server.

use serde_json::json;

use crate::served::Served;
use crate::support::{output, pgmill, stderr, stdout};

#[tokio::test]
async fn a_queue_lives_from_its_creation_to_its_deletion() {
    let served = Served::new().await;
    let printed =
        served.text(&["create-queue", "Emails", "--ttl=24h", "--retries=0x5", "--retry-delay=1m30s"]).await;
    let start = "{\n  \"queue\": \"emails\",\n  \"ttl\": 86400000000000,\n  \"retries\": 5,\n  \
                 \"retry_delay\": 90000000000,\n  \"namespace\": \"default\"";
    assert!(printed.starts_with(start), "{printed}");
    let queue = served.json(&["update-queue", "emails", "--retries", "2", "--lease", "1h", "--no-ttl"]).await;
    assert_eq!((&queue["retries"], &queue["ttl"]), (&json!(2), &json!(null)));
    assert_eq!(queue["lease"], json!(3_600_000_000_000_u64));
    let queue = served.json(&["update-queue", "emails", "--rename", "letters"]).await;
    assert_eq!(queue["queue"], "letters");
    assert_eq!(served.json(&["queue", "letters"]).await, queue);
    let list = served.json(&["queues"]).await;
    assert_eq!((&list["count"], &list["body"][1]["queue"]), (&json!(2), &json!("letters")));
    assert_eq!(served.json(&["queues", "--offset=1", "--limit=1"]).await["body"], json!([queue]));
    assert_eq!(served.text(&["queues", "--limit=0"]).await, "{\n  \"count\": 2\n}\n");
    assert_eq!(served.json(&["delete-queue", "letters"]).await, queue);
    assert_eq!(served.json(&["namespaces"]).await["body"], json!(["default", "pgmill"]));
}

#[tokio::test]
async fn a_refusal_is_told_in_the_words_of_the_contract() {
    let served = Served::new().await;
    let refusal = served.refusal(&["queue", "nosuch"]).await;
    let start = "Error: ErrUnexpectedResponse: 404 Not Found: {\n  \"code\": 404,\n  \"reason\": \"Not Found: not found\"";
    // The body ends with a line feed, and so does the message.
    assert!(refusal.starts_with(start) && refusal.ends_with("}\n\n"), "{refusal:?}");
    for (args, start) in [
        (&["queue", "1bad"][..], "Error: ErrUnexpectedResponse: 400 Bad Request: {\n  \"code\": 400"),
        (&["create-queue", "jobs"], "Error: ErrUnexpectedResponse: 409 Conflict: {\n  \"code\": 409"),
        (&["update-queue", "jobs"], "Error: ErrUnexpectedResponse: 400 Bad Request: {\n  \"code\": 400"),
        (&["queues", "--http.prefix="], "Error: ErrUnexpectedResponse: 404 Not Found: {\n  \"code\": 404"),
        (&["queue", "jobs", "--namespace", "other"], "Error: ErrUnexpectedResponse: 403 Forbidden: {"),
        (&["queues", "--http.addr=nohost"], "Error: address nohost: missing port in address\n"),
        (&["queues", "--http.addr=127.0.0.1:1"], "Error: GET /queue: cannot connect to 127.0.0.1:1: "),
        (&["create-ticker", "t", "--payload={bad"], "Error: invalid payload JSON: "),
    ] {
        let refusal = served.refusal(args).await;
        assert!(refusal.starts_with(start), "{args:?}: {refusal}");
    }
}

#[tokio::test]
async fn the_server_is_named_by_options_before_and_behind_the_command_and_by_variables() {
    let served = Served::new().await;
    let address = &served.address;
    let long = format!("--http.addr={address}");
    let url = format!("http://{address}/api");
    for args in [
        &["queue", "jobs", "--http.addr", address][..],
        &[&long, "--http.prefix", "/api", "queue", "jobs"],
        &["--debug", "--http.addr", address, "queue", "jobs", "--otel.endpoint="],
        &["queue", "jobs", "--http.addr", &url],
    ] {
        let output = output(&mut pgmill(args)).await;
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    }
    let mut old = pgmill(&["queue", "jobs"]);
    assert!(output(old.env("PGQUEUE_ADDR", address)).await.status.success());
    let mut both = pgmill(&["queue", "jobs"]);
    let both = output(both.env("PGQUEUE_ADDR", "127.0.0.1:1").env("PGMILL_ADDR", address)).await;
    assert!(both.status.success(), "{}", stderr(&both));
}

#[tokio::test]
async fn debug_shows_requests_and_answers_and_no_token() {
    let served = Served::new().await;
    let mut command = served.pgmill(&["queue", "jobs", "--debug"]);
    let output = output(command.env("PGMILL_TOKEN", "geheim")).await;
    let (printed, said) = (stdout(&output), stderr(&output));
    let request = format!("request: GET http://{}/api/queue/jobs\n", served.address);
    assert!(said.contains(&request), "{said}");
    for part in [
        "\n  => authorization: \"***\"",
        "\nresponse: 200 OK\n",
        "\n  <= content-type: \"application/json\"",
        "\n  Took ",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("geheim") && printed.starts_with('{'), "{said}");
}

#[tokio::test]
async fn a_ticker_lives_from_its_creation_to_its_deletion() {
    let served = Served::new().await;
    let printed = served.text(&["create-ticker", "Beat", "--interval=1h", "--payload=[1]"]).await;
    let start = "{\n  \"ticker\": \"beat\",\n  \"payload\": [\n    1\n  ],\n  \"interval\": 3600000000000,\n  \
                 \"namespace\": \"default\"";
    assert!(printed.starts_with(start), "{printed}");
    let ticker = served.json(&["update-ticker", "beat", "--payload=null"]).await;
    assert_eq!(ticker["payload"], json!(null));
    let ticker =
        served.json(&["update-ticker", "beat", "--cron", "0 3 * * *", "--time-zone", "Europe/Berlin"]).await;
    assert_eq!((&ticker["cron"], &ticker["interval"]), (&json!("0 3 * * *"), &json!(null)));
    let ticker = served.json(&["update-ticker", "beat", "--disable", "--rename", "still"]).await;
    assert_eq!((&ticker["ticker"], &ticker["cron"]), (&json!("still"), &json!(null)));
    assert_eq!(served.json(&["ticker", "still"]).await["ticker"], "still");
    assert_eq!(served.json(&["tickers", "--limit=5"]).await["count"], 1);
    served.json(&["delete-ticker", "still"]).await;
    assert_eq!(served.text(&["tickers"]).await, "{\n  \"count\": 0\n}\n");
}
