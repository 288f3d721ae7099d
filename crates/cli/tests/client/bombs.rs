//! Payloads and results that are small and become large, or cannot be kept, by way of the client: what may just be arrives to the
//! digit, and of what is beyond, the error tells why in a few words.

use pgmill::{Json, Outcome, QueueMeta, TaskFilter, TaskMeta};
use pgmill_client::{Client, RetainedTask};

use crate::Fixture;

const MEBIBYTE: usize = 1 << 20;
/// More than an error needs to say.
const SHORT: usize = 600;

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

fn digits(count: usize) -> String {
    format!("1{}", "0".repeat(count - 1))
}

fn string(length: usize) -> String {
    format!("\"{}\"", "x".repeat(length - 2))
}

async fn scene() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.manager.register_queue(QueueMeta::new("bombs").retries(99)).await.expect("a queue");
    fixture
}

async fn retain(client: &Client) -> RetainedTask {
    client.retain_task("w", &["bombs"]).await.expect("an answer").expect("a task")
}

/// Without the layout that the server gives it: none of the texts has white space of its own.
fn squeezed(json: Option<&Json>) -> String {
    json.map(Json::as_str).unwrap_or_default().split_whitespace().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_just_be_arrives_to_the_digit() {
    let Fixture { client, .. } = &scene().await;
    for (text, what) in [
        (nested(512), "as deep as may be"),
        (digits(130_000), "as many digits as may be"),
        ("[1e400,-0.0,12345678901234567890123]".to_owned(), "numbers that no float has"),
        (string(MEBIBYTE), "as long as may be"),
        (format!("[{}0]", "0,".repeat(100_000)), "very many numbers"),
    ] {
        let json = Json::from_text(&text).unwrap();
        let created = client.create_task("bombs", &TaskMeta::raw(json.clone())).await.unwrap();
        assert!(squeezed(created.payload.as_ref()) == text, "{what}, as it was created");
        let retained = retain(client).await;
        assert_eq!(retained.task.id, created.id, "{what}");
        assert!(squeezed(retained.task.payload.as_ref()) == text, "{what}, as a worker has it");
        let released = client.release_task(&retained, &Outcome::Done(json)).await.unwrap();
        assert!(squeezed(released.result.as_ref()) == text, "{what}, as a result");
        let found = client.get_task(created.id).await.unwrap();
        assert!(squeezed(found.result.as_ref()) == text, "{what}, looked up");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_beyond_the_limits_is_refused_with_a_reason_and_nothing_has_changed() {
    let Fixture { client, .. } = &scene().await;
    client.create_task("bombs", &TaskMeta::raw(Json::null())).await.unwrap();
    let held = retain(client).await;
    for (text, reason) in [
        (nested(513), "nested too deep"),
        (nested(200_000), "nested too deep"),
        (digits(130_001), "number"),
        ("1e401".to_owned(), "number"),
        ("1e99999999999999999999".to_owned(), "number"),
        ("\"\\u0000\"".to_owned(), "\\u0000"),
        ("\"\\ud800\"".to_owned(), "surrogate"),
    ] {
        let what = &text[..text.len().min(20)];
        // Before anything is sent.
        let told = Json::from_text(&text).unwrap_err().to_string();
        assert!(told.contains(reason) && told.len() < SHORT, "{what}: {told}");
        // And by the server, if it is sent all the same.
        assert_refused(client, &held, Json::from_stored(text.clone()).unwrap(), 400, reason).await;
    }
    for length in [MEBIBYTE + 1, 4 * MEBIBYTE] {
        assert_refused(client, &held, Json::from_text(string(length)).unwrap(), 413, "1048576").await;
    }
    let tasks = client.list_tasks(&TaskFilter::new()).await.unwrap();
    assert_eq!((tasks.count, tasks.body[0].id), (1, held.task.id), "no other was created");
    client.release_task(&held, &Outcome::done_empty()).await.unwrap();
}

/// Neither a payload nor the result of an attempt, which goes on.
async fn assert_refused(client: &Client, held: &RetainedTask, json: Json, status: u16, reason: &str) {
    let what: String = json.as_str().chars().take(20).collect();
    let payload = client.create_task("bombs", &TaskMeta::raw(json.clone())).await.expect_err("refused");
    let result = client.release_task(held, &Outcome::Done(json)).await.expect_err("refused");
    for error in [payload, result] {
        let told = error.to_string();
        assert!([400, status].contains(&error.status().unwrap_or_default()), "{what}: {told}");
        assert!(error.code().is_some() && !error.is_transient(), "{what}: {told}");
        assert!(told.contains(reason) && told.len() < SHORT, "{what}: {told}");
    }
}
