//! The sweep ends what nobody can retain any more.

use pgmill_schema::{AttemptOutcome, QueueMeta, Status};
use pgmill_store::{Ended, Sending, SweepPlace, Swept};

use crate::support::{Fixture, done};

impl Fixture {
    async fn sweep(&self) -> Swept {
        self.store.sweep(SweepPlace::START, 1000).await.unwrap()
    }
}

#[tokio::test]
async fn tasks_past_their_end_expire_and_others_stay() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let created = fixture.create(&queue, 3).await;
    let past = format!("UPDATE pgmill.task SET dies_at = now() - interval '1 s' WHERE id = {}", created[1]);
    fixture.sql(&past).await;
    let swept = fixture.sweep().await;
    assert_eq!((swept.expired, swept.failed, swept.place), (1, 0, None));
    assert_eq!(fixture.status(created[0]).await, Some(Status::New));
    assert_eq!(fixture.status(created[1]).await, Some(Status::Expired));
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn a_task_whose_lease_runs_is_left_to_who_holds_it_even_past_its_end() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let id = fixture.create(&queue, 1).await[0];
    fixture.retain_one(&queue).await;
    fixture.sql("UPDATE pgmill.task SET dies_at = now() - interval '1 s'").await;
    assert_eq!(fixture.sweep().await.expired, 0);
    fixture.lapse_leases().await;
    assert_eq!(fixture.sweep().await.expired, 1);
    let task = fixture.task(id).await.unwrap();
    assert_eq!(task.status, Some(Status::Expired));
    assert_eq!(task.attempts[0].outcome, AttemptOutcome::Lapsed);
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn a_lease_that_lapsed_on_the_last_attempt_fails_the_task() {
    let fixture = Fixture::new().await;
    let queue = fixture.queue(QueueMeta::new("plain").retries(2)).await;
    let id = fixture.create(&queue, 1).await[0];
    fixture.retain_one(&queue).await;
    fixture.lapse_leases().await;
    assert_eq!(fixture.sweep().await.failed, 0, "one attempt is left");
    fixture.retain_one(&queue).await;
    fixture.lapse_leases().await;
    assert_eq!(fixture.sweep().await.failed, 1);
    let task = fixture.task(id).await.unwrap();
    assert_eq!((task.status, task.retries), (Some(Status::Failed), 0));
    assert!(task.result.unwrap().as_str().contains("lapsed"), "it says why");
    assert_eq!(task.attempts.len(), 2);
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn tasks_of_a_queue_that_is_gone_are_passed_over() {
    let fixture = Fixture::new().await;
    let (gone, queue) = (fixture.queue(QueueMeta::new("gone")).await, fixture.plain_queue().await);
    fixture.create(&gone, 3).await;
    fixture.create(&queue, 1).await;
    fixture.sql("UPDATE pgmill.task SET dies_at = now() - interval '1 s'").await;
    fixture.store.delete_queue(&fixture.namespace, &gone).await.unwrap().unwrap();
    assert_eq!(fixture.sweep().await.expired, 1);
    assert_eq!(fixture.number("SELECT count(*) FROM pgmill.task").await, 3);
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn a_sweep_goes_on_from_the_place_it_reached() {
    let fixture = Fixture::new().await;
    let (a, b) = (fixture.queue(QueueMeta::new("a")).await, fixture.queue(QueueMeta::new("b")).await);
    let mut created = fixture.create(&a, 4).await;
    created.extend(fixture.create(&b, 4).await);
    fixture.sql("UPDATE pgmill.task SET dies_at = now() - interval '1 s' WHERE id % 2 = 0").await;
    let (mut place, mut expired, mut stretches) = (SweepPlace::START, 0, 0);
    loop {
        let swept = fixture.store.sweep(place, 3).await.unwrap();
        assert!(swept.expired <= 3);
        expired += swept.expired;
        stretches += 1;
        match swept.place {
            Some(next) => assert_ne!(std::mem::replace(&mut place, next), next),
            None => break,
        }
    }
    assert_eq!((expired, stretches), (4, 3), "eight tasks, by three");
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn a_sweep_passes_over_locked_rows() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let created = fixture.create(&queue, 2).await;
    fixture.sql("UPDATE pgmill.task SET dies_at = now() - interval '1 s'").await;
    let holder = fixture.lock_row(created[0]).await;
    assert_eq!(fixture.sweep().await.expired, 1);
    holder.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(fixture.sweep().await.expired, 1);
}

#[tokio::test]
async fn a_release_that_is_sent_again_does_not_take_the_end_by_the_sweep_for_its_own() {
    let fixture = Fixture::new().await;
    let queue = fixture.queue(QueueMeta::new("plain").retries(1)).await;
    fixture.create(&queue, 1).await;
    let task = fixture.retain_one(&queue).await;
    fixture.lapse_leases().await;
    assert_eq!(fixture.sweep().await.failed, 1);
    let ending = fixture.ending(&task, done());
    let again = async || fixture.store.release(&[&ending], Sending::Again).await.unwrap().remove(0);
    let ended = again().await;
    assert!(matches!(ended, Ended::NotRetained), "{ended:?}");
    fixture.store.clean_queue(&fixture.namespace, &queue, 1).await.unwrap();
    let ended = again().await;
    assert!(matches!(ended, Ended::NoTask), "{ended:?}");
}
