//! Who watches tasks change, and what they are told.

use std::sync::Arc;

use jiff::Timestamp;
use pgmill_schema::{Namespace, QueueMeta, Status, TaskEvent, seconds};
use pgmill_store::{Listener, News, Notice, SweepPlace, Told};

use crate::support::{Fixture, namespace, queue};

const ME: i64 = 1;
const OTHER: i64 = 2;

fn news(name: &str, id: u64) -> News {
    let event = TaskEvent {
        id,
        namespace: namespace(name),
        queue: queue("plain"),
        status: Status::Retained,
        attempt: 3,
        worker: Some("worker".to_owned()),
        at: Timestamp::from_microsecond(1_900_000_000_123_456).unwrap(),
    };
    News { namespace: namespace(name), events: vec![Arc::new(event)], lost: 2 }
}

async fn listener(fixture: &Fixture) -> Listener {
    let mut listener = Listener::connect(&fixture.database.options().listening().unwrap()).await.unwrap();
    listener.hear_events(true).await.unwrap();
    listener
}

/// What is told until now.
async fn told(listener: &mut Listener) -> Vec<Told> {
    let mut told = Vec::new();
    listener.test("that is all").await.unwrap();
    loop {
        match listener.next().await.unwrap() {
            Notice::Events(one) => told.push(one),
            Notice::Test(_) => return told,
            other => panic!("{other:?}"),
        }
    }
}

async fn watch(fixture: &Fixture, process: i64, names: &[&str]) {
    let names: Vec<Namespace> = names.iter().map(|name| namespace(name)).collect();
    fixture.store.watch(process, &names, seconds(30)).await.unwrap();
}

#[tokio::test]
async fn only_namespaces_that_another_process_watches_are_told_of() {
    let fixture = Fixture::new().await;
    let mut listener = listener(&fixture).await;
    let both = [news("app", 1), news("other", 2)];
    let tell = async |process| fixture.store.tell_watchers(process, &both).await.unwrap();
    assert_eq!(tell(ME).await, [], "nobody watches");

    watch(&fixture, ME, &["app"]).await;
    assert_eq!(tell(ME).await, [], "a process does not tell itself");
    assert_eq!(tell(OTHER).await, [namespace("app")]);
    let heard = told(&mut listener).await;
    let event = TaskEvent::clone(&both[0].events[0]);
    let expected = Told { from: Some(OTHER), namespace: namespace("app"), events: vec![event], lost: 2 };
    assert_eq!(heard, [expected]);

    watch(&fixture, ME, &["other"]).await;
    assert_eq!(tell(OTHER).await, [namespace("other")], "what is watched replaces what was");
    watch(&fixture, ME, &[]).await;
    assert_eq!(tell(OTHER).await, [], "nobody watches any more");
    watch(&fixture, ME, &["app"]).await;
    fixture.sql("UPDATE pgmill.watcher SET until = now()").await;
    assert_eq!(tell(OTHER).await, [], "whoever watched has not said so again");
}

#[tokio::test]
async fn whoever_only_asks_is_answered_and_tells_nothing() {
    let fixture = Fixture::new().await;
    let mut listener = listener(&fixture).await;
    watch(&fixture, ME, &["app", "other"]).await;
    let mut watched = fixture.store.tell_watchers(OTHER, &[]).await.unwrap();
    watched.sort_unstable();
    assert_eq!(watched, [namespace("app"), namespace("other")]);
    assert_eq!(told(&mut listener).await, []);
}

#[tokio::test]
async fn those_that_are_gone_are_forgotten() {
    let fixture = Fixture::new().await;
    watch(&fixture, OTHER, &["app"]).await;
    fixture.sql("UPDATE pgmill.watcher SET until = now() - interval '2 minutes'").await;
    watch(&fixture, ME, &["app"]).await;
    assert_eq!(fixture.number("SELECT count(*) FROM pgmill.watcher").await, 1);
}

#[tokio::test]
async fn a_listener_hears_of_changes_only_while_it_is_to() {
    let fixture = Fixture::new().await;
    watch(&fixture, ME, &["app"]).await;
    let mut listener = Listener::connect(&fixture.database.options().listening().unwrap()).await.unwrap();
    for hears in [false, true, false] {
        if hears != listener.hears_events() {
            listener.hear_events(hears).await.unwrap();
        }
        fixture.store.tell_watchers(OTHER, &[news("app", 1)]).await.unwrap();
        assert_eq!(told(&mut listener).await.len(), usize::from(hears));
    }
}

