//! `/queue` and `/namespace`.

use crate::fixture::Fixture;

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_is_created_with_defaults_and_a_second_one_of_its_name_refused() {
    let fixture = Fixture::new().await;
    let created = fixture.send("POST", "/api/queue", r#"{"queue":"  CaSe-1  "}"#).await;
    assert_eq!((created.status, created.header("content-type")), (201, Some("application/json")));
    let queue = created.json();
    assert_eq!(queue["queue"], "case-1");
    assert_eq!(queue["ttl"], 3_600_000_000_000_u64);
    assert_eq!(queue["retry_delay"], 120_000_000_000_u64);
    assert_eq!((&queue["retries"], &queue["namespace"]), (&3.into(), &"default".into()));

    let again = fixture.send("POST", "/api/queue", r#"{"queue":"CASE-1"}"#).await;
    assert_eq!(again.status, 409);
    let expected = serde_json::json!({
        "code": 409, "reason": "Conflict: queue already exists", "detail": "CASE-1", "error": "queue_exists"
    });
    assert_eq!(again.json(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_indented_and_ends_with_a_line_feed() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.get("/api/queue").await.body, "{\n  \"count\": 0\n}\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_not_there_and_a_method_that_it_lacks_are_told_apart() {
    let fixture = Fixture::new().await;
    let missing = fixture.get("/api/nope?x=1").await;
    assert_eq!((missing.status, missing.json()["detail"].as_str()), (404, Some("/api/nope?x=1")));
    let refused = fixture.send("PUT", "/api/queue", "").await;
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, POST")));
    assert_eq!(refused.json()["detail"], "PUT");
    let head = fixture.send("HEAD", "/api/queue", "").await;
    assert_eq!((head.status, head.body.as_str()), (405, ""));
    let unclean = fixture.get("/api//queue?limit=1").await;
    assert_eq!((unclean.status, unclean.header("location")), (301, Some("/api/queue?limit=1")));
}
