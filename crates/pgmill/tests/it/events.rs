//! The feed of changes of tasks: what whoever watches is told, by whom, in which order, and what it costs.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use pgmill::{
    EventFilter, EventItem, Events, Manager, Outcome, QueueMeta, QueueName, Retain, Status, Task, TaskEvent,
    TaskMeta, TickerMeta, seconds,
};
use pgmill_testkit::wait_until;
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, SOON, done, retry, task};
use crate::scene;

/// How soon a listener is back once nothing is in its way, and has said so to others.
const BACK_WITHIN: Duration = Duration::from_secs(20);

async fn item(events: &mut Events) -> EventItem {
    let next = tokio::time::timeout(SOON, events.next()).await.expect("something to be told");
    next.expect("it goes on")
}

async fn event(events: &mut Events) -> TaskEvent {
    match item(events).await {
        EventItem::Task(event) => event,
        other => panic!("{other:?}"),
    }
}

async fn told(events: &mut Events, count: usize) -> Vec<TaskEvent> {
    let mut told = Vec::new();
    while told.len() < count {
        told.push(event(events).await);
    }
    told
}

/// What is told until this task is told of as created.
async fn told_until(events: &mut Events, last: &Task) -> Vec<TaskEvent> {
    let mut told = Vec::new();
    loop {
        let next = event(events).await;
        if (next.id, next.status) == (last.id, Status::New) {
            return told;
        }
        told.push(next);
    }
}

/// Everything that changes in the namespace, by whatever process.
async fn everything(manager: &Manager) -> Events {
    let events = manager.events(EventFilter::new());
    assert!(tokio::time::timeout(SOON, events.ready()).await.expect("to be told by others"));
    assert!(events.is_complete());
    events
}

fn statuses(told: &[TaskEvent]) -> Vec<(Status, u32)> {
    told.iter().map(|event| (event.status, event.attempt)).collect()
}

/// A life with every way an attempt can end and go on, whose steps these processes take in turns.
async fn live(fixture: &Fixture, processes: &[&Manager]) -> u64 {
    let mut turns = processes.iter().cycle();
    let mut next = || turns.next().unwrap();
    let created = next().create_task("q", task(1)).await.unwrap();
    for outcome in [retry(), Outcome::GiveBack, Outcome::Snooze(seconds(60)), done()] {
        fixture.skip_pauses().await;
        let (retaining, mut found) = (next(), None);
        wait_until("a task to retain", SOON, async || {
            found = retaining.next_task("worker", &["q"]).await.unwrap();
            found.is_some()
        })
        .await;
        let held = found.unwrap();
        assert_eq!(held.id, created.id);
        next().release_task(&held, outcome).await.unwrap();
    }
    created.id
}

/// What is told of it.
const LIFE: [(Status, u32); 9] = [
    (Status::New, 0),
    (Status::Retained, 1),
    (Status::Retry, 1),
    (Status::Retained, 2),
    (Status::Retry, 2),
    (Status::Retained, 3),
    (Status::Retry, 3),
    (Status::Retained, 4),
    (Status::Released, 4),
];

#[tokio::test]
async fn every_change_of_a_life_is_told_once_and_in_order() {
    let fixture = Fixture::with_queue().await;
    let mut events = fixture.manager.events(EventFilter::new());
    let id = live(&fixture, &[&fixture.manager]).await;
    let told = told(&mut events, LIFE.len()).await;
    assert_eq!(statuses(&told), LIFE);
    assert!(told.iter().all(|event| event.id == id && event.queue.as_str() == "q"));
    assert!(told.iter().all(|event| event.namespace.as_str() == "app"));
    assert!(told.is_sorted_by_key(|event| event.at), "{told:?}");
    let task = fixture.manager.get_task(id).await.unwrap();
    assert_eq!((told[0].at, told[0].worker.as_deref()), (task.created_at, None));
    assert_eq!(told[2].at, task.attempts[0].ended_at);
    assert_eq!((Some(told[7].at), told[7].worker.as_deref()), (task.started_at, Some("worker")));
    assert_eq!((Some(told[8].at), told[8].worker.as_deref()), (task.finished_at, Some("worker")));

    let last = fixture.create(self::task(2)).await;
    assert_eq!(told_until(&mut events, &last).await, [], "each only once");
}

