//! A statement whose answer was lost is sent again, and finds out what the first sending did.

use std::time::Duration;

use pgmill_schema::{QueueMeta, Status};
use pgmill_store::{Ended, Enqueued, Sending, StoreError};
use pgmill_testkit::wait_until;

use crate::support::{Fixture, done, retry};

#[tokio::test]
async fn a_release_sent_again_after_its_commit_is_settled_with_the_status_of_then() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    fixture.create(&queue, 2).await;
    for (outcome, status) in [(done(), Status::Released), (retry(), Status::Retry)] {
        let task = fixture.retain_one(&queue).await;
        let ending = [fixture.ending(&task, outcome)];
        let first = fixture.store.release(&ending, Sending::First).await.unwrap();
        assert!(matches!(&first[..], [Ended::Released { .. }]), "{first:?}");
        let again = fixture.store.release(&ending, Sending::Again).await.unwrap();
        assert!(matches!(&again[..], [Ended::Settled(settled)] if *settled == status), "{again:?}");
    }
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn a_release_sent_again_is_settled_also_where_no_row_was_kept() {
    let fixture = Fixture::new().await;
    let queue = fixture.queue(QueueMeta::new("forgetful").retention(Duration::ZERO)).await;
    let id = fixture.create(&queue, 1).await[0];
    let task = fixture.retain_one(&queue).await;
    let ending = [fixture.ending(&task, done())];
    fixture.store.release(&ending, Sending::First).await.unwrap();
    assert_eq!(fixture.status(id).await, None);
    let again = fixture.store.release(&ending, Sending::Again).await.unwrap();
    assert!(matches!(again[..], [Ended::Settled(Status::Released)]), "{again:?}");
}

#[tokio::test]
async fn a_release_sent_again_that_was_not_committed_ends_the_attempt() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    fixture.create(&queue, 1).await;
    let task = fixture.retain_one(&queue).await;
    let again = fixture.store.release(&[fixture.ending(&task, done())], Sending::Again).await.unwrap();
    assert!(matches!(again[..], [Ended::Released { .. }]), "{again:?}");
}

#[tokio::test]
async fn an_enqueue_sent_again_creates_what_the_first_sending_did_not() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let committed = fixture.new_tasks(&queue, 3).await;
    fixture.create_all(&committed).await;
    let again = fixture.store.enqueue(&committed, Sending::Again).await.unwrap();
    assert_eq!(again, [Enqueued::Settled; 3]);

    let lost = fixture.new_tasks(&queue, 3).await;
    let again = fixture.store.enqueue(&lost, Sending::Again).await.unwrap();
    assert!(again.iter().all(|answer| matches!(answer, Enqueued::Created { .. })), "{again:?}");
    assert_eq!(fixture.number("SELECT count(*) FROM pgmill.task").await, 6);
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn an_enqueue_sent_again_is_settled_also_for_tasks_that_have_finished_since() {
    for retention in [Duration::from_secs(86_400), Duration::ZERO] {
        let fixture = Fixture::new().await;
        let queue = fixture.queue(QueueMeta::new("plain").retention(retention)).await;
        let tasks = fixture.new_tasks(&queue, 2).await;
        fixture.create_all(&tasks).await;
        fixture.finish_one(&queue, done()).await;
        let again = fixture.store.enqueue(&tasks, Sending::Again).await.unwrap();
        assert_eq!(again, [Enqueued::Settled; 2], "retention {retention:?}");
        assert_eq!(fixture.number("SELECT count(*) FROM pgmill.task").await, 1);
    }
}

#[tokio::test]
async fn the_first_sending_of_an_enqueue_writes_nothing_once_a_later_one_has_settled_it() {
    for retention in [Duration::from_secs(86_400), Duration::ZERO] {
        for (finish, count) in [(false, 2), (true, 2), (false, 1), (true, 1)] {
            let fixture = Fixture::new().await;
            let queue = fixture.queue(QueueMeta::new("plain").retention(retention)).await;
            let mut tasks = fixture.new_tasks(&queue, count).await;
            if let Some(second) = tasks.get_mut(1) {
                second.key = Some("key".to_owned());
            }
            fixture.store.enqueue(&tasks, Sending::Again).await.unwrap();
            if finish {
                for _ in &tasks {
                    fixture.finish_one(&queue, done()).await;
                }
            }
            let before = fixture.number("SELECT count(*) FROM pgmill.task").await;
            let late = fixture.store.enqueue(&tasks, Sending::First).await;
            assert!(matches!(&late, Err(StoreError::Contended(_))), "{late:?}");
            assert_eq!(fixture.number("SELECT count(*) FROM pgmill.task").await, before);
            fixture.assert_counts_are_true().await;
        }
    }
}

#[tokio::test]
async fn a_second_sending_waits_for_a_first_that_is_under_way() {
    tokio::join!(second_sending_waits(1), second_sending_waits(5));
}

async fn second_sending_waits(count: i32) {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let tasks = fixture.new_tasks(&queue, count).await;
    let waiting = async |count: i64| {
        wait_until("a sending to wait", Duration::from_secs(10), async || {
            let here = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                WHERE NOT l.granted AND d.datname = current_database()";
            fixture.number(here).await == count
        })
        .await;
    };
    let send = |sending| {
        let (store, tasks) = (fixture.store.clone(), tasks.clone());
        tokio::spawn(async move { store.enqueue(&tasks, sending).await.unwrap() })
    };
    // Stops the first sending short of its rows.
    let holder = fixture.database.connect().await;
    holder.batch_execute("BEGIN; LOCK TABLE pgmill.task_count_delta IN SHARE MODE").await.unwrap();
    let first = send(Sending::First);
    waiting(1).await;
    let again = send(Sending::Again);
    waiting(2).await;
    holder.batch_execute("ROLLBACK").await.unwrap();
    assert!(first.await.unwrap().iter().all(|answer| matches!(answer, Enqueued::Created { .. })));
    let again = again.await.unwrap();
    assert!(again.iter().all(|answer| *answer == Enqueued::Settled), "{again:?}");
    assert_eq!(fixture.number("SELECT count(*) FROM pgmill.task").await, i64::from(count));
}

#[tokio::test]
async fn an_enqueue_and_a_release_sent_again_are_settled_also_once_the_task_was_cleaned_away() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let created = fixture.new_tasks(&queue, 1).await;
    fixture.create_all(&created).await;
    let task = fixture.retain_one(&queue).await;
    let ending = [fixture.ending(&task, done())];
    fixture.store.release(&ending, Sending::First).await.unwrap();
    assert_eq!(fixture.store.clean_queue(&fixture.namespace, &queue, 10).await.unwrap().len(), 1);

    assert_eq!(fixture.store.enqueue(&created, Sending::Again).await.unwrap(), [Enqueued::Settled]);
    assert!(fixture.retain(&queue, 1).await.is_empty(), "it was not created a second time");
    let again = fixture.store.release(&ending, Sending::Again).await.unwrap();
    assert!(matches!(again[..], [Ended::Settled(Status::Released)]), "{again:?}");
}
