//! One row that somebody holds does not stop the others.

use pgmill_schema::Status;
use pgmill_store::{Ended, Sending};

use crate::support::{Fixture, done, ids, retry};

#[tokio::test]
async fn the_second_entry_for_a_task_in_a_batch_waits_for_its_own_turn() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    fixture.create(&queue, 1).await;
    let task = fixture.retain_one(&queue).await;
    let twice = [fixture.ending(&task, retry()), fixture.ending(&task, done())];
    let answers = fixture.store.release(&twice, Sending::First).await.unwrap();
    assert!(matches!(&answers[..], [Ended::Released(_), Ended::Locked]), "{answers:?}");
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
    assert!(matches!(&answers[..], [Ended::Released(_), Ended::Locked, Ended::Released(_)]), "{answers:?}");
    assert_eq!(fixture.status(locked).await, Some(Status::Retained), "nothing has changed");

    holder.batch_execute("ROLLBACK").await.unwrap();
    assert!(matches!(fixture.release(&tasks[1].task, done()).await, Ended::Released(_)));
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
    let answers = fixture.store.extend(&leases).await.unwrap();
    assert_eq!(answers[0], tasks[0].task.lease_until, "as it was");
    assert!(answers[1] > tasks[1].task.lease_until, "extended");
}