#[tokio::test]
async fn a_life_in_two_processes_is_told_once_to_both_and_to_a_third() {
    let fixture = Fixture::with_queue().await;
    let (other, third) = (fixture.other_process().await, fixture.other_process().await);
    let mut all = [everything(&fixture.manager).await, everything(&other).await, everything(&third).await];
    let id = live(&fixture, &[&fixture.manager, &other]).await;
    let last = fixture.create(task(2)).await;
    for events in &mut all {
        let mut told = told_until(events, &last).await;
        // A machine that is busy enough delays what one process tells by more than is held for it.
        told.sort_by_key(|event| event.at);
        assert_eq!(statuses(&told), LIFE);
        assert!(told.iter().all(|event| event.id == id));
    }
}

#[tokio::test]
async fn tasks_that_fail_are_cancelled_or_expire_are_told_of() {
    let fixture = Fixture::with(QueueMeta::new("q").retries(1)).await;
    let mut events = everything(&fixture.manager).await;
    let endings = [
        (Outcome::failed("no").unwrap(), Status::Failed),
        (retry(), Status::Failed),
        (Outcome::cancelled("no").unwrap(), Status::Cancelled),
    ];
    for (outcome, status) in endings {
        fixture.create(task(1)).await;
        fixture.finish(outcome).await;
        let told = told(&mut events, 3).await;
        assert_eq!(statuses(&told), [(Status::New, 0), (Status::Retained, 1), (status, 1)]);
    }
    let expired = fixture.create(task(1)).await;
    fixture.expire().await;
    fixture.manager.sweep().await.unwrap();
    let told = told(&mut events, 2).await;
    assert_eq!(statuses(&told), [(Status::New, 0), (Status::Expired, 0)]);
    assert_eq!(told[1].id, expired.id);
}

#[tokio::test]
async fn what_is_done_to_tasks_from_outside_is_told() {
    let fixture = Fixture::with_queue().await;
    let other = fixture.other_process().await;
    let mut all = [everything(&fixture.manager).await, everything(&other).await];
    let waiting = fixture.create(task(1)).await;
    let held = fixture.retain().await;
    fixture.manager.cancel_task(waiting.id).await.unwrap();
    fixture.manager.retry_task(held.id).await.unwrap();
    let cancelled = fixture.manager.cancel_task(waiting.id).await.unwrap();
    for events in &mut all {
        let told = told(events, 5).await;
        let expected = [
            (Status::New, 0),
            (Status::Retained, 1),
            (Status::Cancelled, 1),
            (Status::New, 1),
            (Status::Cancelled, 1),
        ];
        assert_eq!(statuses(&told), expected);
        assert!(told.is_sorted_by_key(|event| event.at), "{told:?}");
        assert!(told.iter().all(|event| event.id == cancelled.id));
    }
}

#[tokio::test]
async fn many_tasks_at_once_are_each_told_of() {
    let fixture = Fixture::with_queue().await;
    let other = fixture.other_process().await;
    let mut all =
        [&fixture.manager, &other].map(|manager| manager.events_buffered(EventFilter::new(), 3_000));
    for events in &all {
        assert!(events.ready().await);
    }
    let created = fixture.manager.create_tasks("q", (0..700).map(task)).await.unwrap();
    let held = other.next_tasks("worker", &["q"], Retain::new().count(700)).await.unwrap();
    let mut releases = Vec::new();
    for one in &held {
        releases.push(other.release_task(one, done()));
    }
    futures_util::future::try_join_all(releases).await.unwrap();
    for events in &mut all {
        let mut lives: HashMap<u64, Vec<Status>> = HashMap::new();
        for event in told(events, created.len() + 2 * held.len()).await {
            lives.entry(event.id).or_default().push(event.status);
        }
        for one in &held {
            // In whatever order two processes tell of it.
            lives.get_mut(&one.id).unwrap().sort_unstable();
            assert_eq!(lives[&one.id], [Status::New, Status::Retained, Status::Released]);
        }
        assert_eq!(lives.len(), created.len());
    }
}

