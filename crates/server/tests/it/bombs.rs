//! Payloads and results that are small and become large, or cannot be kept: refused with a reason while nothing changes, or
//! given back digit by digit. What the library takes, the server takes, and the other way round.

use pgmill::{Json, QueueMeta};
use pgmill_server::Options;
use serde_json::json;

use crate::fixture::Fixture;
use crate::http::Reply;

const MEBIBYTE: usize = 1 << 20;

/// Texts that are to be payloads, and why they are looked at.
fn bombs() -> Vec<(String, &'static str)> {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    vec![
        (nested(512), "as deep as may be"),
        (nested(513), "too deep"),
        (nested(200_000), "far too deep"),
        (objects(512), "objects as deep as may be"),
        (objects(100_000), "objects far too deep"),
        ("1e400".to_owned(), "the largest exponent"),
        ("1e401".to_owned(), "an exponent too large"),
        ("1E-401".to_owned(), "an exponent too small"),
        ("1e99999999999999999999".to_owned(), "an exponent beyond all numbers"),
        (format!("1{}", "0".repeat(130_000 - 1)), "as many digits as may be"),
        (format!("1{}", "0".repeat(130_000)), "too many digits"),
        (format!("0.{}", "3".repeat(15_000)), "as many digits behind the point as may be"),
        (format!("0.{}", "3".repeat(15_001)), "too many digits behind the point"),
        ("-0.0".to_owned(), "a zero with a sign and a fraction"),
        ("[1.50, 12345678901234567890123, 1E+2]".to_owned(), "digits that a float loses"),
        ("{\"a\":1,\"a\":2,\"A\":3}".to_owned(), "one key twice"),
        ("{\"\":{\"\":\"\"}}".to_owned(), "a key that is empty"),
        ("\"\\u0000\"".to_owned(), "NUL"),
        ("{\"\\u0000\":1}".to_owned(), "NUL in a key"),
        ("\"\\ud800\"".to_owned(), "half a pair"),
        ("\"\\udc00\\ud800\"".to_owned(), "a pair the wrong way round"),
        ("\"\\ud83d\\udca5 \\\\u0000 \u{1f4a5}\"".to_owned(), "a pair, and what only looks like NUL"),
        ("\"\u{feff}\u{202e}\u{2028}\"".to_owned(), "characters that nobody sees"),
        (format!("\"{}\"", "x".repeat(MEBIBYTE - 2)), "as long as may be"),
        (format!("\"{}\"", "x".repeat(MEBIBYTE - 1)), "too long"),
        (format!("\"{}\"", "\\u00e4".repeat(MEBIBYTE / 6 - 1)), "escapes all along"),
        (format!("[{}0]", "0,".repeat(MEBIBYTE / 2 - 2)), "very many numbers"),
        (format!("[{}[]]", "[],".repeat(MEBIBYTE / 3 - 2)), "very many lists"),
        (
            format!("{}{}{}", "[".repeat(500), "0,".repeat(200_000), "0]".to_owned() + &"]".repeat(499)),
            "a long list far inside",
        ),
        (
            format!("{{{}\"z\":0}}", (0..40_000).map(|n| format!("\"k{n}\":{n},")).collect::<String>()),
            "very many keys",
        ),
        (format!("{{\"{}\":1}}", "k".repeat(MEBIBYTE - 6)), "a key as long as may be"),
    ]
}

/// JSON without the white space between its parts.
fn squeezed(text: &str) -> String {
    let mut inside = false;
    let mut escaped = false;
    let keep = |char: &char| {
        if inside {
            inside = *char != '"' || escaped;
            escaped = *char == '\\' && !escaped;
            return true;
        }
        inside = *char == '"';
        !char.is_ascii_whitespace()
    };
    text.chars().filter(keep).collect()
}