#[tokio::test]
async fn the_sql_function_tells_by_the_commit_if_its_namespace_is_watched() {
    let fixture = Fixture::new().await;
    fixture.plain_queue().await;
    let mut listener = listener(&fixture).await;
    watch(&fixture, ME, &["other"]).await;
    let create = "SELECT pgmill.create_task('app', 'plain', '1')";
    fixture.number(create).await;
    assert_eq!(told(&mut listener).await, [], "another namespace is watched");

    watch(&fixture, ME, &["app"]).await;
    fixture.sql("BEGIN").await;
    let id = fixture.number(create).await;
    assert_eq!(told(&mut listener).await, [], "it is not committed");
    fixture.sql("COMMIT").await;
    let heard = told(&mut listener).await;
    let task = fixture.task(id).await.unwrap();
    let event = TaskEvent {
        id: task.id,
        namespace: namespace("app"),
        queue: queue("plain"),
        status: Status::New,
        attempt: 0,
        worker: None,
        at: task.created_at,
    };
    assert_eq!(heard, [Told { from: None, namespace: namespace("app"), events: vec![event], lost: 0 }]);

    fixture.sql("BEGIN").await;
    fixture.number(create).await;
    fixture.sql("ROLLBACK").await;
    assert_eq!(told(&mut listener).await, []);
}

#[tokio::test]
async fn the_sweep_tells_of_what_it_ends_if_its_namespace_is_watched() {
    let fixture = Fixture::new().await;
    let plain = fixture.queue(QueueMeta::new("plain").retries(1)).await;
    let mut listener = listener(&fixture).await;
    let held = fixture.create(&plain, 1).await;
    fixture.retain_one(&plain).await;
    fixture.lapse_leases().await;
    let ids = fixture.create(&plain, 60).await;
    fixture.sql("UPDATE pgmill.task SET dies_at = now() - interval '1 s' WHERE lease_until IS NULL").await;
    watch(&fixture, ME, &["app"]).await;
    fixture.store.sweep(SweepPlace::START, 1_000).await.unwrap();
    let heard = told(&mut listener).await;
    assert!(heard.iter().all(|one| one.from.is_none() && one.lost == 0));
    let mut events: Vec<_> = heard.into_iter().flat_map(|one| one.events).collect();
    events.sort_by_key(|event| event.id);
    let failed = events.remove(0);
    assert_eq!((failed.id.cast_signed(), failed.status, failed.attempt), (held[0], Status::Failed, 1));
    assert_eq!(failed.worker.as_deref(), Some("worker"));
    assert_eq!(failed.at, fixture.task(held[0]).await.unwrap().attempts[0].ended_at);
    assert_eq!(events.iter().map(|event| event.id.cast_signed()).collect::<Vec<_>>(), ids);
    assert!(events.iter().all(|event| event.status == Status::Expired && event.worker.is_none()));

    fixture.create(&plain, 1).await;
    fixture.sql("UPDATE pgmill.task SET dies_at = now() - interval '1 s'").await;
    watch(&fixture, ME, &["other"]).await;
    assert_eq!(fixture.store.sweep(SweepPlace::START, 1_000).await.unwrap().expired, 1);
    assert_eq!(told(&mut listener).await, []);
}

#[tokio::test]
async fn of_more_than_a_thousand_that_a_sweep_ends_it_is_told_how_many_there_are() {
    let fixture = Fixture::new().await;
    let plain = fixture.plain_queue().await;
    fixture.create(&plain, 1_100).await;
    fixture.sql("UPDATE pgmill.task SET dies_at = now() - interval '1 s'").await;
    watch(&fixture, ME, &["app"]).await;
    let mut listener = listener(&fixture).await;
    fixture.store.sweep(SweepPlace::START, 10_000).await.unwrap();
    let heard = told(&mut listener).await;
    assert_eq!(heard.iter().map(|one| one.events.len()).sum::<usize>(), 1_000);
    assert_eq!(heard.iter().map(|one| one.lost).sum::<u64>(), 100);
}
