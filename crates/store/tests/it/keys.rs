//! Idempotency keys: one task for a key, until it has been forgotten.

use std::time::Duration;

use pgmill_schema::{Outcome, QueueMeta, QueueName, hours};
use pgmill_store::{Enqueued, NewTask, Sending, Store, SweepPlace};
use pgmill_testkit::wait_until;
use tokio::task::JoinHandle;

use crate::support::{Fixture, ago, done};

impl Fixture {
    async fn keyed(&self, queue: &QueueName, key: &str) -> NewTask {
        NewTask { key: Some(key.to_owned()), ..self.new_task(queue).await }
    }

    async fn try_create(&self, task: &NewTask) -> Enqueued {
        self.store.enqueue(&[task], Sending::First).await.unwrap().remove(0)
    }

    /// Creates a task, and returns once that waits for somebody else's transaction.
    async fn create_waiting(&self, task: NewTask) -> JoinHandle<Enqueued> {
        let store = self.store.clone();
        let waiting =
            tokio::spawn(async move { store.enqueue(&[task], Sending::First).await.unwrap().remove(0) });
        wait_until("the second batch to wait for the first", Duration::from_secs(10), async || {
            self.number("SELECT count(*) FROM pg_locks WHERE NOT granted").await > 0
        })
        .await;
        waiting
    }

    /// As if what is finished had been so for two hours.
    async fn age_history(&self) {
        self.sql("UPDATE pgmill.task_finished SET finished_at = finished_at - interval '2 hours'").await;
    }

    async fn prune_keys(&self) -> u64 {
        let (pruned, place) = self.store.prune_keys(None, 1000).await.unwrap();
        assert!(place.is_none(), "all were looked at");
        pruned
    }
}

fn is_created(answer: Enqueued) -> bool {
    matches!(answer, Enqueued::Created { .. })
}

#[tokio::test]
async fn the_second_task_with_a_key_is_not_created_in_the_same_batch() {
    let fixture = Fixture::new().await;
    let (queue, other) = (fixture.plain_queue().await, fixture.queue(QueueMeta::new("other")).await);
    let first = fixture.keyed(&queue, "a").await;
    let second = fixture.keyed(&queue, "a").await;
    let elsewhere = fixture.keyed(&other, "a").await;
    let answers = fixture.store.enqueue(&[first.clone(), second, elsewhere], Sending::First).await.unwrap();
    assert!(is_created(answers[0]));
    assert_eq!(answers[1], Enqueued::KeyTaken(first.id));
    assert!(is_created(answers[2]), "a key belongs to its queue");
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn of_two_batches_at_once_one_waits_and_finds_the_key_taken() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let (first, second) = (fixture.keyed(&queue, "a").await, fixture.keyed(&queue, "a").await);
    let other = fixture.database.connect().await;
    other.batch_execute("BEGIN").await.unwrap();
    assert!(is_created(Store::enqueue_in(&other, &first).await.unwrap()));

    let waiting = fixture.create_waiting(second).await;
    other.batch_execute("COMMIT").await.unwrap();
    assert_eq!(waiting.await.unwrap(), Enqueued::KeyTaken(first.id));
}

#[tokio::test]
async fn of_two_batches_at_once_the_waiting_one_wins_if_the_other_is_rolled_back() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let (first, second) = (fixture.keyed(&queue, "a").await, fixture.keyed(&queue, "a").await);
    let other = fixture.database.connect().await;
    other.batch_execute("BEGIN").await.unwrap();
    assert!(is_created(Store::enqueue_in(&other, &first).await.unwrap()));

    let waiting = fixture.create_waiting(second).await;
    other.batch_execute("ROLLBACK").await.unwrap();
    assert!(is_created(waiting.await.unwrap()));
}

#[tokio::test]
async fn a_key_is_free_again_when_the_retention_of_its_task_is_over() {
    let failed = Outcome::failed(&"no").unwrap();
    for (outcome, meta) in [
        (done(), QueueMeta::new("plain").retention(hours(1))),
        (failed, QueueMeta::new("plain").retention_failed(hours(1))),
    ] {
        let fixture = Fixture::new().await;
        let queue = fixture.queue(meta).await;
        let first = fixture.keyed(&queue, "a").await;
        assert!(is_created(fixture.try_create(&first).await));
        fixture.finish_one(&queue, outcome).await;
        let second = fixture.keyed(&queue, "a").await;
        assert_eq!(fixture.try_create(&second).await, Enqueued::KeyTaken(first.id), "while it is kept");
        fixture.age_history().await;
        assert!(is_created(fixture.try_create(&second).await));
        let third = fixture.keyed(&queue, "a").await;
        assert_eq!(fixture.try_create(&third).await, Enqueued::KeyTaken(second.id));
    }
}

