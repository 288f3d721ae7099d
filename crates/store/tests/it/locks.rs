//! One row that somebody holds does not stop the others.

use std::time::Duration;

use pgmill_schema::{QueueMeta, Status};
use pgmill_store::{Ended, Sending, Store, StoreError};
use pgmill_testkit::wait_until;

use crate::support::{Fixture, done, ids, retry};

#[tokio::test]
async fn the_second_entry_for_a_task_in_a_batch_waits_for_its_own_turn() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    fixture.create(&queue, 1).await;
    let task = fixture.retain_one(&queue).await;
    let twice = [fixture.ending(&task, retry()), fixture.ending(&task, done())];
    let answers = fixture.store.release(&twice, Sending::First).await.unwrap();
    assert!(matches!(&answers[..], [Ended::Released { .. }, Ended::Locked]), "{answers:?}");
    fixture.assert_counts_are_true().await;

    let alone = fixture.end(fixture.ending(&task, done())).await;
    assert!(matches!(alone, Ended::NotRetained), "the first entry has ended the attempt: {alone:?}");
}

#[tokio::test]
async fn a_release_of_a_locked_row_is_answered_as_locked_and_the_others_go_through() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    fixture.create(&queue, 3).await;
    let tasks = fixture.retain(&queue, 3).await;
    let locked = tasks[1].task.id.cast_signed();
    let holder = fixture.lock_row(locked).await;
    let endings: Vec<_> = tasks.iter().map(|retained| fixture.ending(&retained.task, done())).collect();
    let answers = fixture.store.release(&endings, Sending::First).await.unwrap();
    assert!(
        matches!(&answers[..], [Ended::Released { .. }, Ended::Locked, Ended::Released { .. }]),
        "{answers:?}"
    );
    assert_eq!(fixture.status(locked).await, Some(Status::Retained), "nothing has changed");

    holder.batch_execute("ROLLBACK").await.unwrap();
    assert!(matches!(fixture.release(&tasks[1].task, done()).await, Ended::Released { .. }));
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn a_retain_passes_over_locked_rows() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let created = fixture.create(&queue, 3).await;
    let holder = fixture.lock_row(created[0]).await;
    assert_eq!(ids(&fixture.retain(&queue, 2).await), created[1..]);
    holder.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(ids(&fixture.retain(&queue, 2).await), created[..1]);
}

#[tokio::test]
async fn retains_at_once_share_the_tasks_out() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let created = fixture.create(&queue, 200).await;
    let mut taken = Vec::new();
    while taken.len() < created.len() {
        let (a, b, c, d) = tokio::join!(
            fixture.retain(&queue, 20),
            fixture.retain(&queue, 20),
            fixture.retain(&queue, 20),
            fixture.retain(&queue, 20),
        );
        taken.extend([a, b, c, d].iter().flat_map(|retained| ids(retained)));
    }
    taken.sort_unstable();
    assert_eq!(taken, created, "each task once");
}

#[tokio::test]
async fn an_extension_of_a_locked_row_does_not_wait_and_tells_that_the_lease_still_runs() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    fixture.create(&queue, 2).await;
    let tasks = fixture.retain(&queue, 2).await;
    let _holder = fixture.lock_row(tasks[0].task.id.cast_signed()).await;
    let leases: Vec<_> =
        tasks.iter().map(|retained| (retained.task.claim().unwrap(), Some(3_000_000_000))).collect();
    let answers = fixture.store.extend(&fixture.namespace, &leases).await.unwrap();
    assert_eq!(answers[0], tasks[0].task.lease_until, "as it was");
    assert!(answers[1] > tasks[1].task.lease_until, "extended");
}

#[tokio::test]
async fn a_deletion_that_waits_does_not_stop_those_who_enqueue() {
    let fixture = Fixture::new().await;
    let (doomed, other) = (fixture.plain_queue().await, fixture.queue(QueueMeta::new("other")).await);
    let mut client = fixture.database.connect().await;
    let transaction = client.transaction().await.unwrap();
    Store::enqueue_in(&transaction, &fixture.new_task(&doomed).await).await.unwrap();

    let deletion = tokio::spawn({
        let (store, namespace, doomed) = (fixture.store.clone(), fixture.namespace.clone(), doomed.clone());
        async move { store.delete_queue(&namespace, &doomed).await }
    });
    wait_until("the deletion waits", Duration::from_secs(10), async || {
        let waiting = "select count(*) from pg_stat_activity where query like '%delete_queue_v1%' \
            and state = 'active' and pid <> pg_backend_pid()";
        fixture.number(waiting).await > 0
    })
    .await;
    let mut both = fixture.new_tasks(&doomed, 2).await;
    both[1].queue = other.clone();
    // It would have to wait for as long as the transaction is open if the deletion stood in line all the time.
    fixture.create_all(&both).await;

    transaction.rollback().await.unwrap();
    assert!(deletion.await.unwrap().unwrap().is_some());
    assert!(fixture.store.get_queue(&fixture.namespace, &doomed).await.unwrap().is_none());
}

#[tokio::test]
async fn a_transaction_with_an_old_snapshot_does_not_create_tasks_in_a_queue_that_is_gone() {
    for isolation in ["repeatable read", "serializable"] {
        let fixture = Fixture::new().await;
        let queue = fixture.plain_queue().await;
        let task = fixture.new_task(&queue).await;
        let client = fixture.database.connect().await;
        client.batch_execute(&format!("begin isolation level {isolation}; select 1")).await.unwrap();
        fixture.store.delete_queue(&fixture.namespace, &queue).await.unwrap();
        let created = Store::enqueue_in(&client, &task).await;
        assert!(
            matches!(&created, Err(StoreError::Contended(_))),
            "{isolation}: the transaction is to be tried again: {created:?}"
        );
        assert_eq!(created.unwrap_err().sqlstate(), Some("40001"));
    }
}
