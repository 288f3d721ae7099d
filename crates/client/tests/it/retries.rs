//! When a request is sent again, and when it must not be.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use pgmill_client::{Client, Error, Lease, Retain};
use pgmill_schema::{ListRequest, Outcome, QueueMeta, TaskMeta, TickerMeta};
use serde_json::json;

use crate::stub::{Reply, Stub};

/// The operations, with how they may be repeated.
const OPERATIONS: &[(&str, May)] = &[
    ("list_queues", May::Always),
    ("get_task", May::Always),
    ("metrics", May::Always),
    ("update_queue", May::Always),
    ("update_ticker", May::Always),
    ("pause_queue", May::Always),
    ("resume_queue", May::Always),
    ("create_task with a key", May::Always),
    ("create_tasks with keys", May::Always),
    ("release_task with a lease", May::Always),
    ("heartbeat", May::Always),
    ("create_queue", May::IfNothingWasDone),
    ("update_queue with a name", May::IfNothingWasDone),
    ("delete_queue", May::IfNothingWasDone),
    ("create_ticker", May::IfNothingWasDone),
    ("update_ticker with a name", May::IfNothingWasDone),
    ("delete_ticker", May::IfNothingWasDone),
    ("create_task", May::IfNothingWasDone),
    ("create_tasks, one without a key", May::IfNothingWasDone),
    ("release_task without a lease", May::IfNothingWasDone),
    ("cancel_task", May::IfNothingWasDone),
    ("retry_task", May::IfNothingWasDone),
    ("revoke_token", May::IfNothingWasDone),
    ("retain_task", May::IfNotLookedAt),
    ("retain_tasks", May::IfNotLookedAt),
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum May {
    Always,
    IfNothingWasDone,
    IfNotLookedAt,
}

async fn run(client: &Client, operation: &str) -> Error {
    let task = TaskMeta::json(&1).expect("JSON");
    let keyed = task.clone().key("k");
    let lease = || (7, Lease::new("a"));
    let failed = match operation {
        "list_queues" => client.list_queues(ListRequest::new()).await.err(),
        "get_task" => client.get_task(7).await.err(),
        "metrics" => client.metrics().await.err(),
        "update_queue" => client.update_queue("q", &QueueMeta::patch().retries(1)).await.err(),
        "update_queue with a name" => client.update_queue("q", &QueueMeta::new("r")).await.err(),
        "update_ticker" => client.update_ticker("t", &TickerMeta::default()).await.err(),
        "update_ticker with a name" => client.update_ticker("t", &TickerMeta::new("u")).await.err(),
        "pause_queue" => client.pause_queue("q").await.err(),
        "resume_queue" => client.resume_queue("q").await.err(),
        "create_task" => client.create_task("q", &task).await.err(),
        "create_task with a key" => client.create_task("q", &keyed).await.err(),
        "create_tasks with keys" => client.create_tasks([("q", &keyed), ("q", &keyed)]).await.err(),
        "create_tasks, one without a key" => client.create_tasks([("q", &keyed), ("q", &task)]).await.err(),
        "release_task with a lease" => client.release_task(lease(), &Outcome::GiveBack).await.err(),
        "release_task without a lease" => client.release_task(7, &Outcome::GiveBack).await.err(),
        "heartbeat" => client.heartbeat(lease(), None).await.err(),
        "create_queue" => client.create_queue(&QueueMeta::new("q")).await.err(),
        "delete_queue" => client.delete_queue("q").await.err(),
        "create_ticker" => client.create_ticker(&TickerMeta::new("t")).await.err(),
        "delete_ticker" => client.delete_ticker("t").await.err(),
        "cancel_task" => client.cancel_task(7).await.err(),
        "retry_task" => client.retry_task(7).await.err(),
        "revoke_token" => client.revoke_token(7).await.err(),
        "retain_task" => client.retain_task("w", &[]).await.err(),
        "retain_tasks" => client.retain_tasks(&Retain::new("w")).await.err(),
        other => panic!("{other} is no operation"),
    };
    failed.expect("a failure")
}

/// How often each operation is asked for if it fails like this the first time, and is told off the second.
async fn assert_repeated(failure: Reply, who: impl Fn(May) -> bool) {
    let failure = &failure;
    let counts = OPERATIONS.iter().map(|(operation, may)| async move {
        let stub = Stub::replies(vec![failure.clone(), Reply::error(400, "enough")]).await;
        run(&stub.client(), operation).await;
        (operation, may, stub.asked().len())
    });
    for (operation, may, count) in join_all(counts).await {
        let expected = if who(*may) { 2 } else { 1 };
        assert_eq!(count, expected, "{operation} after {failure:?}");
    }
}

#[tokio::test]
async fn after_a_lost_connection_only_what_may_be_done_twice_is_repeated() {
    assert_repeated(Reply::Hangup, |may| may == May::Always).await;
}

#[tokio::test]
async fn after_502_504_and_a_503_of_somebody_else_too() {
    for status in [502, 503, 504] {
        let failure = Reply::Answer(status, String::new(), "a proxy".to_owned());
        assert_repeated(failure, |may| may == May::Always).await;
    }
    assert_repeated(Reply::error(503, "outcome_unknown"), |may| may == May::Always).await;
}

#[tokio::test]
async fn what_the_server_did_not_do_for_certain_is_repeated_but_for_a_retain() {
    assert_repeated(Reply::error(503, "unavailable"), |may| may != May::IfNotLookedAt).await;
}

#[tokio::test]
async fn what_the_server_refused_to_look_at_is_repeated() {
    assert_repeated(Reply::error(429, "rate_limited"), |_| true).await;
}

#[tokio::test]
async fn what_is_wrong_is_not_repeated() {
    for status in [400, 401, 403, 404, 409, 500] {
        assert_repeated(Reply::error(status, "wrong"), |_| false).await;
    }
}

#[tokio::test]
async fn retries_are_as_many_as_were_asked_for() {
    for retries in [0, 1, 4] {
        let stub = Stub::always(Reply::error(429, "rate_limited")).await;
        let client = stub.builder().retries(retries).build().unwrap();
        assert_eq!(client.get_task(7).await.unwrap_err().status(), Some(429));
        assert_eq!(stub.asked().len(), usize::try_from(retries).unwrap() + 1);
    }
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let busy = Reply::error(503, "unavailable").with_header("Retry-After: 1");
    let stub = Stub::replies(vec![busy, Reply::json(200, &json!({"count": 0}))]).await;
    let since = Instant::now();
    stub.client().list_namespaces().await.unwrap();
    assert!(since.elapsed() >= Duration::from_secs(1));
    assert_eq!(stub.asked().len(), 2);
}

#[tokio::test]
async fn retry_after_may_be_a_date() {
    let busy = Reply::error(503, "unavailable").with_header("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT");
    let stub = Stub::always(busy).await;
    let error = stub.builder().retries(0).build().unwrap().list_namespaces().await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::ZERO));
}

