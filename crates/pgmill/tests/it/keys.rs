//! Idempotency keys.

use pgmill::{Outcome, QueueMeta, Status, hours, seconds};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, done, retry, task};

#[tokio::test]
async fn a_key_in_use_gives_the_task_that_has_it() {
    let fixture = Fixture::with_queue().await;
    let first = fixture.create(task("first").key("k")).await;
    assert_eq!(first.key.as_deref(), Some("k"));
    let second = fixture.create(task("second").key("k").priority(0)).await;
    assert_eq!(second, first);
    fixture.retain().await;
    let third = fixture.create(task("third").key("k")).await;
    assert_eq!((third.id, third.status), (first.id, Some(Status::Retained)));
    assert_eq!((fixture.count(Status::New).await, fixture.count(Status::Retained).await), (0, 1));
}

#[tokio::test]
async fn a_key_is_used_exactly_as_given_and_within_its_queue() {
    let fixture = Fixture::with_queue().await;
    fixture.manager.register_queue(QueueMeta::new("other")).await.unwrap();
    let other = fixture.manager.with_namespace("other").unwrap();
    other.register_queue(QueueMeta::new("q")).await.unwrap();
    let mut ids = Vec::new();
    for key in ["k", "K", " k", "k ", "ключ", &"k".repeat(255)] {
        ids.push(fixture.create(task(1).key(key)).await.id);
    }
    ids.push(fixture.manager.create_task("other", task(1).key("k")).await.unwrap().id);
    ids.push(other.create_task("q", task(1).key("k")).await.unwrap().id);
    ids.push(fixture.create(task(1)).await.id);
    ids.push(fixture.create(task(1)).await.id);
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[tokio::test]
async fn a_key_stays_taken_until_the_retention_of_its_task_has_ended() {
    let fixture = Fixture::with(QueueMeta::new("q").retention(hours(1)).retries(1)).await;
    let first = fixture.create(task("first").key("k")).await;
    fixture.finish(done()).await;
    let again = fixture.create(task("again").key("k")).await;
    assert_eq!((again.id, again.status), (first.id, Some(Status::Released)));
    assert_eq!(again.result.unwrap().as_str(), r#""done""#);
    fixture.sql("UPDATE pgmill.task_finished SET finished_at = finished_at - interval '2 hours'").await;
    let second = fixture.create(task("second").key("k")).await;
    assert_ne!(second.id, first.id);
    assert_eq!(fixture.create(task("third").key("k")).await.id, second.id);
}

#[tokio::test]
async fn a_key_stays_taken_as_long_as_what_failed_is_kept() {
    let meta = QueueMeta::new("q").retries(1).retention(seconds(0)).retention_failed(hours(1));
    let fixture = Fixture::with(meta).await;
    let failed = fixture.create(task(1).key("failed")).await;
    fixture.finish(retry()).await;
    assert_eq!(fixture.create(task(2).key("failed")).await.id, failed.id);
    let done_task = fixture.create(task(1).key("done")).await;
    fixture.finish(done()).await;
    assert_ne!(fixture.create(task(2).key("done")).await.id, done_task.id, "nothing is kept of what is done");
}

#[tokio::test]
async fn a_key_is_free_once_its_task_is_cleaned_up_or_its_queue_deleted() {
    let fixture = Fixture::with_queue().await;
    let first = fixture.create(task(1).key("k")).await;
    fixture.finish(Outcome::failed(&"no").unwrap()).await;
    fixture.manager.clean_queue("q").await.unwrap();
    let second = fixture.create(task(2).key("k")).await;
    assert_ne!(second.id, first.id);
    fixture.manager.delete_queue("q").await.unwrap();
    fixture.manager.register_queue(QueueMeta::new("q")).await.unwrap();
    assert_ne!(fixture.create(task(3).key("k")).await.id, second.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_use_a_key_at_once_in_two_processes_one_creates_the_task() {
    let fixture = Fixture::with_queue().await;
    let other = fixture.other_process().await;
    let mut creators = JoinSet::new();
    for number in 0..40 {
        let manager = if number % 2 == 0 { fixture.manager.clone() } else { other.clone() };
        creators.spawn(async move { manager.create_task("q", task(number).key("k")).await.unwrap().id });
    }
    let mut ids = creators.join_all().await;
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(fixture.count(Status::New).await, 1);
}

#[tokio::test]
async fn a_task_with_a_key_that_is_refused_does_not_take_it() {
    let fixture = Fixture::with_queue().await;
    let past = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
    fixture.manager.create_task("q", task(1).key("k").delayed_at(past)).await.unwrap_err();
    let created = fixture.create(task(2).key("k")).await;
    assert_eq!(created.payload, task(2).payload);
}
