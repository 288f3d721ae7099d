//! Tasks are cancelled from outside.

use pgmill::{CancelError, Outcome, ReleaseError, Retain, Status};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, done, task};

#[tokio::test]
async fn a_waiting_and_a_retained_task_are_cancelled_and_their_worker_is_told() {
    let fixture = Fixture::with_queue().await;
    let (retained, waiting) = (fixture.create(task(1)).await, fixture.create(task(2)).await);
    let running = fixture.retain().await;
    assert_eq!(running.id, retained.id);
    for id in [retained.id, waiting.id] {
        let cancelled = fixture.manager.cancel_task(id).await.unwrap();
        assert_eq!((cancelled.id, cancelled.status), (id, Some(Status::Cancelled)));
        let twice = fixture.manager.cancel_task(id).await;
        assert!(matches!(twice, Err(CancelError::Finished { status: Status::Cancelled, .. })), "{twice:?}");
    }
    assert!(!fixture.manager.heartbeat(&running).await.unwrap());
    let released = fixture.manager.release_task(&running, done()).await;
    assert!(matches!(released, Err(ReleaseError::NotRetained { .. })), "{released:?}");
    assert_eq!((fixture.count(Status::Cancelled).await, fixture.count(Status::Retained).await), (2, 0));
}

#[tokio::test]
async fn an_id_that_no_task_has_is_not_found() {
    let fixture = Fixture::with_queue().await;
    let other = fixture.manager.with_namespace("other").unwrap();
    let id = fixture.create(task(1)).await.id;
    for answer in [
        fixture.manager.cancel_task(0).await,
        fixture.manager.cancel_task(u64::MAX).await,
        other.cancel_task(id).await,
    ] {
        assert!(matches!(answer, Err(CancelError::NotFound { .. })), "{answer:?}");
    }
    assert_eq!(fixture.manager.get_task(id).await.unwrap().status, Some(Status::New));
}

#[tokio::test]
async fn a_row_that_somebody_holds_is_waited_for_a_while() {
    let fixture = Fixture::with_queue().await;
    let (brief, long) = (fixture.create(task(1)).await, fixture.create(task(2)).await);
    fixture.sql(&format!("BEGIN; SELECT FROM pgmill.task WHERE id = {} FOR UPDATE", long.id)).await;
    let locked = fixture.manager.cancel_task(long.id).await;
    assert!(matches!(&locked, Err(error @ CancelError::Locked { .. }) if error.is_transient()), "{locked:?}");
    fixture.sql("ROLLBACK").await;

    fixture.sql(&format!("BEGIN; SELECT FROM pgmill.task WHERE id = {} FOR UPDATE", brief.id)).await;
    let cancelling = fixture.manager.cancel_task(brief.id);
    let letting_go = fixture.sql("SELECT pg_sleep(0.1); ROLLBACK");
    let (cancelled, ()) = tokio::join!(cancelling, letting_go);
    assert_eq!(cancelled.unwrap().status, Some(Status::Cancelled));
}

/// Of a release and a cancellation of the same attempt one wins, and the other is told how it ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_cancellation_and_a_release_at_once_one_wins() {
    const TASKS: usize = 200;
    let fixture = Fixture::with_queue().await;
    fixture.manager.create_tasks("q", (0..TASKS).map(task)).await.unwrap();
    let tasks = fixture.manager.next_tasks("w", &["q"], Retain::new().count(TASKS)).await.unwrap();
    let mut races = JoinSet::new();
    for task in tasks {
        let manager = fixture.manager.clone();
        races.spawn(async move {
            let id = task.id;
            let (cancelled, released) =
                tokio::join!(manager.cancel_task(id), manager.release_task(&task, Outcome::done_empty()));
            let status = manager.get_task(id).await.unwrap().status.unwrap();
            match (cancelled, released) {
                (Ok(_), Err(ReleaseError::NotRetained { .. })) => assert_eq!(status, Status::Cancelled),
                (Err(CancelError::Finished { status: told, .. }), Ok(_)) => {
                    assert_eq!((status, told), (Status::Released, Status::Released));
                }
                other => panic!("{other:?}"),
            }
            status
        });
    }
    let ends = races.join_all().await;
    let cancelled = ends.iter().filter(|status| **status == Status::Cancelled).count() as u64;
    assert_eq!(fixture.count(Status::Cancelled).await, cancelled);
    assert_eq!(fixture.count(Status::Released).await, TASKS as u64 - cancelled);
    assert_eq!(fixture.count(Status::Retained).await, 0);
}

/// A task that is being retained is cancelled all the same, and whoever got it learns it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_cancellation_and_a_retain_at_once_the_cancellation_holds() {
    const TASKS: usize = 300;
    let fixture = Fixture::with_queue().await;
    let created = fixture.manager.create_tasks("q", (0..TASKS).map(task)).await.unwrap();
    let other = fixture.other_process().await;
    let retain = || Retain::new().count(10);
    let mut taken = other.next_tasks("w", &["q"], retain()).await.unwrap();
    let mut cancelling = JoinSet::new();
    for task in &created {
        let (manager, id) = (fixture.manager.clone(), task.id);
        cancelling.spawn(async move { manager.cancel_task(id).await.unwrap() });
    }
    let cancelling = tokio::spawn(cancelling.join_all());
    while !cancelling.is_finished() {
        taken.extend(other.next_tasks("w", &["q"], retain()).await.unwrap());
    }
    cancelling.await.unwrap();
    for task in taken {
        let released = fixture.manager.release_task(&task, done()).await;
        assert!(matches!(released, Err(ReleaseError::NotRetained { .. })), "{released:?}");
    }
    assert_eq!(fixture.count(Status::Cancelled).await, TASKS as u64);
    for status in [Status::New, Status::Retained, Status::Released] {
        assert_eq!(fixture.count(status).await, 0, "{status}");
    }
}
