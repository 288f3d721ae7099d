//! Finished tasks are made live again.

use pgmill::{Outcome, RetryError, Status, TaskMeta};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, done, task, told};

#[tokio::test]
async fn a_finished_task_is_run_once_more_under_its_id() {
    let fixture = Fixture::with_queue().await;
    let created = fixture.create(task("x").priority(3)).await;
    fixture.finish(Outcome::failed(&"broken").unwrap()).await;
    let live = fixture.manager.retry_task(created.id).await.unwrap();
    assert_eq!((live.id, live.status, live.retries, live.attempt), (created.id, Some(Status::New), 3, 1));
    assert_eq!((live.priority, live.result, live.lease_until), (3, None, None));
    let twice = fixture.manager.retry_task(created.id).await;
    assert!(matches!(twice, Err(RetryError::NotFinished { status: Status::New, .. })), "{twice:?}");
    let running = fixture.retain().await;
    assert_eq!((running.id, running.attempt, &running.payload), (created.id, 2, &created.payload));
    let released = fixture.manager.release_task(&running, done()).await.unwrap();
    assert_eq!(released.status, Status::Released);
    let ended = fixture.manager.get_task(created.id).await.unwrap();
    assert_eq!(ended.attempts.len(), 1, "the history has the failure still");
    assert_eq!((fixture.count(Status::Failed).await, fixture.count(Status::Released).await), (0, 1));
}

#[tokio::test]
async fn what_is_not_there_or_has_not_ended_is_not_retried() {
    let fixture = Fixture::with_queue().await;
    let other = fixture.manager.with_namespace("other").unwrap();
    let id = fixture.create(task(1)).await.id;
    fixture.manager.cancel_task(id).await.unwrap();
    for answer in [
        fixture.manager.retry_task(0).await,
        fixture.manager.retry_task(u64::MAX).await,
        other.retry_task(id).await,
    ] {
        assert!(matches!(answer, Err(RetryError::NotFound { .. })), "{answer:?}");
    }
    fixture.manager.delete_queue("q").await.unwrap();
    let answer = fixture.manager.retry_task(id).await;
    assert!(matches!(answer, Err(RetryError::NotFound { .. })), "{answer:?}");
}

#[tokio::test]
async fn idle_workers_are_woken_by_a_retry_here_and_in_other_processes() {
    let fixture = Fixture::with_queue().await;
    let id = fixture.create(task(1)).await.id;
    fixture.manager.cancel_task(id).await.unwrap();
    let other = fixture.other_process().await;
    let mut here = fixture.manager.arrivals(&["q"]).unwrap();
    let mut there = other.arrivals(&["q"]).unwrap();
    let asleep = "SELECT count(*) FROM pgmill.waiter WHERE until > now()";
    let sleeping = async {
        pgmill_testkit::wait_until("both to sleep", crate::fixture::SOON, async || {
            let row = fixture.client.query_one(asleep, &[]).await.unwrap();
            row.get::<_, i64>(0) == 2
        })
        .await;
        fixture.manager.retry_task(id).await.unwrap();
    };
    tokio::join!(told(&mut here), told(&mut there), sleeping);
    assert_eq!(other.next_task("w", &["q"]).await.unwrap().unwrap().id, id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_retries_at_once_one_wins() {
    let fixture = Fixture::with_queue().await;
    let other = fixture.other_process().await;
    for n in 0..25 {
        let id = fixture.create(TaskMeta::json(&n).unwrap().key(format!("key {n}"))).await.id;
        fixture.finish(done()).await;
        let mut retries = JoinSet::new();
        for number in 0..6 {
            let manager = [&fixture.manager, &other][number % 2].clone();
            retries.spawn(async move { manager.retry_task(id).await });
        }
        let answers = retries.join_all().await;
        let won = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(won, 1, "{answers:?}");
        let lost = |answer: &&Result<_, _>| matches!(answer, Err(RetryError::NotFinished { .. }));
        assert_eq!(answers.iter().filter(lost).count(), 5, "{answers:?}");
        assert_eq!(fixture.count(Status::New).await, 1);
        fixture.finish(done()).await;
    }
    assert_eq!(fixture.count(Status::Released).await, 25);
}