#[tokio::test]
async fn tasks_of_the_sql_function_of_transactions_and_of_ticks_are_told_to_all_processes() {
    let mut fixture = Fixture::with_queue().await;
    let other = fixture.other_process().await;
    let mut all = [everything(&fixture.manager).await, everything(&other).await];

    let row = fixture.client.query_one("SELECT pgmill.create_task('app', 'q', '1')", &[]).await.unwrap();
    let id = row.get::<_, i64>(0).cast_unsigned();
    for events in &mut all {
        assert_eq!(event(events).await.id, id);
    }

    let transaction = fixture.client.transaction().await.unwrap();
    let keyed = || task(1).key("k");
    let (first, first_wake) = fixture.manager.create_task_in(&transaction, "q", keyed()).await.unwrap();
    let (again, again_wake) = fixture.manager.create_task_in(&transaction, "q", keyed()).await.unwrap();
    assert_eq!(first.id, again.id);
    transaction.commit().await.unwrap();
    again_wake.send(&fixture.manager);
    first_wake.send(&fixture.manager);
    for events in &mut all {
        let told = event(events).await;
        assert_eq!((told.id, told.status, told.at), (first.id, Status::New, first.created_at));
    }

    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let (manager, shutdown) = (other.clone(), shutdown.clone());
        async move { manager.run(shutdown).await }
    });
    let daily = TickerMeta::new("t").interval(seconds(86_400)).queue("q");
    fixture.manager.register_ticker(daily).await.unwrap();
    fixture.sql("UPDATE pgmill.ticker SET next_at = now() WHERE ticker = 't'").await;
    for events in &mut all {
        let told = event(events).await;
        let task = fixture.manager.get_task(told.id).await.unwrap();
        assert_eq!(told.status, Status::New);
        assert!(told.at <= task.created_at);
    }
    shutdown.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_filter_leaves_out_what_is_not_wanted() {
    let fixture = Fixture::with_queue().await;
    fixture.manager.register_queue(QueueMeta::new("other")).await.unwrap();
    let ended = EventFilter::new().status(Status::Released).status(Status::Failed);
    let mut ended = fixture.manager.events(ended);
    let other_queue = EventFilter::new().queue(QueueName::new("other").unwrap());
    let mut other_queue = fixture.manager.events(other_queue);
    let first = fixture.create(task(1)).await;
    let second = fixture.create(task(2)).await;
    let mut of_second = fixture.manager.events(EventFilter::new().id(second.id));
    fixture.finish(done()).await;
    fixture.finish(Outcome::failed("no").unwrap()).await;
    let third = fixture.manager.create_task("other", task(3)).await.unwrap();

    let told_of = told(&mut ended, 2).await;
    let expected = [(first.id, Status::Released), (second.id, Status::Failed)];
    assert_eq!(told_of.iter().map(|event| (event.id, event.status)).collect::<Vec<_>>(), expected);
    assert_eq!(event(&mut other_queue).await.id, third.id);
    assert_eq!(event(&mut of_second).await.id, second.id);
}

#[tokio::test]
async fn namespaces_are_isolated() {
    let fixture = Fixture::with_queue().await;
    let other = fixture.other_process().await;
    let [foreign_here, foreign_there] =
        [&fixture.manager, &other].map(|manager| manager.with_namespace("foreign").unwrap());
    foreign_here.register_queue(QueueMeta::new("q")).await.unwrap();
    let mut all = [everything(&fixture.manager).await, everything(&other).await];
    let mut foreign = everything(&foreign_there).await;
    let theirs = foreign_here.create_task("q", task(1)).await.unwrap();
    foreign_there.create_task("q", task(2)).await.unwrap();
    fixture.client.query_one("SELECT pgmill.create_task('foreign', 'q', '1')", &[]).await.unwrap();
    let ours = fixture.create(task(3)).await;
    for events in &mut all {
        assert_eq!(event(events).await.id, ours.id);
    }
    let told = told(&mut foreign, 3).await;
    assert!(told.iter().any(|event| event.id == theirs.id));
    assert!(told.iter().all(|event| event.namespace.as_str() == "foreign"));
}

#[tokio::test]
async fn one_who_is_too_slow_is_dropped_and_told_and_others_are_unharmed() {
    let fixture = Fixture::with_queue().await;
    let mut slow = fixture.manager.events_buffered(EventFilter::new(), 10);
    let mut quick = fixture.manager.events(EventFilter::new());
    fixture.manager.create_tasks("q", (0..11).map(task)).await.unwrap();
    assert_eq!(told(&mut quick, 11).await.len(), 11);
    assert_eq!(told(&mut slow, 10).await.len(), 10, "what it has room for");
    assert_eq!(slow.next().await, Some(EventItem::Dropped));
    assert_eq!(slow.next().await, None);
    let last = fixture.create(task(1)).await;
    assert_eq!(event(&mut quick).await.id, last.id);
}

