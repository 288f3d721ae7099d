//! Names, as the contract has them (1.6).

use serde_json::json;

use crate::fixture::Fixture;

#[tokio::test(flavor = "multi_thread")]
async fn names_are_trimmed_and_put_into_lower_case_wherever_they_are_given() {
    let fixture = Fixture::new().await;
    fixture.queue(json!({ "queue": "\u{a0} CaSe-1\t" })).await;
    let ticker = fixture.post("/api/ticker", &json!({ "ticker": " TiCk1 ", "interval": "1h" })).await;
    assert_eq!(ticker.json()["ticker"], "tick1");
    assert_eq!(fixture.get("/api/queue/CASE-1%20").await.json()["queue"], "case-1");
    assert_eq!(fixture.get("/api/ticker/%20Tick1").await.json()["ticker"], "tick1");
    let task = fixture.post("/api/task", &json!({ "queue": "Case-1 ", "payload": 1 })).await;
    assert_eq!(task.json()["queue"], "case-1");
    assert_eq!(fixture.put("/api/task/CASE-1?worker=%20W%20").await.json()["worker"], "W");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_none_are_refused_in_the_words_of_the_contract() {
    let fixture = Fixture::new().await;
    let long = "a".repeat(65);
    for name in ["a b", "1a", "-a", "a.b", "ä", "a/b", &long] {
        for (path, key, noun) in
            [("queue", "queue", "queue"), ("task", "queue", "queue"), ("ticker", "ticker", "ticker")]
        {
            let refused = fixture.post(&format!("/api/{path}"), &json!({ key: name, "payload": 1 })).await;
            let reason = format!("Bad Request: Invalid {noun} name: {name:?}");
            assert_eq!((refused.status, refused.json()["reason"].as_str()), (400, Some(&*reason)), "{path}");
        }
    }
    assert_eq!(fixture.get("/api/queue/a%2Fb").await.error(), "invalid_name");
    assert_eq!(fixture.get("/api/queue/%FF").await.status, 400);
    for (path, key, reason) in [
        ("queue", "queue", "Bad Request: Missing queue name"),
        ("task", "queue", "Bad Request: Missing queue name"),
        ("ticker", "ticker", "Bad Request: Missing ticker name"),
    ] {
        for body in [json!({}), json!({ key: " " }), json!({ key: null })] {
            let refused = fixture.post(&format!("/api/{path}"), &body).await;
            assert_eq!(
                (refused.status, refused.json()["reason"].as_str()),
                (400, Some(reason)),
                "{path} {body}"
            );
        }
    }
    fixture.queue(json!({ "queue": "a".repeat(64) })).await;
}
