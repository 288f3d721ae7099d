//! Enqueues whose connection breaks: never two tasks, and the caller is told the truth.

use std::time::Duration;

use pgmill::{EnqueueError, Outcome, QueueMeta};
use pgmill_testkit::{CutPoint, has_pooler, skipped, wait_until};
use tokio::task::JoinSet;

use crate::faults::{Line, POINTS, TwoLines};
use crate::scene::{LIMIT, QUEUE, create, number, payload, take};

#[tokio::test]
async fn an_enqueue_that_is_cut_anywhere_creates_one_task_and_is_answered_with_it() {
    let line = Line::new().await;
    create(&line.manager, 1).await;
    let mut tasks = 1;
    for point in POINTS {
        for meta in [payload("plain"), payload("keyed").key(format!("{point:?}"))] {
            line.manager.create_task(QUEUE, meta.clone().key("warm")).await.unwrap();
            tasks = line.tasks().await;
            let fired = line.proxy.arm(point, "enqueue_v1");
            let task = line.manager.create_task(QUEUE, meta).await.unwrap();
            fired.await;
            tasks += 1;
            assert_eq!(line.tasks().await, tasks, "{point:?}");
            let seen = line.manager.get_task(task.id).await.unwrap();
            assert_eq!((seen.payload, seen.created_at), (task.payload, task.created_at), "{point:?}");
        }
    }
    wait_until("the statements to end", LIMIT, async || line.is_quiet().await).await;
    assert_eq!(line.tasks().await, tasks);
}

#[tokio::test]
async fn a_task_that_is_created_but_cannot_be_looked_at_is_not_told_as_failed() {
    let line = Line::new().await;
    create(&line.manager, 1).await;
    for count in [1, 100] {
        let before = line.tasks().await;
        let lost = line.proxy.arm(CutPoint::BeforeAnswer, "enqueue_v1");
        // A look is tried twice.
        let unseen = [1, 2].map(|n| line.proxy.arm_nth(CutPoint::BeforeAnswer, "any_task_v1", n));
        let created = match count {
            1 => vec![line.manager.create_task(QUEUE, payload("seen")).await.unwrap()],
            _ => line.manager.create_tasks(QUEUE, (0..count).map(payload)).await.unwrap(),
        };
        lost.await;
        for one in unseen {
            one.await;
        }
        assert_eq!((created.len(), line.tasks().await), (count, before + count as i64));
    }
}

#[tokio::test]
async fn a_batch_that_is_cut_anywhere_creates_each_task_once() {
    let line = Line::new().await;
    for point in POINTS {
        let before = line.tasks().await;
        create(&line.manager, 1).await;
        let fired = line.proxy.arm(point, "enqueue_v1");
        let callers: JoinSet<_> = (0..50)
            .map(|n| {
                let manager = line.manager.clone();
                async move { manager.create_task(QUEUE, payload(n)).await.unwrap().id }
            })
            .collect();
        let mut ids = callers.join_all().await;
        fired.await;
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((ids.len(), line.tasks().await), (50, before + 51), "{point:?}");
    }
}

#[tokio::test]
async fn many_tasks_at_once_are_all_created_once_wherever_the_connection_is_cut() {
    let line = Line::new().await;
    let cases = POINTS.map(|point| (100, point, "enqueue_v1")).into_iter();
    let cases = cases.chain([
        (2_000, CutPoint::BeforeRequest, "COPY pgmill.task"),
        (2_000, CutPoint::BeforeAnswer, "COPY pgmill.task"),
    ]);
    let cases = cases.chain(POINTS.map(|point| (2_000, point, "COMMIT")));
    let copies = !skipped(has_pooler(), "there is no COPY through a pooler; the rest of the test has run");
    for (count, point, needle) in cases.filter(|(count, ..)| copies || *count < 2_000) {
        let before = line.tasks().await;
        create(&line.manager, 1).await;
        let fired = line.proxy.arm(point, needle);
        let tasks = create(&line.manager, count).await;
        fired.await;
        assert_eq!(tasks.len(), count);
        let ids: Vec<i64> = tasks.iter().map(|task| i64::try_from(task.id).unwrap()).collect();
        let found = line
            .client
            .query_one("select count(*) from pgmill.task where id = any ($1)", &[&ids])
            .await
            .unwrap()
            .get::<_, i64>(0);
        assert_eq!((found, line.tasks().await), (ids.len() as i64, before + 1 + found), "{point:?} {needle}");
    }
}

#[tokio::test]
async fn an_enqueue_whose_server_stays_away_is_answered_as_unknown_with_its_id() {
    let line = Line::single().await;
    for (point, exists) in [(CutPoint::BeforeRequest, false), (CutPoint::BeforeAnswer, true)] {
        create(&line.manager, 1).await;
        let fired = line.proxy.arm(point, "enqueue_v1");
        let manager = line.manager.clone();
        let creating = tokio::spawn(async move { manager.create_task(QUEUE, payload("lost")).await });
        line.proxy.refuse(true);
        fired.await;
        let error = creating.await.unwrap().unwrap_err();
        line.proxy.refuse(false);
        let EnqueueError::Unknown { id } = error else { panic!("{error}") };
        assert_eq!(line.manager.get_task(id).await.is_ok(), exists, "{point:?}");
    }
    line.manager.create_task(QUEUE, payload("found")).await.unwrap();
}

#[tokio::test]
async fn without_a_connection_an_enqueue_fails_and_nothing_is_created() {
    let line = Line::single().await;
    create(&line.manager, 1).await;
    line.proxy.refuse(true);
    line.proxy.cut();
    let closed = async || {
        let error = line.manager.create_task(QUEUE, payload("never")).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        // Not as long as there is a connection of which it is not known that it is closed.
        matches!(error, EnqueueError::Store(_))
    };
    wait_until("the connections to be closed", LIMIT, closed).await;
    line.proxy.refuse(false);
    wait_until("the connection", LIMIT, async || {
        line.manager.create_task(QUEUE, payload("again")).await.is_ok()
    })
    .await;
    assert_eq!(line.tasks().await, 2);
}

/// What may happen to a task before the first sending of its enqueue arrives.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Meanwhile {
    Waits,
    Done,
    DoneWithoutHistory,
}

#[tokio::test]
async fn an_enqueue_that_arrives_after_it_was_given_up_creates_no_second_task() {
    for meanwhile in [Meanwhile::Waits, Meanwhile::Done, Meanwhile::DoneWithoutHistory] {
        let lines = TwoLines::new().await;
        if meanwhile == Meanwhile::DoneWithoutHistory {
            let settings = QueueMeta::new(QUEUE).retention(Duration::ZERO);
            lines.manager.register_queue(settings).await.unwrap();
        }
        create(&lines.manager, 1).await;
        take(&lines.manager).await;
        lines.hold();
        let task = lines.manager.create_task(QUEUE, payload("late")).await.unwrap();
        if meanwhile != Meanwhile::Waits {
            let taken = take(&lines.manager).await;
            assert_eq!(taken.id, task.id);
            lines.manager.release_task(&taken, Outcome::done_empty()).await.unwrap();
        }
        lines.deliver().await;
        let live = number(&lines.client, "select count(*) from pgmill.task where lease_until is null").await;
        assert_eq!(live, i64::from(meanwhile == Meanwhile::Waits), "{meanwhile:?}");
        drop(lines.database);
    }
}