#[tokio::test]
async fn of_two_batches_that_find_the_same_key_free_again_one_gets_it() {
    let fixture = Fixture::new().await;
    let queue = fixture.queue(QueueMeta::new("plain").retention(hours(1))).await;
    assert!(is_created(fixture.try_create(&fixture.keyed(&queue, "a").await).await));
    fixture.finish_one(&queue, done()).await;
    fixture.age_history().await;
    let (first, second) = (fixture.keyed(&queue, "a").await, fixture.keyed(&queue, "a").await);
    let other = fixture.database.connect().await;
    other.batch_execute("BEGIN").await.unwrap();
    assert!(is_created(Store::enqueue_in(&other, &first).await.unwrap()));
    let waiting = fixture.create_waiting(second).await;
    other.batch_execute("COMMIT").await.unwrap();
    assert_eq!(waiting.await.unwrap(), Enqueued::KeyTaken(first.id));
}

#[tokio::test]
async fn an_expired_task_holds_its_key_as_long_as_failures_are_kept() {
    let fixture = Fixture::new().await;
    let queue =
        fixture.queue(QueueMeta::new("plain").retention(Duration::ZERO).retention_failed(hours(1))).await;
    let first = fixture.keyed(&queue, "a").await;
    assert!(is_created(fixture.try_create(&first).await));
    fixture.sql("UPDATE pgmill.task SET dies_at = now() - interval '1 s'").await;
    assert_eq!(fixture.store.sweep(SweepPlace::START, 10).await.unwrap().expired, 1);
    let second = fixture.keyed(&queue, "a").await;
    assert_eq!(fixture.try_create(&second).await, Enqueued::KeyTaken(first.id));
    fixture.age_history().await;
    assert!(is_created(fixture.try_create(&second).await));
}

#[tokio::test]
async fn keys_that_no_task_holds_are_pruned_and_no_others() {
    let fixture = Fixture::new().await;
    let queue = fixture.queue(QueueMeta::new("plain").retention(hours(1))).await;
    for key in ["a", "b", "c", "d"] {
        assert!(is_created(fixture.try_create(&fixture.keyed(&queue, key).await).await));
    }
    fixture.finish_one(&queue, done()).await;
    fixture.age_history().await;
    fixture.finish_one(&queue, done()).await;
    fixture.retain_one(&queue).await;
    let (pruned, place) = fixture.store.prune_keys(None, 3).await.unwrap();
    assert_eq!(pruned, 1, "that of the task that was finished two hours ago");
    assert!(place.is_some(), "there is more to look at");
    assert_eq!(fixture.prune_keys().await, 0, "the others are held: finished lately, running, waiting");
    fixture.store.delete_queue(&fixture.namespace, &queue).await.unwrap();
    assert_eq!(fixture.prune_keys().await, 3);
}

#[tokio::test]
async fn a_key_without_retention_is_free_when_its_task_is_done() {
    let fixture = Fixture::new().await;
    let queue = fixture.queue(QueueMeta::new("forgetful").retention(Duration::ZERO)).await;
    let first = fixture.keyed(&queue, "a").await;
    assert!(is_created(fixture.try_create(&first).await));
    assert_eq!(
        fixture.try_create(&fixture.keyed(&queue, "a").await).await,
        Enqueued::KeyTaken(first.id),
        "while it lives"
    );
    fixture.finish_one(&queue, done()).await;
    assert!(is_created(fixture.try_create(&fixture.keyed(&queue, "a").await).await));
}

#[tokio::test]
async fn a_key_is_freed_with_its_queue_and_with_its_task() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let first = fixture.keyed(&queue, "a").await;
    assert!(is_created(fixture.try_create(&first).await));
    fixture.store.delete_queue(&fixture.namespace, &queue).await.unwrap().unwrap();
    fixture.plain_queue().await;
    let second = fixture.keyed(&queue, "a").await;
    assert!(is_created(fixture.try_create(&second).await), "the queue was deleted");

    fixture.finish_one(&queue, done()).await;
    let cleaned = fixture.store.clean_queue(&fixture.namespace, &queue, 10).await.unwrap();
    assert_eq!(cleaned.len(), 1);
    let third = fixture.keyed(&queue, "a").await;
    assert!(is_created(fixture.try_create(&third).await), "the finished task was removed");
}

#[tokio::test]
async fn a_refused_task_does_not_take_its_key() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let late = NewTask { delayed_at: Some(ago(60)), ..fixture.keyed(&queue, "a").await };
    assert_eq!(fixture.try_create(&late).await, Enqueued::DelayedInPast);
    assert!(is_created(fixture.try_create(&fixture.keyed(&queue, "a").await).await));
}
