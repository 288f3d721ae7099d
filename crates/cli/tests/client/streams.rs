//! What the server tells as it happens.

use futures_util::StreamExt as _;
use pgmill::{EventFilter, Outcome, QueueMeta, Status, TaskMeta, TickerMeta, seconds};
use pgmill_client::Change;

use crate::Fixture;

#[tokio::test]
async fn changes_of_a_task_are_told_as_they_happen() {
    let Fixture { client, manager, .. } = &Fixture::new().await;
    manager.register_queue(QueueMeta::new("emails")).await.unwrap();
    let mut changes = client.events(&EventFilter::new().queue("emails".parse().unwrap()));
    assert!(matches!(changes.next().await, Some(Ok(Change::Listening))));
    let task = client.create_task("emails", &TaskMeta::json(&1).unwrap()).await.unwrap();
    let held = client.retain_task("w", &["emails"]).await.unwrap().unwrap();
    client.release_task(&held, &Outcome::done(&2).unwrap()).await.unwrap();
    for status in [Status::New, Status::Retained, Status::Released] {
        let Some(Ok(Change::Task(event))) = changes.next().await else { panic!("no change to {status}") };
        assert_eq!((event.id, event.status), (task.id, status));
    }
}

#[tokio::test]
async fn ticks_come_as_they_are_due() {
    let Fixture { client, .. } = &Fixture::new().await;
    client.create_ticker(&TickerMeta::new("often").interval(seconds(1))).await.unwrap();
    let mut ticks = client.ticks();
    let first = ticks.next().await.unwrap().unwrap();
    let second = ticks.next().await.unwrap().unwrap();
    assert_eq!(first.ticker.as_str(), "often");
    assert!(second.timestamp > first.timestamp, "{first:?}, {second:?}");
}
