//! Only the attempt that runs can be ended, and only by who holds it.

use pgmill_schema::{Claim, Status};
use pgmill_store::{Ended, Ending, Fence};

use crate::support::{Fixture, done, namespace, released};

#[tokio::test]
async fn another_attempt_than_the_running_one_ends_nothing() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let id = fixture.create(&queue, 1).await[0];
    let first = fixture.retain_one(&queue).await;
    fixture.lapse_leases().await;
    let second = fixture.retain_one(&queue).await;
    assert_eq!((first.attempt, second.attempt), (1, 2));

    assert!(matches!(fixture.release(&first, done()).await, Ended::Superseded));
    assert_eq!(fixture.status(id).await, Some(Status::Retained));
    assert!(matches!(fixture.release(&second, done()).await, Ended::Released { .. }));
}

#[tokio::test]
async fn the_same_attempt_of_another_holder_ends_nothing() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    fixture.create(&queue, 1).await;
    let task = fixture.retain_one(&queue).await;
    let claim = task.claim().unwrap();
    // As after a crash that lost a retain: the same task, counted the same, but handed out to another.
    let stranger = Claim::new(claim.id(), claim.attempt(), claim.holder() + 1);
    let ending = Ending {
        namespace: fixture.namespace.clone(),
        fence: Fence::Claim(stranger),
        outcome: done(),
        task: None,
    };
    assert!(matches!(fixture.end(ending).await, Ended::Superseded));
    assert!(matches!(fixture.release(&task, done()).await, Ended::Released { .. }));
}

#[tokio::test]
async fn a_task_cannot_be_ended_from_another_namespace() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let id = fixture.create(&queue, 1).await[0];
    let task = fixture.retain_one(&queue).await;
    for fence in [Fence::Claim(task.claim().unwrap()), Fence::Open(id)] {
        let ending = Ending { namespace: namespace("other"), fence, outcome: done(), task: None };
        assert!(matches!(fixture.end(ending).await, Ended::NoTask));
    }
    released(fixture.release(&task, done()).await);
    let ending =
        Ending { namespace: namespace("other"), fence: Fence::Open(id), outcome: done(), task: None };
    assert!(matches!(fixture.end(ending).await, Ended::NoTask), "nor seen to be finished");
}

#[tokio::test]
async fn an_open_fence_ends_whatever_attempt_runs_and_answers_the_payload() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let id = fixture.create(&queue, 1).await[0];
    let open = || Ending {
        namespace: fixture.namespace.clone(),
        fence: Fence::Open(id),
        outcome: done(),
        task: None,
    };
    assert!(matches!(fixture.end(open()).await, Ended::NotRetained), "it waits");
    fixture.retain_one(&queue).await;
    let task = released(fixture.end(open()).await);
    assert_eq!(task.status, Some(Status::Released));
    assert_eq!(task.payload.unwrap().decode::<i64>().unwrap(), id);
    assert!(matches!(fixture.end(open()).await, Ended::NotRetained), "it is finished");
}

#[tokio::test]
async fn a_closed_fence_does_not_send_the_payload_back() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    fixture.create(&queue, 1).await;
    let task = fixture.finish_one(&queue, done()).await;
    assert_eq!(task.payload, None);
}

#[tokio::test]
async fn a_task_that_never_was_is_no_task() {
    let fixture = Fixture::new().await;
    fixture.plain_queue().await;
    let ending = Ending {
        namespace: fixture.namespace.clone(),
        fence: Fence::Claim(Claim::new(4711, 1, 1)),
        outcome: done(),
        task: None,
    };
    assert!(matches!(fixture.end(ending).await, Ended::NoTask));
}

#[tokio::test]
async fn only_the_running_attempt_extends_its_lease() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    fixture.create(&queue, 2).await;
    let first = fixture.retain_one(&queue).await;
    fixture.lapse_leases().await;
    let again = fixture.retain_one(&queue).await;
    assert_eq!(first.id, again.id);
    let (lapsed, running) = (first.claim().unwrap(), again.claim().unwrap());
    let hour = 3_600_000_000;
    let answers = fixture
        .store
        .extend(&fixture.namespace, &[(running, Some(hour)), (lapsed, Some(hour))])
        .await
        .unwrap();
    assert!(answers[0] > again.lease_until, "{answers:?}");
    assert_eq!(answers[1], None);

    released(fixture.release(&again, done()).await);
    assert_eq!(
        fixture.store.extend(&fixture.namespace, &[(running, None)]).await.unwrap(),
        [None],
        "it is over"
    );
}

#[tokio::test]
async fn a_lease_is_extended_only_in_its_namespace() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    fixture.create(&queue, 1).await;
    let task = fixture.retain_one(&queue).await;
    let other = namespace("other");
    let answers = fixture.store.extend(&other, &[(task.claim().unwrap(), None)]).await.unwrap();
    assert_eq!(answers, [None]);
    let unchanged = fixture.task(task.id.cast_signed()).await.unwrap();
    assert_eq!(unchanged.lease_until, task.lease_until);
}

#[tokio::test]
async fn a_lease_is_never_extended_past_the_end_of_the_task() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    fixture.create(&queue, 1).await;
    let task = fixture.retain_one(&queue).await;
    let years = 100 * 365 * 86_400_000_000;
    let answers =
        fixture.store.extend(&fixture.namespace, &[(task.claim().unwrap(), Some(years))]).await.unwrap();
    assert_eq!(answers, [task.dies_at]);
}