#[tokio::test]
async fn more_than_can_be_held_is_counted() {
    let fixture = Fixture::with_queue().await;
    let other = fixture.other_process().await;
    let many = 20_000;
    let mut all = [&fixture.manager, &other].map(|manager| manager.events_buffered(EventFilter::new(), many));
    for events in &all {
        assert!(events.ready().await);
    }
    fixture.manager.create_tasks("q", (0..many).map(task)).await.unwrap();
    for events in &mut all {
        let (mut told, mut lost) = (0, 0);
        while told + lost < many as u64 {
            match item(events).await {
                EventItem::Task(_) => told += 1,
                EventItem::Lost(count) => lost += count.unwrap(),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(told + lost, many as u64);
        assert!(told > 0 && lost > 0, "{told} told, {lost} lost");
    }
}

#[tokio::test]
async fn while_nobody_watches_nothing_is_told_and_others_are_looked_for_once_a_second() {
    let scene = scene::Scene::new().await;
    scene.count_calls("tell_watchers_v1").await;
    let begun = Instant::now();
    for _ in 0..200 {
        scene::create(&scene.manager, 1).await;
        let held = scene::take(&scene.manager).await;
        scene.manager.release_task(&held, done()).await.unwrap();
    }
    // Returns when all is told that is to be told.
    scene.manager.close().await;
    let looks = scene.calls().await;
    let most = 2 + i64::try_from(begun.elapsed().as_secs()).unwrap();
    assert!((1..=most).contains(&looks), "{looks} looks, at most {most} are due");
}

#[tokio::test]
async fn a_process_in_which_nothing_changes_asks_for_nobody() {
    let scene = scene::Scene::new().await;
    scene.count_calls("tell_watchers_v1").await;
    let watching = scene.another().await;
    let events = everything(&watching).await;
    assert_eq!(scene.manager.next_task("w", &[scene::QUEUE]).await.unwrap().map(|task| task.id), None);
    assert!(events.is_complete());
    scene.manager.close().await;
    assert_eq!(scene.calls().await, 0);
}

#[tokio::test]
async fn whoever_watches_no_more_is_not_told_any_more() {
    let fixture = Fixture::with_queue().await;
    let other = fixture.other_process().await;
    let watchers = async || -> i64 {
        fixture.client.query_one("SELECT count(*) FROM pgmill.watcher", &[]).await.unwrap().get(0)
    };
    let first = everything(&other).await;
    let second = other.events(EventFilter::new());
    assert!(second.is_complete(), "the namespace is watched already");
    drop(first);
    let mut second = second;
    let created = fixture.create(task(1)).await;
    assert_eq!(event(&mut second).await.id, created.id);
    assert_eq!(watchers().await, 1);
    drop(second);
    wait_until("nobody to watch", SOON, async || watchers().await == 0).await;
    let mut again = everything(&other).await;
    let created = fixture.create(task(1)).await;
    assert_eq!(event(&mut again).await.id, created.id);
}

#[tokio::test]
async fn a_listener_that_is_cut_comes_back_and_that_there_is_a_gap_is_told() {
    let fixture = Fixture::with_queue().await;
    let other = fixture.other_process().await;
    let mut events = everything(&other).await;
    let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE '%LISTEN pgmill_event%' AND pid <> pg_backend_pid()";
    wait_until("the listener to be ended", SOON, async || {
        fixture.client.query_one(ended, &[]).await.unwrap().get::<_, i64>(0) > 0
    })
    .await;
    wait_until("the gap to be noticed", SOON, async || !events.is_complete()).await;
    let own = other.create_task("q", task(1)).await.unwrap();
    assert_eq!(event(&mut events).await.id, own.id, "what this process changes is told all the same");
    let back = tokio::time::timeout(BACK_WITHIN, events.next()).await.unwrap();
    assert_eq!(back, Some(EventItem::Lost(None)));
    assert!(events.is_complete(), "what is read now is what the changes go on from");
    let created = fixture.create(task(2)).await;
    assert_eq!(event(&mut events).await.id, created.id);
}

#[tokio::test]
async fn without_a_direct_connection_the_changes_of_this_process_are_told_and_that_is_seen() {
    let fixture = Fixture::with_queue().await;
    let pool = fixture.database.options().pool().unwrap();
    let manager = Manager::new(pool, "app").await.unwrap();
    let mut events = manager.events(EventFilter::new());
    assert!(!events.ready().await);
    assert!(!events.is_complete());
    fixture.create(task(1)).await;
    let own = manager.create_task("q", TaskMeta::json(&1).unwrap()).await.unwrap();
    assert_eq!(event(&mut events).await.id, own.id);
    assert!(!manager.is_listening());
}

#[tokio::test]
async fn when_the_manager_is_closed_all_is_told_and_the_feed_ends() {
    let fixture = Fixture::with_queue().await;
    let other = fixture.other_process().await;
    let mut far = everything(&other).await;
    let mut near = fixture.manager.events(EventFilter::new());
    let created = fixture.create(task(1)).await;
    fixture.manager.close().await;
    assert_eq!(event(&mut near).await.id, created.id);
    assert_eq!(near.next().await, None);
    assert_eq!(event(&mut far).await.id, created.id);
    let late = fixture.manager.events(EventFilter::new());
    assert!(!late.ready().await);
}
