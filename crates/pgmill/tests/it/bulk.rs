//! Many tasks at once: all or none.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use pgmill::{EnqueueError, Manager, QueueMeta, Retain, Status, Task, TaskMeta, minutes};

use crate::fixture::{Fixture, json, task};
use crate::scene::with_parameter;

/// From here on a bulk travels by COPY, where it can.
const BY_COPY: usize = 2_500;

async fn pooler(fixture: &Fixture) -> Manager {
    let url = with_parameter(fixture.database.url(), "pgmill_mode=pooler");
    Manager::connect(url).namespace("app").await.unwrap()
}

/// Creates so many tasks of every kind, and checks that each is what was asked for, and is stored.
async fn create_and_check(fixture: &Fixture, manager: &Manager, count: usize) {
    let due = Timestamp::now() + SignedDuration::from_hours(3);
    let metas: Vec<TaskMeta> = (0..count)
        .map(|number| match number % 4 {
            0 => TaskMeta::raw(json(&format!(r#"{{ "ü\\": [{number}, 1.50, 12345678901234567890] }}"#))),
            1 => task(number).priority(u8::try_from(number % 10).unwrap()),
            2 => task(number).delay(minutes(5)),
            _ => task(number).delayed_at(due),
        })
        .collect();
    let created = manager.create_tasks("q", metas.clone()).await.unwrap();
    assert_eq!(created.len(), count);
    let ids: HashSet<u64> = created.iter().map(|task| task.id).collect();
    assert_eq!(ids.len(), count);
    for (number, (meta, task)) in metas.iter().zip(&created).enumerate() {
        assert_eq!((&task.payload, task.priority), (&meta.payload, meta.priority));
        let delay = task.delayed_at.map(|at| at.duration_since(task.created_at));
        match number % 4 {
            2 => assert_eq!(delay, Some(SignedDuration::from_mins(5))),
            3 => assert_eq!(task.delayed_at.map(Timestamp::as_microsecond), Some(due.as_microsecond())),
            _ => assert_eq!(delay, None),
        }
        let due = task.delayed_at.unwrap_or(task.created_at);
        assert_eq!(task.dies_at, Some(due + SignedDuration::from_hours(1)));
        assert_eq!((task.retries, task.status, task.attempt), (3, Some(Status::New), 0));
    }
    for number in [0, 1, 2, 3, count - 1] {
        assert_eq!(fixture.manager.get_task(created[number].id).await.unwrap(), created[number]);
    }
    assert_eq!(fixture.count(Status::New).await, count as u64);
}

#[tokio::test]
async fn a_few_tasks_are_created_at_once() {
    let fixture = Fixture::with_queue().await;
    create_and_check(&fixture, &fixture.manager, 10).await;
}

#[tokio::test]
async fn very_many_tasks_are_created_at_once() {
    let fixture = Fixture::with_queue().await;
    create_and_check(&fixture, &fixture.manager, BY_COPY).await;
}

#[tokio::test]
async fn a_few_tasks_are_created_at_once_behind_a_pooler() {
    let fixture = Fixture::with_queue().await;
    create_and_check(&fixture, &pooler(&fixture).await, 10).await;
}

#[tokio::test]
async fn very_many_tasks_are_created_at_once_behind_a_pooler() {
    let fixture = Fixture::with_queue().await;
    create_and_check(&fixture, &pooler(&fixture).await, BY_COPY).await;
}

#[tokio::test]
async fn no_tasks_are_created_at_once() {
    let fixture = Fixture::with_queue().await;
    assert!(fixture.manager.create_tasks("q", []).await.unwrap().is_empty());
}

#[tokio::test]
async fn one_bad_task_refuses_all() {
    let fixture = Fixture::with_queue().await;
    fixture.create(task(0).key("taken")).await;
    let pooler = pooler(&fixture).await;
    let before = fixture.stored().await;
    let past = Timestamp::now() - SignedDuration::from_hours(1);
    for manager in [&fixture.manager, &pooler] {
        for count in [3, BY_COPY] {
            for keyed in [false, true] {
                let create = async |queue: &str, bad: TaskMeta| {
                    let good = |number| match (keyed, number) {
                        (true, 0) => task(number).key("taken"),
                        (true, number) => task(number).key(format!("key {number}")),
                        (false, number) => task(number),
                    };
                    manager.create_tasks(queue, (0..count).map(good).chain([bad])).await.unwrap_err()
                };
                let error = create("q", task(1).delayed_at(past)).await;
                assert!(matches!(error, EnqueueError::DelayedInPast), "{error:?}");
                let error = create("missing", task(1)).await;
                assert!(matches!(error, EnqueueError::NoQueue { .. }), "{error:?}");
                let error = create("q", TaskMeta::empty()).await;
                assert!(matches!(error, EnqueueError::Meta(_)), "{error:?}");
            }
        }
    }
    assert_eq!(fixture.stored().await, before);
}

#[tokio::test]
async fn keys_in_a_bulk_are_given_the_tasks_that_have_them() {
    let fixture = Fixture::with_queue().await;
    let other = fixture.create(task("other").key("taken")).await;
    for count in [10, BY_COPY] {
        let metas = (0..count).map(|number| match number {
            0 => task(0).key("taken"),
            1 | 2 => task(number).key(format!("twice in {count}")),
            3 => task(3),
            _ => task(number).key(format!("{number} of {count}")),
        });
        let created = fixture.manager.create_tasks("q", metas).await.unwrap();
        assert_eq!(created.len(), count);
        assert_eq!(created[0], other);
        assert_eq!(created[1].id, created[2].id);
        assert_eq!(created[2].payload, task(1).payload);
        let ids: HashSet<u64> = created.iter().map(|task| task.id).collect();
        assert_eq!(ids.len(), count - 1);
    }
    assert_eq!(fixture.count(Status::New).await, (10 - 2 + BY_COPY - 2 + 1) as u64);
}

#[tokio::test]
async fn tasks_of_a_bulk_are_retained_in_its_order() {
    for count in [100, BY_COPY] {
        let fixture = Fixture::with_queue().await;
        let created = fixture.manager.create_tasks("q", (0..count).map(task)).await.unwrap();
        let taken = fixture.manager.next_tasks("worker", &["q"], Retain::new().count(50)).await.unwrap();
        let ids = |tasks: &[Task]| tasks.iter().map(|task| task.id).collect::<Vec<_>>();
        assert_eq!(ids(&taken), ids(&created[..50]));
    }
}

#[tokio::test]
async fn tasks_of_several_queues_are_created_together_and_those_that_had_their_key_are_found() {
    let fixture = Fixture::with_queue().await;
    fixture.manager.register_queue(QueueMeta::new("other")).await.unwrap();
    let had = fixture.create(task(0).key("k")).await;
    let tasks = [("q", task(1)), ("OTHER", task(2)), ("q", task(3).key("k"))];
    let created = fixture.manager.create_or_find_tasks(tasks).await.unwrap();
    let told: Vec<_> = created.iter().map(|it| (it.task.queue.as_str(), it.is_new)).collect();
    assert_eq!(told, [("q", true), ("other", true), ("q", false)]);
    assert_eq!(created[2].task.id, had.id);
    let again = fixture.manager.create_or_find_task("q", task(4).key("k")).await.unwrap();
    assert_eq!((again.task.id, again.is_new), (had.id, false));
    assert!(fixture.manager.next_task("worker", &["other"]).await.unwrap().is_some());
}

#[tokio::test]
async fn one_task_that_is_refused_refuses_those_of_other_queues_and_is_named() {
    let fixture = Fixture::with_queue().await;
    let past = Timestamp::now() - SignedDuration::from_mins(1);
    for (wrong, meta) in [("nowhere", task(1)), ("q", task(1).delayed_at(past)), ("a b", task(1))] {
        let tasks = [("q", task(0).key("k")), (wrong, meta)];
        let refused = fixture.manager.create_or_find_tasks(tasks).await.unwrap_err();
        assert_eq!(refused.index, Some(1), "{refused}");
        assert_eq!(fixture.count(Status::New).await, 0);
    }
    assert!(fixture.manager.create_or_find_task("q", task(2).key("k")).await.unwrap().is_new);
}
