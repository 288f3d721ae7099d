//! What cannot be used is told by an error that says what was wrong and what is allowed, and nothing is written.

use std::fmt::{Debug, Display};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pgmill::{
    Claim, EnqueueError, Json, JsonError, ListRequest, ListRequestError, LookupError, Manager, NameError,
    NameKind, Outcome, OutcomeError, QueueError, QueueMeta, QueueMetaError, ReleaseError, Retain,
    RetainError, TaskFilter, TaskMeta, TaskMetaError, days, seconds,
};

use crate::fixture::{Fixture, done, task};

/// A queue with a new and a retained task, which must stay as they are.
async fn fixture() -> (Fixture, Claim) {
    let fixture = Fixture::with_queue().await;
    fixture.create(task("retained").key("taken")).await;
    let claim = fixture.retain().await.claim().unwrap();
    fixture.create(task("new")).await;
    (fixture, claim)
}

fn text_of<T: Debug, E: Display>(result: Result<T, E>) -> String {
    match result {
        Ok(value) => panic!("accepted: {value:?}"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_task_that_cannot_be_created_is_told_why_and_nothing_is_written() {
    let (fixture, _) = fixture().await;
    let before = fixture.stored().await;
    let now = Timestamp::now();
    let too_late: Timestamp = "2501-01-01T00:00:00Z".parse().unwrap();
    let limit = "delay must be at most 876000h (100 years) and delayed_at before the year 2501, not ";
    for (queue, meta, expected) in [
        ("missing", task(1), r#"queue "missing" not found in namespace "app""#.to_owned()),
        ("a b", task(1), r#"Invalid queue name: "a b""#.to_owned()),
        ("", task(1), "Missing queue name".to_owned()),
        ("1st", task(1), r#"Invalid queue name: "1st""#.to_owned()),
        ("q", TaskMeta::empty(), "missing payload".to_owned()),
        ("q", task(1).priority(10), "priority must be from 0 (first) to 9 (last), not 10".to_owned()),
        ("q", task(1).key(""), "Missing key".to_owned()),
        ("q", task(1).key("k".repeat(256)), "key has 256 characters, at most 255 are allowed".to_owned()),
        ("q", task(1).key("a\0b"), r#"Invalid key: "a\0b""#.to_owned()),
        (
            "q",
            task(1).delay(seconds(1)).delayed_at(now),
            "delay and delayed_at exclude each other: set one of them".to_owned(),
        ),
        ("q", task(1).delay(days(36_501)), format!("{limit}876024h0m0s")),
        ("q", task(1).delay(Duration::MAX), format!("{limit}5124095576030431h0m15.999999999s")),
        ("q", task(1).delayed_at(too_late), format!("{limit}2501-01-01T00:00:00Z")),
        ("q", task(1).delayed_at(Timestamp::MAX), format!("{limit}{}", Timestamp::MAX)),
        ("q", task(1).delayed_at(now - SignedDuration::from_secs(5)), "delayed_at is in the past".to_owned()),
        ("q", task(1).delayed_at(Timestamp::MIN), "delayed_at is in the past".to_owned()),
    ] {
        let keyed = meta.clone();
        assert_eq!(text_of(fixture.manager.create_task(queue, meta.clone()).await), expected);
        assert_eq!(text_of(fixture.manager.create_tasks(queue, [task(0), meta]).await), expected);
        assert_eq!(text_of(fixture.manager.create_task_in(&fixture.client, queue, keyed).await), expected);
    }
    assert_eq!(fixture.stored().await, before);
}

#[tokio::test]
async fn errors_of_a_task_have_types_to_match_on() {
    let (fixture, _) = fixture().await;
    let error = async |meta: TaskMeta| fixture.manager.create_task("q", meta).await.unwrap_err();
    assert!(matches!(
        error(task(1).priority(10)).await,
        EnqueueError::Meta(TaskMetaError::Priority { value: 10 })
    ));
    assert!(matches!(
        error(task(1).key("")).await,
        EnqueueError::Meta(TaskMetaError::Key(NameError::Missing { kind: NameKind::Key }))
    ));
    let both = task(1).delay(seconds(1)).delayed_at(Timestamp::now());
    assert!(matches!(error(both).await, EnqueueError::Meta(TaskMetaError::DelayConflict)));
    let name = fixture.manager.create_task("a b", task(1)).await.unwrap_err();
    let EnqueueError::Name(name) = name else { panic!("{name:?}") };
    assert!(name.allowed().contains("a letter, then up to 63 letters, digits, hyphens or underscores"));
}

#[test]
fn a_payload_that_cannot_be_stored_is_told_before_there_is_a_task() {
    assert_eq!(Json::from_text(r#"{"a\u0000": 1}"#), Err(JsonError::Nul));
    assert_eq!(TaskMeta::json("a\0b"), Err(JsonError::Nul));
    assert_eq!(Outcome::done("a\0b"), Err(JsonError::Nul));
    assert_eq!(Json::from_text(r#""\ud800""#), Err(JsonError::Surrogate));
    assert_eq!(Json::from_text("1e401"), Err(JsonError::Number));
    assert!(matches!(Json::from_text("{"), Err(JsonError::Syntax(_))));
}

#[tokio::test]
async fn a_payload_or_result_over_the_limit_is_refused() {
    let (fixture, claim) = fixture().await;
    let text_of_length = |length: usize| Json::encode(&"x".repeat(length - 2)).unwrap();
    let mebibyte = 1 << 20;
    fixture.create(TaskMeta::raw(text_of_length(mebibyte))).await;
    let before = fixture.stored().await;
    let error =
        fixture.manager.create_task("q", TaskMeta::raw(text_of_length(mebibyte + 1))).await.unwrap_err();
    assert!(matches!(
        error,
        EnqueueError::Meta(TaskMetaError::PayloadTooLarge { bytes: 1_048_577, limit: 1_048_576 })
    ));
    assert_eq!(error.to_string(), "payload has 1048577 bytes, at most 1048576 are allowed");
    let outcome = Outcome::Done(text_of_length(mebibyte + 1));
    let error = fixture.manager.release_task(claim, outcome).await.unwrap_err();
    assert!(matches!(error, ReleaseError::Outcome(OutcomeError::ResultTooLarge { limit: 1_048_576, .. })));
    assert_eq!(error.to_string(), "result has 1048577 bytes, at most 1048576 are allowed");
    assert_eq!(fixture.stored().await, before);
    fixture.manager.release_task(claim, Outcome::Done(text_of_length(mebibyte))).await.unwrap();
}

#[tokio::test]
async fn the_limit_of_payloads_can_be_set_lower_and_higher() {
    let fixture = Fixture::with_queue().await;
    let with_limit =
        async |bytes| Manager::connect(fixture.database.url()).namespace("app").max_payload(bytes).await;
    let small = with_limit(10).await.unwrap();
    small.create_task("q", task("12345678")).await.unwrap();
    let error = small.create_task("q", task("123456789")).await.unwrap_err();
    assert_eq!(error.to_string(), "payload has 11 bytes, at most 10 are allowed");
    let large = with_limit(2 << 20).await.unwrap();
    let created = large.create_task("q", task("x".repeat(3 << 19))).await.unwrap();
    assert_eq!(large.get_task(created.id).await.unwrap().payload.unwrap().len(), (3 << 19) + 2);
}

#[tokio::test]
async fn a_queue_with_a_setting_out_of_range_is_told_which_and_nothing_is_written() {
    let (fixture, _) = fixture().await;
    let before = fixture.stored().await;
    let patch = QueueMeta::patch;
    let century = days(36_501);
    for (meta, field, allowed) in [
        (patch().retries(0), "retries", "at least 1 and at most 2147483647, not 0"),
        (patch().retries(1 << 31), "retries", "at least 1 and at most 2147483647, not 2147483648"),
        (patch().ttl(seconds(0)), "ttl", "must be from 1µs to 876000h (100 years), not 0s"),
        (patch().ttl(Duration::from_nanos(999)), "ttl", "not 999ns"),
        (patch().ttl(century), "ttl", "not 876024h0m0s"),
        (patch().retry_delay(days(366)), "retry_delay", "must be from 0s to 8760h (1 year), not 8784h0m0s"),
        (
            patch().max_retry_delay(seconds(0)),
            "max_retry_delay",
            "must be from 1µs to 876000h (100 years), not 0s",
        ),
        (patch().max_retry_delay(century), "max_retry_delay", "not 876024h0m0s"),
        (patch().lease(Duration::from_millis(10)), "lease", "must be from 1s to 720h (30 days), not 10ms"),
        (patch().lease(days(31)), "lease", "not 744h0m0s"),
        (patch().retention(days(3_651)), "retention", "must be from 0s to 87600h (10 years), not 87624h0m0s"),
        (patch().retention_failed(days(3_651)), "retention_failed", "not 87624h0m0s"),
    ] {
        let named = QueueMeta { queue: "q".to_owned(), ..meta.clone() };
        for error in [
            fixture.manager.update_queue("q", meta).await.unwrap_err(),
            fixture.manager.register_queue(named.clone()).await.unwrap_err(),
            fixture.manager.create_queue(named.clone().rename("other")).await.unwrap_err(),
        ] {
            assert!(
                matches!(&error, QueueError::Meta(QueueMetaError::OutOfRange { field: at, .. }) if *at == field),
                "{error:?}"
            );
            assert!(error.to_string().starts_with(field) && error.to_string().contains(allowed), "{error}");
        }
    }
    assert_eq!(fixture.stored().await, before);
}

#[tokio::test]
async fn a_queue_with_a_name_it_cannot_have_is_not_touched() {
    let (fixture, _) = fixture().await;
    let before = fixture.stored().await;
    let manager = &fixture.manager;
    for bad in ["", "a b", "1st", "a.b", "ä", &"n".repeat(65)] {
        let named = || QueueMeta::new(bad).retries(1);
        let mut errors = vec![
            manager.register_queue(named()).await.unwrap_err(),
            manager.create_queue(named()).await.unwrap_err(),
            manager.get_queue(bad).await.unwrap_err(),
            manager.update_queue(bad, QueueMeta::patch().retries(1)).await.unwrap_err(),
            manager.delete_queue(bad).await.unwrap_err(),
            manager.pause_queue(bad).await.unwrap_err(),
            manager.resume_queue(bad).await.unwrap_err(),
            manager.clean_queue(bad).await.unwrap_err(),
        ];
        if !bad.is_empty() {
            errors.push(manager.update_queue("q", named()).await.unwrap_err());
        }
        for error in errors {
            assert!(matches!(&error, QueueError::Name(name) if name.kind() == NameKind::Queue), "{error:?}");
        }
    }
    assert_eq!(fixture.stored().await, before);
}

#[tokio::test]
async fn a_retain_that_cannot_be_is_told_why_and_retains_nothing() {
    let (fixture, claim) = fixture().await;
    let before = fixture.stored().await;
    let manager = &fixture.manager;
    for (worker, queue, expected) in [
        ("", "q", "Missing worker".to_owned()),
        (" \t", "q", "Missing worker".to_owned()),
        ("a\0b", "q", r#"Invalid worker: "a\0b""#.to_owned()),
        (&"w".repeat(256), "q", "worker has 256 characters, at most 255 are allowed".to_owned()),
        ("w", "1bad", r#"Invalid queue name: "1bad""#.to_owned()),
        ("w", "", "Missing queue name".to_owned()),
    ] {
        let error = manager.next_task(worker, &["q", queue]).await.unwrap_err();
        assert!(matches!(error, RetainError::Name(_)) && !error.is_transient(), "{error:?}");
        assert_eq!(error.to_string(), expected);
    }
    for lease in [Duration::from_millis(10), Duration::ZERO, days(31)] {
        let retained = manager.next_tasks("w", &["q"], Retain::new().lease(lease)).await.unwrap_err();
        assert!(matches!(retained, RetainError::Lease), "{retained:?}");
        assert_eq!(retained.to_string(), "lease is out of range: allowed are 1 s to 30 days");
        let extended = manager.extend_leases(&[claim], Some(lease)).await.unwrap_err();
        assert!(matches!(extended, RetainError::Lease), "{extended:?}");
    }
    assert!(manager.next_tasks("w", &["q"], Retain::new().count(0)).await.unwrap().is_empty());
    assert_eq!(fixture.stored().await, before);
}

#[tokio::test]
async fn a_page_beyond_what_can_be_counted_is_told() {
    let (fixture, _) = fixture().await;
    let offset = (1 << 63) + 1;
    let page = ListRequest::new().offset(offset);
    assert!(matches!(
        fixture.manager.list_queues(page).await,
        Err(QueueError::Page(ListRequestError::Offset { value })) if value == offset
    ));
    assert!(matches!(
        fixture.manager.list_tasks(TaskFilter::new().page(page)).await,
        Err(LookupError::Page(ListRequestError::Offset { value })) if value == offset
    ));
    let last = ListRequest::new().offset((1 << 63) - 1);
    assert_eq!(fixture.manager.list_queues(last).await.unwrap().count, 1);
    assert_eq!(fixture.manager.list_tasks(TaskFilter::new().page(last)).await.unwrap().count, 2);
}

#[tokio::test]
async fn a_release_that_cannot_be_is_told_why_and_changes_nothing() {
    let fixture = Fixture::with_queue().await;
    fixture.create(task("superseded")).await;
    let stale = fixture.retain().await;
    fixture.lapse_leases().await;
    let held = fixture.retain().await.claim().unwrap();
    fixture.create(task("released")).await;
    let released = fixture.retain().await;
    fixture.manager.release_task(&released, done()).await.unwrap();
    let new = fixture.create(task("new")).await;
    let before = fixture.stored().await;

    let release = async |claim: Claim| fixture.manager.release_task(claim, done()).await.unwrap_err();
    let error = fixture.manager.release_task(&stale, done()).await.unwrap_err();
    assert!(matches!(error, ReleaseError::Superseded { id } if id == stale.id), "{error:?}");
    assert_eq!(error.to_string(), format!("task {} is retained by another attempt", stale.id));
    let other_holder = release(Claim::new(held.id(), held.attempt(), held.holder() ^ 1)).await;
    assert!(matches!(other_holder, ReleaseError::Superseded { .. }), "{other_holder:?}");
    let other_attempt = release(Claim::new(held.id(), held.attempt() + 1, held.holder())).await;
    assert!(matches!(other_attempt, ReleaseError::Superseded { .. }), "{other_attempt:?}");
    for id in [released.id, new.id] {
        let error = fixture.manager.release_task(id, done()).await.unwrap_err();
        assert!(matches!(error, ReleaseError::NotRetained { id: at } if at == id), "{error:?}");
        assert_eq!(error.to_string(), format!("task {id} is not retained"));
    }
    let error = fixture.manager.release_task(&released, done()).await.unwrap_err();
    assert!(matches!(error, ReleaseError::NotRetained { .. }), "{error:?}");
    let other = fixture.manager.with_namespace("other").unwrap();
    let error = other.release_task(held, done()).await.unwrap_err();
    assert!(matches!(error, ReleaseError::NotFound { .. }), "{error:?}");
    for id in [0, (1 << 63), u64::MAX] {
        let error = fixture.manager.release_task(id, done()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("task id {id} is out of range: allowed are 1 to 9223372036854775807")
        );
    }
    for outcome in [Outcome::Snooze(days(36_501)), Outcome::retry_in(days(36_501), &1).unwrap()] {
        let error = fixture.manager.release_task(held, outcome).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "a task can be put off by at most 876000h (100 years), not 876024h0m0s"
        );
    }
    assert_eq!(fixture.stored().await, before);
    fixture.manager.release_task(held, done()).await.unwrap();
}
