//! Who sleeps, what it learns before, and who is told.

use std::time::Duration;

use pgmill_schema::{QueueMeta, QueueName, seconds};
use pgmill_store::{Arrival, Demand, Enqueued, Listener, NewTask, Notice, StoreError};
use pgmill_testkit::{has_pooler, skipped};

use crate::support::{Fixture, queue};

const ME: i64 = 1;
const OTHER: i64 = 2;

fn demand(fixture: &Fixture, queues: &[&QueueName]) -> Demand {
    let queues = queues.iter().map(|&queue| queue.clone()).collect();
    Demand { namespace: fixture.namespace.clone(), queues }
}

async fn due_in(fixture: &Fixture, queues: &[&QueueName]) -> Option<Duration> {
    fixture.store.sleep(ME, &demand(fixture, queues), None).await.unwrap()
}

async fn delayed(fixture: &Fixture, queue: &QueueName, delay: Duration) -> i64 {
    let micros = i64::try_from(delay.as_micros()).unwrap();
    let task = NewTask { delay: Some(micros), ..fixture.new_task(queue).await };
    fixture.create_all(&[task]).await[0]
}

/// Everything that is told, until it is told of this queue.
async fn heard(listener: &mut Listener, last: &QueueName) -> Vec<Notice> {
    let mut heard = Vec::new();
    while let Some(notice) = listener.next().await {
        heard.push(notice);
        if let Some(Notice::In(_, arrivals)) = heard.last()
            && arrivals.iter().any(|(_, queue, _)| queue == last)
        {
            return heard;
        }
    }
    panic!("the listener ended after {heard:?}")
}

#[tokio::test]
async fn one_who_sleeps_learns_when_the_next_task_of_its_queues_is_due() {
    let fixture = Fixture::new().await;
    let (plain, other) = (fixture.plain_queue().await, fixture.queue(QueueMeta::new("other")).await);
    assert_eq!(due_in(&fixture, &[&plain]).await, None);
    delayed(&fixture, &plain, seconds(3_600)).await;
    delayed(&fixture, &plain, seconds(7_200)).await;
    delayed(&fixture, &other, seconds(60)).await;
    let hour = due_in(&fixture, &[&plain]).await.unwrap();
    assert!(hour > seconds(3_000) && hour <= seconds(3_600), "{hour:?}");
    for queues in [&[][..], &[&plain, &other]] {
        let minute = due_in(&fixture, queues).await.unwrap();
        assert!(minute <= seconds(60), "{minute:?}");
    }
    fixture.store.pause_queue(&fixture.namespace, &other, true).await.unwrap();
    assert!(due_in(&fixture, &[]).await.unwrap() > seconds(60), "a paused queue is not waited for");
}

#[tokio::test]
async fn a_task_that_became_due_just_now_is_due_and_one_that_somebody_holds_is_not() {
    let fixture = Fixture::new().await;
    let plain = fixture.plain_queue().await;
    let id = fixture.create(&plain, 1).await[0];
    fixture.sql(&format!("UPDATE pgmill.task SET run_at = now() WHERE id = {id}")).await;
    assert_eq!(due_in(&fixture, &[&plain]).await, Some(Duration::ZERO));
    fixture.sql(&format!("UPDATE pgmill.task SET run_at = now() WHERE id = {id}")).await;
    fixture.retain_one(&plain).await;
    assert_eq!(due_in(&fixture, &[&plain]).await, None);
}

#[tokio::test]
async fn what_expires_before_it_is_due_is_not_waited_for() {
    let fixture = Fixture::new().await;
    let plain = fixture.plain_queue().await;
    let id = delayed(&fixture, &plain, seconds(60)).await;
    fixture.sql(&format!("UPDATE pgmill.task SET dies_at = run_at - interval '1 s' WHERE id = {id}")).await;
    assert_eq!(due_in(&fixture, &[&plain]).await, None);
}

#[tokio::test]
async fn only_queues_that_another_process_waits_for_are_told_of() {
    let fixture = Fixture::new().await;
    let (plain, other) = (fixture.plain_queue().await, queue("other"));
    let mut listener = Listener::connect(&fixture.database.options().listening().unwrap()).await.unwrap();
    let arrival = |queue: &QueueName| -> Arrival { (fixture.namespace.clone(), queue.clone(), seconds(2)) };
    let both = [arrival(&plain), arrival(&other)];
    assert_eq!(fixture.store.wake(OTHER, &both).await.unwrap(), 0, "nobody waits");

    fixture.store.sleep(ME, &demand(&fixture, &[&plain]), Some(seconds(30))).await.unwrap();
    assert_eq!(fixture.store.wake(ME, &both).await.unwrap(), 0, "a process does not tell itself");
    assert_eq!(fixture.store.wake(OTHER, &both).await.unwrap(), 1);
    assert_eq!(heard(&mut listener, &plain).await, [Notice::In(Some(OTHER), vec![arrival(&plain)])]);

    fixture.store.sleep(ME, &demand(&fixture, &[]), Some(seconds(30))).await.unwrap();
    assert_eq!(fixture.store.wake(OTHER, &both).await.unwrap(), 2, "any queue of the namespace");
    assert_eq!(heard(&mut listener, &other).await.len(), 1);

    fixture.sql("UPDATE pgmill.waiter SET until = now()").await;
    assert_eq!(fixture.store.wake(OTHER, &both).await.unwrap(), 0, "nobody waits any more");
}

