//! A task that is retained fenced is released by whoever has its claim, and by nobody else.

use std::collections::HashSet;

use pgmill::{Claim, Outcome, ReleaseError, Retain, Status};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, done, task};
use crate::scene::{QUEUE, Scene, create};

#[tokio::test]
async fn a_fenced_task_is_released_by_its_claim_and_not_by_its_id() {
    let fixture = Fixture::with_queue().await;
    fixture.manager.create_tasks("q", (0..2).map(task)).await.unwrap();
    let fenced = fixture.manager.next_tasks("w", &["q"], Retain::new().fenced()).await.unwrap().remove(0);
    let plain = fixture.manager.next_task("w", &["q"]).await.unwrap().unwrap();
    let by_id = fixture.manager.release_task(fenced.id, done()).await;
    assert!(matches!(by_id, Err(ReleaseError::LeaseRequired { id }) if id == fenced.id), "{by_id:?}");
    assert_eq!(fixture.status(&fenced).await, Status::Retained);
    assert!(fixture.manager.heartbeat(&fenced).await.unwrap());
    let claim: Claim = fenced.claim().unwrap();
    assert_eq!(fixture.manager.release_task(claim, done()).await.unwrap().status, Status::Released);
    assert_eq!(fixture.manager.release_task(plain.id, done()).await.unwrap().status, Status::Released);
}

#[tokio::test]
async fn a_fenced_task_whose_caller_went_away_is_given_back() {
    let scene = Scene::new().await;
    create(&scene.manager, 1).await;
    scene.instrument("retain_one_v1", "PERFORM pg_sleep(0.05);").await;
    let retain = scene.manager.next_tasks("w", &[QUEUE], Retain::new().fenced());
    assert!(tokio::time::timeout(std::time::Duration::from_millis(20), retain).await.is_err());
    pgmill_testkit::wait_until("it to be given back", crate::scene::LIMIT, async || {
        scene.number("select count(*) from pgmill.task where lease_until is null and attempt = 1").await == 1
    })
    .await;
}

#[tokio::test]
async fn fenced_and_plain_retains_share_statements() {
    let scene = Scene::new().await;
    create(&scene.manager, 40).await;
    scene.count_calls("retain_one_v1").await;
    let mut callers = JoinSet::new();
    for number in 0..40 {
        let manager = scene.manager.clone();
        callers.spawn(async move {
            let retain = if number % 2 == 0 { Retain::new().fenced() } else { Retain::new() };
            let task = manager.next_tasks("w", &[QUEUE], retain).await.unwrap().remove(0);
            let by_id = manager.release_task(task.id, Outcome::done_empty()).await;
            assert_eq!(by_id.is_err(), number % 2 == 0, "{by_id:?}");
            task.id
        });
    }
    let taken: HashSet<u64> = callers.join_all().await.into_iter().collect();
    assert_eq!(taken.len(), 40);
    assert!(scene.calls().await <= 5, "{} statements", scene.calls().await);
}