#[track_caller]
fn refused(what: &str, reply: &Reply) {
    assert!([400, 413].contains(&reply.status), "{what}: {}", reply.status);
    let told = reply.json();
    assert!(told["reason"].as_str().is_some_and(|reason| reason.len() > 20), "{what}: {told}");
    assert!(reply.body.len() < 2_000, "{what}: the answer is not as long as the question");
}

async fn scene() -> Fixture {
    let fixture = Fixture::with(Options::new()).await;
    fixture.manager.register_queue(QueueMeta::new("q")).await.unwrap();
    fixture
}

impl Fixture {
    /// Every task as it is stored.
    async fn tasks(&self) -> Vec<(i64, String)> {
        let client = self.database.connect().await;
        let all = "SELECT id, md5(t::text) FROM pgmill.task t UNION ALL SELECT id, md5(f::text) FROM pgmill.task_finished f";
        client.query(all, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_is_kept_to_the_digit_or_refused_and_nothing_has_changed() {
    let fixture = scene().await;
    let mut kept = 0;
    for (text, what) in bombs() {
        let before = fixture.tasks().await;
        let is_good = Json::from_text(&text).is_ok() && text.len() <= MEBIBYTE;
        let created =
            fixture.send("POST", "/api/task", &format!("{{\"queue\":\"q\",\"payload\":{text}}}")).await;
        if !is_good {
            refused(what, &created);
            assert_eq!(fixture.tasks().await, before, "{what}");
            continue;
        }
        kept += 1;
        assert_eq!(created.status, 201, "{what}: {:.300}", created.body);
        let id = id_of(&created);
        let shown = fixture.get(&format!("/api/task/{id}")).await;
        let wanted = format!("\"payload\":{},", squeezed(&text));
        assert!(squeezed(&shown.body).contains(&wanted), "{what}: {:.300}", shown.body);
        assert!(shown.body.len() < 8 * text.len() + (256 << 10), "{what}: {} bytes", shown.body.len());
        let task = fixture.manager.get_task(id).await.unwrap();
        assert_eq!(task.payload.unwrap().as_str(), text, "{what}");
    }
    assert!(kept >= 15, "{kept} were kept");
}

/// The id that an answer tells, without reading the payload in it.
fn id_of(reply: &Reply) -> u64 {
    let (_, rest) = reply.body.split_once("\"id\": ").unwrap();
    rest.split(|char: char| !char.is_ascii_digit()).next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_kept_to_the_digit_or_refused_and_the_attempt_goes_on() {
    let fixture = scene().await;
    for (text, what) in bombs() {
        fixture.send("POST", "/api/task", &json!({ "queue": "q", "payload": what }).to_string()).await;
        let id = id_of(&fixture.send("PUT", "/api/task/q?worker=w", "").await);
        let is_good = Json::from_text(&text).is_ok() && text.len() <= MEBIBYTE;
        let before = fixture.tasks().await;
        let ended =
            fixture.send("PATCH", &format!("/api/task/{id}"), &format!("{{\"result\":{text}}}")).await;
        if !is_good {
            refused(what, &ended);
            assert_eq!(fixture.tasks().await, before, "{what}");
            assert_eq!(fixture.send("PATCH", &format!("/api/task/{id}"), "{}").await.status, 201, "{what}");
            continue;
        }
        assert_eq!(ended.status, 201, "{what}: {:.300}", ended.body);
        let task = fixture.manager.get_task(id).await.unwrap();
        assert_eq!(task.result.unwrap().as_str(), text, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_tasks_in_one_request_a_bad_one_refuses_all() {
    let fixture = scene().await;
    let good = "{\"queue\":\"q\",\"payload\":1},".repeat(500);
    for (text, what) in bombs() {
        if Json::from_text(&text).is_ok() && text.len() <= MEBIBYTE {
            continue;
        }
        let body = format!("[{good}{{\"queue\":\"q\",\"payload\":{text}}}]");
        refused(what, &fixture.send("POST", "/api/task", &body).await);
        assert_eq!(fixture.tasks().await, [], "{what}");
    }
}