#[tokio::test]
async fn more_queues_than_a_notice_can_name_are_told_of_as_all() {
    let fixture = Fixture::new().await;
    fixture.store.sleep(ME, &demand(&fixture, &[]), Some(seconds(30))).await.unwrap();
    let mut listener = Listener::connect(&fixture.database.options().listening().unwrap()).await.unwrap();
    let arrivals: Vec<Arrival> = (0..1_000)
        .map(|number| (fixture.namespace.clone(), queue(&format!("queue-{number}")), Duration::ZERO))
        .collect();
    assert_eq!(fixture.store.wake(OTHER, &arrivals).await.unwrap(), 1_000);
    assert_eq!(listener.next().await, Some(Notice::Anywhere(Some(OTHER))));
}

#[tokio::test]
async fn those_that_are_gone_are_forgotten() {
    let fixture = Fixture::new().await;
    let plain = fixture.plain_queue().await;
    fixture.store.sleep(OTHER, &demand(&fixture, &[&plain]), Some(seconds(30))).await.unwrap();
    fixture.sql("UPDATE pgmill.waiter SET until = now() - interval '2 minutes'").await;
    fixture.store.sleep(ME, &demand(&fixture, &[&plain]), Some(seconds(30))).await.unwrap();
    assert_eq!(fixture.number("SELECT count(*) FROM pgmill.waiter").await, 1);
}

#[tokio::test]
async fn a_listener_hears_its_own_test_and_ends_with_its_connection() {
    let fixture = Fixture::new().await;
    let mut listener = Listener::connect(&fixture.database.options().listening().unwrap()).await.unwrap();
    listener.test("is this on?").await.unwrap();
    assert_eq!(listener.next().await, Some(Notice::Test("is this on?".to_owned())));
    fixture.sql("NOTIFY pgmill, 'somebody else''s'").await;
    fixture
        .sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND query LIKE '%pg_notify%' AND pid <> pg_backend_pid()",
        )
        .await;
    assert_eq!(listener.next().await, None);
}

#[tokio::test]
async fn a_wake_behind_an_enqueue_is_heard_once_the_tasks_can_be_retained() {
    if skipped(has_pooler(), "nothing is sent behind another statement through a pooler") {
        return;
    }
    let fixture = Fixture::new().await;
    let plain = fixture.plain_queue().await;
    fixture.store.sleep(ME, &demand(&fixture, &[&plain]), Some(seconds(30))).await.unwrap();
    let mut listener = Listener::connect(&fixture.database.options().listening().unwrap()).await.unwrap();
    let arrivals = [(fixture.namespace.clone(), plain.clone(), Duration::ZERO)];
    for _ in 0..100 {
        let tasks = fixture.new_tasks(&plain, 1).await;
        let enqueuing = async {
            let (_, waking) = fixture.store.enqueue_and_wake(&tasks, OTHER, &arrivals).await.unwrap();
            waking.told().await.unwrap()
        };
        let retaining = async {
            heard(&mut listener, &plain).await;
            fixture.retain(&plain, 1).await.len()
        };
        assert_eq!(tokio::join!(enqueuing, retaining), (1, 1));
    }
}

#[tokio::test]
async fn an_enqueue_does_not_wait_for_the_wake_behind_it() {
    let mut fixture = Fixture::new().await;
    let plain = fixture.plain_queue().await;
    let arrivals = [(fixture.namespace.clone(), plain.clone(), Duration::ZERO)];
    let tasks = fixture.new_tasks(&plain, 1).await;
    let blocking = fixture.client.transaction().await.unwrap();
    blocking.batch_execute("LOCK TABLE pgmill.waiter").await.unwrap();
    let (enqueued, waking) = fixture.store.enqueue_and_wake(&tasks, OTHER, &arrivals).await.unwrap();
    assert!(matches!(enqueued[0], Enqueued::Created { .. }), "{enqueued:?}");
    blocking.commit().await.unwrap();
    assert_eq!(waking.told().await.unwrap(), 0, "nobody waits");
}

#[tokio::test]
async fn a_wake_that_nobody_asks_about_leaves_its_connection_in_order() {
    let fixture = Fixture::new().await;
    let plain = fixture.plain_queue().await;
    let arrivals = [(fixture.namespace.clone(), plain.clone(), Duration::ZERO)];
    // The first one is dropped before it is prepared, the others under way.
    for _ in 0..3 {
        let tasks = fixture.new_tasks(&plain, 1).await;
        drop(fixture.store.enqueue_and_wake(&tasks, OTHER, &arrivals).await.unwrap());
        assert_eq!(fixture.retain(&plain, 1).await.len(), 1);
    }
    assert_eq!(fixture.store.pool().status().size, 1, "there is one connection");
}

#[tokio::test]
async fn an_enqueue_that_misses_its_deadline_is_lost_with_the_wake_behind_it() {
    let mut fixture = Fixture::new().await;
    let plain = fixture.plain_queue().await;
    let arrivals = [(fixture.namespace.clone(), plain.clone(), Duration::ZERO)];
    let tasks = fixture.new_tasks(&plain, 1).await;
    let store = fixture.store.clone().with_deadline(Duration::from_millis(200));
    let blocking = fixture.client.transaction().await.unwrap();
    blocking.batch_execute("LOCK TABLE pgmill.task").await.unwrap();
    let lost = store.enqueue_and_wake(&tasks, OTHER, &arrivals).await.unwrap_err();
    assert!(matches!(lost, StoreError::Lost(_)), "{lost:?}");
    assert_eq!(store.pool().status().size, 0, "nobody else gets a connection on which an answer is due");
    blocking.rollback().await.unwrap();
}
