//! The shorter way to end what is done ends exactly what the longer one would.

use std::time::Duration;

use pgmill_schema::{Outcome, QueueMeta, QueueName, Status, Task};
use pgmill_store::{Ended, Ending, Retained};

use crate::support::{Fixture, done, namespace, released};

/// Endings of what was retained, done, whose task is at hand.
fn plain(fixture: &Fixture, retained: &[Retained]) -> Vec<Ending> {
    let plain = |task: &Task| Ending {
        task: Some(Box::new(task.clone())),
        ..fixture.ending(task, Outcome::done(&task.id).unwrap())
    };
    retained.iter().map(|one| plain(&one.task)).collect()
}

async fn retained(fixture: &Fixture, queue: &QueueName, count: i32) -> Vec<Retained> {
    fixture.create(queue, count).await;
    let retained = fixture.retain(queue, count).await;
    assert_eq!(retained.len(), usize::try_from(count).unwrap());
    retained
}

#[tokio::test]
async fn only_what_is_done_by_who_has_the_task_in_hand_is_plain() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let task = retained(&fixture, &queue, 1).await.remove(0).task;
    let with_task = |outcome| Ending { task: Some(Box::new(task.clone())), ..fixture.ending(&task, outcome) };
    assert!(with_task(done()).is_plain());
    assert!(!fixture.ending(&task, done()).is_plain());
    assert!(!with_task(Outcome::GiveBack).is_plain());
    assert!(!Ending { fence: pgmill_store::Fence::Open(1), ..with_task(done()) }.is_plain());
}

#[tokio::test]
async fn what_is_done_is_recorded_as_by_a_release_and_its_holder_can_tell_what_became_of_it() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let tasks = retained(&fixture, &queue, 3).await;
    let (longer, shorter) = (&tasks[0].task, &tasks[1..]);
    let expected = released(fixture.release(longer, Outcome::done(&longer.id).unwrap()).await);

    let endings = plain(&fixture, shorter);
    let (ended_at, done) = fixture.store.release_done(&endings).await.unwrap();
    assert_eq!(done, [true, true]);
    for ending in endings {
        let stored = fixture.task(ending.fence.id()).await.unwrap();
        let Ended::Released { task, .. } = Ended::done(ending.task.unwrap(), &ending.outcome, ended_at)
        else {
            panic!("it is released");
        };
        assert_eq!(*task, stored, "what its holder is told is what was stored");
        let as_expected = Task { id: stored.id, payload: expected.payload.clone(), ..stored.clone() };
        let but_for_times = Task {
            result: as_expected.result.clone(),
            started_at: as_expected.started_at,
            finished_at: as_expected.finished_at,
            created_at: as_expected.created_at,
            id: stored.id,
            ..expected.clone()
        };
        assert_eq!(as_expected, but_for_times);
    }
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn an_attempt_that_is_over_is_left_to_the_longer_way_and_the_others_are_done() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let tasks = retained(&fixture, &queue, 3).await;
    fixture.lapse_leases().await;
    let superseded = fixture.retain(&queue, 1).await.remove(0).task;
    assert_eq!(superseded.id, tasks[0].task.id);
    let (_, done) = fixture.store.release_done(&plain(&fixture, &tasks)).await.unwrap();
    assert_eq!(done, [false, true, true]);
    assert_eq!(
        fixture.status(superseded.id.cast_signed()).await,
        Some(Status::Retained),
        "it is another's now"
    );
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn a_task_that_stands_twice_in_a_batch_is_done_once() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let tasks = retained(&fixture, &queue, 1).await;
    let twice = [plain(&fixture, &tasks), plain(&fixture, &tasks)].concat();
    let (_, done) = fixture.store.release_done(&twice).await.unwrap();
    assert_eq!(done.iter().filter(|done| **done).count(), 1, "{done:?}");
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn a_queue_without_retention_keeps_nothing_and_the_release_is_known_all_the_same() {
    let fixture = Fixture::new().await;
    let kept = fixture.plain_queue().await;
    let queue = fixture.queue(QueueMeta::new("brief").retention(Duration::ZERO)).await;
    let mut tasks = retained(&fixture, &queue, 2).await;
    tasks.extend(retained(&fixture, &kept, 1).await);
    let endings = plain(&fixture, &tasks);
    let (_, done) = fixture.store.release_done(&endings).await.unwrap();
    assert_eq!(done, [true, true, true]);
    let again = fixture.store.release(&endings, pgmill_store::Sending::Again).await.unwrap();
    assert!(matches!(again[0], Ended::Settled(Status::Released)), "{again:?}");
    assert_eq!(fixture.status(endings[0].fence.id()).await, None);
    assert_eq!(fixture.status(endings[2].fence.id()).await, Some(Status::Released));
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn a_row_that_somebody_holds_declines_the_batch_and_nothing_has_changed() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let tasks = retained(&fixture, &queue, 3).await;
    let held = fixture.lock_row(tasks[1].task.id.cast_signed()).await;
    let endings = plain(&fixture, &tasks);
    let declined = fixture.store.release_done(&endings).await.unwrap_err();
    assert_eq!(declined.sqlstate(), Some("55P03"), "{declined}");
    for task in &tasks {
        assert_eq!(fixture.status(task.task.id.cast_signed()).await, Some(Status::Retained));
    }
    held.batch_execute("ROLLBACK").await.unwrap();
    let (_, done) = fixture.store.release_done(&endings).await.unwrap();
    assert_eq!(done, [true, true, true]);
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn a_task_of_another_namespace_or_of_a_queue_that_is_gone_is_not_done() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let tasks = retained(&fixture, &queue, 2).await;
    let endings = plain(&fixture, &tasks);
    let stranger: Vec<Ending> =
        endings.iter().cloned().map(|ending| Ending { namespace: namespace("other"), ..ending }).collect();
    let declined = fixture.store.release_done(&stranger).await.unwrap_err();
    assert_eq!(declined.sqlstate(), Some("23000"), "{declined}");
    for task in &tasks {
        assert_eq!(fixture.status(task.task.id.cast_signed()).await, Some(Status::Retained));
    }
    fixture.store.delete_queue(&fixture.namespace, &queue).await.unwrap();
    assert!(fixture.store.release_done(&endings).await.is_err());
}

#[tokio::test]
async fn of_a_batch_over_several_namespaces_those_of_the_first_one_are_done() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let tasks = retained(&fixture, &queue, 3).await;
    let mut endings = plain(&fixture, &tasks);
    endings[1].namespace = namespace("other");
    let (_, done) = fixture.store.release_done(&endings).await.unwrap();
    assert_eq!(done, [true, false, true]);
    assert_eq!(fixture.status(tasks[1].task.id.cast_signed()).await, Some(Status::Retained));
    fixture.assert_counts_are_true().await;
}
