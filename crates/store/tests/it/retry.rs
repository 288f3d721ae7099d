//! A finished task becomes live again, and whatever is still under way for it stays harmless.

use std::time::Duration;

use pgmill_schema::{Json, Outcome, QueueMeta, Status, Task, minutes};
use pgmill_store::{Ended, Enqueued, Retried, Sending};

use crate::support::{Fixture, done, namespace, released, retry, seconds_between};

impl Fixture {
    async fn retry(&self, id: i64) -> Retried {
        self.store.retry_task(&self.namespace, id).await.unwrap()
    }

    async fn retried(&self, id: i64) -> Task {
        match self.retry(id).await {
            Retried::Task(task) => *task,
            other => panic!("not retried: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_task_that_ended_in_any_way_is_live_again_with_what_its_queue_grants_now() {
    let fixture = Fixture::new().await;
    let queue = fixture.queue(QueueMeta::new("plain").retries(2)).await;
    let created = fixture.create(&queue, 4).await;
    fixture.finish_one(&queue, done()).await;
    fixture.finish_one(&queue, Outcome::failed(&"no").unwrap()).await;
    fixture.store.cancel_task(&fixture.namespace, created[2]).await.unwrap();
    fixture.sql(&format!("UPDATE pgmill.task SET dies_at = now() WHERE id = {}", created[3])).await;
    fixture.store.sweep(pgmill_store::SweepPlace::START, 100).await.unwrap();
    fixture.queue(QueueMeta::new("plain").retries(5).ttl(minutes(7))).await;
    let ends = [Status::Released, Status::Failed, Status::Cancelled, Status::Expired];
    for (id, status) in created.iter().zip(ends) {
        let before = fixture.task(*id).await.unwrap();
        assert_eq!(before.status, Some(status));
        let task = fixture.retried(*id).await;
        let due = task.delayed_at.unwrap();
        assert!((seconds_between(due, task.dies_at.unwrap()) - 420.0).abs() < 0.001, "{task:?}");
        assert_eq!((task.status, task.retries, &task.result), (Some(Status::New), 5, &None));
        assert_eq!(
            (task.attempt, task.created_at, &task.payload),
            (before.attempt, before.created_at, &before.payload)
        );
        let shown = fixture.task(*id).await.unwrap();
        assert_eq!(shown.attempts, before.attempts);
        assert_eq!(Task { attempts: shown.attempts.clone(), ..task }, shown);
    }
    assert_eq!(fixture.number("SELECT count(*) FROM pgmill.task_finished").await, 0);
    fixture.assert_counts_are_true().await;
    // All attempts anew, none of them counted twice.
    for attempt in 1..=5 {
        let task = fixture.retain_one(&queue).await;
        assert_eq!((task.id.cast_signed(), task.attempt), (created[0], attempt + 1));
        let again = Outcome::Retry { result: Json::encode(&()).unwrap(), after: Some(Duration::ZERO) };
        let task = released(fixture.release(&task, again).await);
        assert_eq!(task.status, Some(if attempt < 5 { Status::Retry } else { Status::Failed }));
        fixture.sql(&format!("UPDATE pgmill.task SET run_at = created_at WHERE id = {}", created[0])).await;
    }
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn a_task_past_its_end_is_retried_though_the_sweep_has_not_been_there() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let created = fixture.create(&queue, 2).await;
    let running = fixture.retain_one(&queue).await;
    fixture.lapse_leases().await;
    fixture.sql("UPDATE pgmill.task SET dies_at = now()").await;
    for (id, attempts) in created.iter().zip([1, 0]) {
        let task = fixture.retried(*id).await;
        assert_eq!((task.status, task.retries), (Some(Status::New), 3));
        assert_eq!(fixture.task(*id).await.unwrap().attempts.len(), attempts);
        fixture.assert_counts_are_true().await;
    }
    let late = fixture.store.release(&[fixture.ending(&running, done())], Sending::Again).await.unwrap();
    assert!(matches!(late[..], [Ended::NotRetained]), "{late:?}");
    assert_eq!(fixture.retain(&queue, 9).await.len(), 2);
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn what_has_not_ended_or_never_was_is_told_and_left_alone() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let created = fixture.create(&queue, 3).await;
    fixture.retain_one(&queue).await;
    for (id, status) in created.iter().zip([Status::Retained, Status::New]) {
        let answer = fixture.retry(*id).await;
        assert!(matches!(answer, Retried::Live(live) if live == status), "{answer:?}");
    }
    assert!(matches!(fixture.retry(4711).await, Retried::NoTask));
    fixture.store.cancel_task(&fixture.namespace, created[2]).await.unwrap();
    let other = fixture.store.retry_task(&namespace("other"), created[2]).await.unwrap();
    assert!(matches!(other, Retried::NoTask), "{other:?}");
    fixture.store.delete_queue(&fixture.namespace, &queue).await.unwrap();
    assert!(matches!(fixture.retry(created[2]).await, Retried::NoTask));
    assert_eq!(fixture.number("SELECT count(*) FROM pgmill.task_finished").await, 1, "it was left alone");
}

#[tokio::test]
async fn a_repeated_enqueue_does_not_create_a_retried_task_anew() {
    for keyed in [false, true] {
        let fixture = Fixture::new().await;
        let queue = fixture.plain_queue().await;
        let mut tasks = fixture.new_tasks(&queue, 1).await;
        tasks[0].key = keyed.then(|| "key".to_owned());
        fixture.create_all(&tasks).await;
        fixture.finish_one(&queue, done()).await;
        fixture.retried(tasks[0].id).await;
        assert_eq!(fixture.store.enqueue(&tasks, Sending::Again).await.unwrap(), [Enqueued::Settled]);
        fixture.finish_one(&queue, done()).await;
        assert_eq!(fixture.store.enqueue(&tasks, Sending::Again).await.unwrap(), [Enqueued::Settled]);
        assert!(
            fixture.store.enqueue(&tasks, Sending::First).await.is_err(),
            "nor does the first sending, late"
        );
        assert_eq!(fixture.number("SELECT count(*) FROM pgmill.task").await, 0);
        fixture.assert_counts_are_true().await;
    }
}

/// The answer tells what the release came to, and the task that waits or runs anew is left alone.
#[tokio::test]
async fn a_repeated_release_of_a_retried_task_is_told_how_it_ended() {
    let fixture = Fixture::new().await;
    let queue = fixture.queue(QueueMeta::new("plain").retries(1)).await;
    for (outcome, status) in [(done(), Status::Released), (retry(), Status::Failed)] {
        let id = fixture.create(&queue, 1).await[0];
        let first = fixture.retain_one(&queue).await;
        let ending = [fixture.ending(&first, outcome)];
        fixture.store.release(&ending, Sending::First).await.unwrap();
        fixture.retried(id).await;
        for round in ["it waits", "it runs"] {
            let again = fixture.store.release(&ending, Sending::Again).await.unwrap();
            assert!(matches!(&again[..], [Ended::Settled(ended)] if *ended == status), "{round}: {again:?}");
            let first = fixture.store.release(&ending, Sending::First).await.unwrap();
            assert!(matches!(&first[..], [Ended::NotRetained | Ended::Superseded]), "{round}: {first:?}");
            if round == "it waits" {
                assert_eq!(fixture.retain_one(&queue).await.attempt, 2);
            }
        }
        assert_eq!(fixture.status(id).await, Some(Status::Retained));
        fixture.assert_counts_are_true().await;
    }
}

#[tokio::test]
async fn a_retried_task_has_its_key_still() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let with_key = async |key: &str| {
        let mut task = fixture.new_task(&queue).await;
        task.key = Some(key.to_owned());
        task
    };
    let task = with_key("key").await;
    fixture.create_all(std::slice::from_ref(&task)).await;
    let owner = async |key| fixture.store.enqueue(&[with_key(key).await], Sending::First).await.unwrap();
    let is_owned = |answer: &[Enqueued]| matches!(answer, [Enqueued::KeyTaken(id)] if *id == task.id);
    for pruned in [false, true] {
        fixture.finish_one(&queue, done()).await;
        if pruned {
            // As once the retention is over, while the day of the task is still there.
            fixture.sql("DELETE FROM pgmill.task_key").await;
        }
        assert_eq!(fixture.retried(task.id).await.key.as_deref(), Some("key"));
        let answer = owner("key").await;
        assert!(is_owned(&answer), "{answer:?}");
    }
}

#[tokio::test]
async fn a_task_whose_key_was_given_to_another_is_not_retried() {
    let fixture = Fixture::new().await;
    let queue = fixture.queue(QueueMeta::new("plain").retention(Duration::from_secs(1))).await;
    let mut tasks = fixture.new_tasks(&queue, 2).await;
    tasks.iter_mut().for_each(|task| task.key = Some("key".to_owned()));
    fixture.create_all(&tasks[..1]).await;
    fixture.finish_one(&queue, done()).await;
    fixture.sql("UPDATE pgmill.task_finished SET finished_at = finished_at - interval '5 s'").await;
    fixture.create_all(&tasks[1..]).await;
    let answer = fixture.retry(tasks[0].id).await;
    assert!(matches!(answer, Retried::KeyTaken(id) if id == tasks[1].id), "{answer:?}");
    assert_eq!(fixture.status(tasks[0].id).await, Some(Status::Released));

    // Once the other has ended and is past its retention too, the key is free.
    fixture.finish_one(&queue, done()).await;
    fixture.sql("UPDATE pgmill.task_finished SET finished_at = finished_at - interval '5 s'").await;
    fixture.retried(tasks[0].id).await;
    assert!(matches!(fixture.retry(tasks[1].id).await, Retried::KeyTaken(id) if id == tasks[0].id));
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn a_locked_task_is_told_at_once() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    fixture.create(&queue, 1).await;
    let id = fixture.finish_one(&queue, done()).await.id.cast_signed();
    fixture.sql("BEGIN; SELECT FROM pgmill.task_finished FOR UPDATE").await;
    assert!(matches!(fixture.retry(id).await, Retried::Locked));
    fixture.sql("ROLLBACK").await;
    assert_eq!(fixture.retried(id).await.payload, Some(Json::encode(&id).unwrap()));
}