#[tokio::test]
async fn who_asks_for_a_long_pause_is_not_asked_again() {
    let stub = Stub::always(Reply::error(429, "rate_limited").with_header("Retry-After: 3600")).await;
    let error = stub.client().list_namespaces().await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    assert_eq!(stub.asked().len(), 1);
}

#[tokio::test]
async fn a_release_that_is_told_it_is_over_after_a_lost_answer_is_unknown_and_not_stale() {
    for told in [Reply::error(409, "lease_stale"), Reply::error(404, "task_not_retained")] {
        let stub = Stub::replies(vec![Reply::Hangup, told]).await;
        let error = stub.client().release_task((7, Lease::new("a")), &Outcome::GiveBack).await.unwrap_err();
        assert!(error.is_outcome_unknown() && !error.is_lease_stale() && !error.is_not_found(), "{error}");
    }
    let stub = Stub::replies(vec![Reply::error(429, "rate_limited"), Reply::error(409, "lease_stale")]).await;
    let error = stub.client().release_task((7, Lease::new("a")), &Outcome::GiveBack).await.unwrap_err();
    assert!(error.is_lease_stale(), "nothing had been done before: {error}");
}

#[tokio::test]
async fn what_may_have_happened_once_is_not_forgotten_when_a_later_try_certainly_did_nothing() {
    let stub = Stub::replies(vec![Reply::Hangup, Reply::error(429, "rate_limited")]).await;
    let keyed = TaskMeta::json(&1).unwrap().key("k");
    let client = stub.builder().retries(1).build().unwrap();
    assert!(client.create_task("q", &keyed).await.unwrap_err().is_outcome_unknown());
}

#[tokio::test]
async fn a_long_poll_is_waited_for_beyond_the_timeout() {
    let stub = Stub::always(Reply::Silence).await;
    let client = stub.builder().timeout(Duration::from_millis(50)).build().unwrap();
    let since = Instant::now();
    let error = client.retain_one(&Retain::new("w").wait(Duration::from_millis(300))).await.unwrap_err();
    assert!(error.is_timeout() && since.elapsed() >= Duration::from_millis(350), "{error}");
}
