//! In which order tasks are retained, how many at a time, and for how long.

use std::time::Duration;

use pgmill::{QueueMeta, Retain, Status, minutes, seconds};
use pgmill_testkit::wait_until;

use crate::fixture::{Fixture, SOON, done, seconds_between, task, told};

#[tokio::test]
async fn tasks_come_by_priority_0_first_then_oldest_first() {
    let fixture = Fixture::with_queue().await;
    let mut expected = Vec::new();
    for priority in (0..=9).rev() {
        for _ in 0..2 {
            expected.push((priority, fixture.create(task(1).priority(priority)).await.id));
        }
    }
    expected.sort_unstable();
    let mut got = Vec::new();
    while let Some(taken) = fixture.manager.next_task("worker", &["q"]).await.unwrap() {
        got.push((taken.priority, taken.id));
    }
    assert_eq!(got, expected);
}

#[tokio::test]
async fn several_queues_are_one_line_by_priority_and_age() {
    let fixture = Fixture::with_queue().await;
    fixture.manager.register_queue(QueueMeta::new("other")).await.unwrap();
    fixture.manager.register_queue(QueueMeta::new("foreign")).await.unwrap();
    let mut expected = Vec::new();
    for queue in ["q", "other", "q", "other"] {
        expected.push(fixture.manager.create_task(queue, task(1)).await.unwrap().id);
    }
    fixture.manager.create_task("foreign", task(1)).await.unwrap();
    let first = fixture.manager.create_task("other", task(1).priority(0)).await.unwrap().id;
    expected.insert(0, first);
    let taken =
        fixture.manager.next_tasks("worker", &["other", "q"], Retain::new().count(100)).await.unwrap();
    let mut ids: Vec<u64> = taken.iter().map(|task| task.id).collect();
    assert_eq!(ids[0], first);
    ids.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn a_retain_takes_at_most_what_it_asks_for_and_at_most_1000() {
    let fixture = Fixture::with_queue().await;
    fixture.manager.create_tasks("q", (0..1_010).map(task)).await.unwrap();
    let retain =
        async |count| fixture.manager.next_tasks("w", &["q"], Retain::new().count(count)).await.unwrap();
    assert_eq!(retain(3).await.len(), 3);
    assert_eq!(retain(5_000).await.len(), 1_000);
    assert_eq!(retain(100).await.len(), 7);
}

#[tokio::test]
async fn a_lease_is_the_queues_unless_it_is_asked_for_and_never_past_the_ttl() {
    let fixture = Fixture::with(QueueMeta::new("q").lease(minutes(2)).ttl(minutes(10))).await;
    fixture.manager.create_tasks("q", (0..3).map(task)).await.unwrap();
    let lease = async |retain: Retain| {
        let taken = fixture.manager.next_tasks("worker", &["q"], retain).await.unwrap().remove(0);
        (seconds_between(taken.started_at.unwrap(), taken.lease_until.unwrap()), taken)
    };
    assert!((lease(Retain::new()).await.0 - 120.0).abs() < 1e-3);
    assert!((lease(Retain::new().lease(seconds(1))).await.0 - 1.0).abs() < 1e-3);
    let (_, taken) = lease(Retain::new().lease(minutes(60))).await;
    assert_eq!(taken.lease_until, taken.dies_at);
}

#[tokio::test]
async fn a_lease_is_extended_from_now_and_never_past_the_ttl() {
    let fixture = Fixture::with(QueueMeta::new("q").lease(minutes(2)).ttl(minutes(10))).await;
    fixture.create(task(1)).await;
    let taken = fixture.retain().await;
    let claim = taken.claim().unwrap();
    let extend = async |lease: Option<Duration>| {
        let until = fixture.manager.extend_leases(&[claim], lease).await.unwrap()[0].unwrap();
        assert_eq!(fixture.manager.get_task(taken.id).await.unwrap().lease_until, Some(until));
        (seconds_between(taken.started_at.unwrap(), until), until)
    };
    assert!((300.0..330.0).contains(&extend(Some(minutes(5))).await.0));
    assert!((120.0..150.0).contains(&extend(None).await.0), "the queue's lease");
    assert_eq!(Some(extend(Some(minutes(60))).await.1), taken.dies_at);
}

#[tokio::test]
async fn a_lapsed_lease_can_be_extended_until_somebody_else_has_the_task() {
    let fixture = Fixture::with_queue().await;
    fixture.create(task(1)).await;
    let claim = fixture.retain().await.claim().unwrap();
    fixture.lapse_leases().await;
    assert!(fixture.manager.extend_leases(&[claim], None).await.unwrap()[0].is_some());
    assert!(fixture.manager.next_task("worker", &["q"]).await.unwrap().is_none());
    fixture.lapse_leases().await;
    let again = fixture.retain().await.claim().unwrap();
    let extended = fixture.manager.extend_leases(&[claim, again], None).await.unwrap();
    assert_eq!((extended[0], extended[1].is_some()), (None, true), "the first is lost");
    fixture.manager.release_task(again, done()).await.unwrap();
    assert_eq!(fixture.manager.extend_leases(&[again], None).await.unwrap(), [None]);
    assert!(fixture.manager.extend_leases(&[], None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_retain_whose_caller_goes_away_gives_its_task_back() {
    let fixture = Fixture::with(QueueMeta::new("q").retries(1)).await;
    let created = fixture.create(task(1)).await;
    let manager = fixture.manager.clone();
    let retaining = tokio::spawn(async move { manager.next_task("gone", &["q"]).await });
    tokio::task::yield_now().await;
    retaining.abort();
    drop(retaining.await);
    wait_until("the task to be free", SOON, async || fixture.status(&created).await == Status::New).await;
    let taken = fixture.retain().await;
    assert_eq!((taken.id, taken.retries), (created.id, 1));
}

#[tokio::test]
async fn waiting_for_a_task_ends_when_one_comes() {
    let fixture = Fixture::deaf().await;
    let mut arrivals = fixture.manager.arrivals(&["q"]).unwrap();
    assert!(fixture.manager.next_task("worker", &["q"]).await.unwrap().is_none());
    fixture.create(task(1)).await;
    told(&mut arrivals).await;
    assert!(fixture.manager.next_task("worker", &["q"]).await.unwrap().is_some());
}
