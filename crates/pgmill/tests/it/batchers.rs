//! What travels together, and what happens when one of it fails, goes away or has to wait.

use std::collections::HashSet;
use std::pin::pin;
use std::time::Duration;

use pgmill::{
    BatchOptions, EnqueueError, Json, Manager, Outcome, QueueMeta, ReleaseError, Retain, RetainError, Status,
    Task, TaskMeta, hours,
};
use pgmill_testkit::wait_until;
use tokio::task::JoinSet;

use crate::scene::{LIMIT, QUEUE, Scene, create, payload, take, take_many};

/// One statement at a time, so that all who call at once travel together.
pub(crate) fn one_flight() -> BatchOptions {
    BatchOptions::default().flights(1)
}

/// Creates a task for each payload, all at once.
pub(crate) async fn create_at_once(
    manager: &Manager,
    metas: impl IntoIterator<Item = TaskMeta>,
) -> Vec<Result<Task, EnqueueError>> {
    let creating: Vec<_> = metas
        .into_iter()
        .map(|meta| {
            let manager = manager.clone();
            tokio::spawn(async move { manager.create_task(QUEUE, meta).await })
        })
        .collect();
    let mut results = Vec::new();
    for one in creating {
        results.push(one.await.unwrap());
    }
    results
}

#[tokio::test]
async fn a_row_that_the_database_refuses_fails_alone() {
    let scene = Scene::with(one_flight()).await;
    let refuse = r#"alter table pgmill.task add constraint no_poison check (payload::text <> '"poison"')"#;
    scene.client.batch_execute(refuse).await.unwrap();
    scene.count_calls("enqueue_v1").await;
    let metas = (0..200).map(|n| if n == 77 { payload("poison") } else { payload(n) });
    let results = create_at_once(&scene.manager, metas).await;
    for (n, result) in results.into_iter().enumerate() {
        match (n, result) {
            (77, Err(EnqueueError::Store(error))) => {
                assert_eq!(error.get().constraint(), Some("no_poison"));
                assert_eq!(error.get().sqlstate(), Some("23514"));
            }
            (77, other) => panic!("{other:?}"),
            (_, task) => assert_eq!(task.unwrap().payload, payload(n).payload),
        }
    }
    assert_eq!(scene.number("select count(distinct payload::text) from pgmill.task").await, 199);
    assert_eq!(scene.number("select count(*) from pgmill.task").await, 199);
    // Halving 200 rows down to one: two statements a level, of eight.
    assert!(scene.calls().await <= 20, "{} statements", scene.calls().await);
}

#[tokio::test]
async fn a_result_that_the_database_refuses_fails_alone() {
    let scene = Scene::with(one_flight()).await;
    let refuse =
        r#"alter table pgmill.task_finished add constraint no_poison check (result::text <> '"poison"')"#;
    scene.client.batch_execute(refuse).await.unwrap();
    create(&scene.manager, 100).await;
    let releases: JoinSet<_> = take_many(&scene.manager, 100)
        .await
        .into_iter()
        .enumerate()
        .map(|(n, task)| {
            let manager = scene.manager.clone();
            let outcome = Outcome::done(if n == 50 { "poison" } else { "fine" }).unwrap();
            async move { manager.release_task(&task, outcome).await }
        })
        .collect();
    let errors: Vec<_> = releases.join_all().await.into_iter().filter_map(Result::err).collect();
    let [ReleaseError::Store(error)] = errors.as_slice() else { panic!("{errors:?}") };
    assert_eq!(error.get().constraint(), Some("no_poison"));
    assert_eq!(scene.number("select count(*) from pgmill.task").await, 1);
}

#[tokio::test]
async fn an_error_that_is_no_rows_reaches_all_callers_by_one_statement() {
    let scene = Scene::with(one_flight()).await;
    let denied = "RAISE EXCEPTION 'denied' USING ERRCODE = 'insufficient_privilege';";
    scene.instrument("enqueue_v1", denied).await;
    scene.count_calls("enqueue_v1").await;
    for result in create_at_once(&scene.manager, (0..200).map(payload)).await {
        let Err(EnqueueError::Store(error)) = result else { panic!("{result:?}") };
        assert_eq!(error.get().sqlstate(), Some("42501"));
    }
    assert!(scene.calls().await <= 2, "{} statements", scene.calls().await);
    assert_eq!(scene.number("select count(*) from pgmill.task").await, 0);
}

#[tokio::test]
async fn a_statement_that_others_were_in_the_way_of_is_sent_again() {
    for (function, code) in [
        ("enqueue_v1", "40001"),
        ("enqueue_v1", "55P03"),
        ("release_v1", "40P01"),
        ("retain_v1", "40001"),
        ("retain_one_v1", "40001"),
    ] {
        let scene = Scene::with(BatchOptions::default().floors(false)).await;
        let contended = format!(
            "IF nextval('public.calls') <= 3 THEN RAISE EXCEPTION 'contended' USING ERRCODE = '{code}'; END IF;"
        );
        scene.client.batch_execute("create sequence public.calls").await.unwrap();
        scene.instrument(function, &contended).await;
        create(&scene.manager, 1).await;
        let queues: &[&str] = if function == "retain_v1" { &[] } else { &[QUEUE] };
        let task = scene.manager.next_task("w", queues).await.unwrap().unwrap();
        assert_eq!((task.attempt, task.retries), (1, 3));
        let released =
            scene.manager.release_task(task.claim().unwrap(), Outcome::done_empty()).await.unwrap();
        assert_eq!(released.status, Status::Released);
        assert_eq!(scene.calls().await, 4, "{function} {code}");
        assert_eq!(scene.number("select count(*) from pgmill.task_finished").await, 1);
    }
}

#[tokio::test]
async fn a_key_that_a_foreign_transaction_holds_delays_nobody_without_it() {
    let scene = Scene::new().await;
    let mut foreign = scene.database.connect().await;
    let transaction = foreign.transaction().await.unwrap();
    let hold = "insert into pgmill.task_key (queue_id, key, id)
        select id, 'held', nextval('pgmill.task_id') from pgmill.queue";
    transaction.execute(hold, &[]).await.unwrap();
    let manager = scene.manager.clone();
    let waiting = tokio::spawn(async move { manager.create_task(QUEUE, payload(1).key("held")).await });
    let is_waiting = "select count(*) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'";
    wait_until("the enqueue to wait", LIMIT, async || scene.number(is_waiting).await == 1).await;
    create_at_once(&scene.manager, (0..20).map(payload))
        .await
        .into_iter()
        .for_each(|task| drop(task.unwrap()));
    assert!(!waiting.is_finished());
    transaction.rollback().await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().key.as_deref(), Some("held"));
}

#[tokio::test]
async fn a_partition_that_is_missing_is_made_by_whoever_misses_it() {
    let scene = Scene::new().await;
    let drop_all = "do $$ declare p regclass; begin
        for p in select inhrelid::regclass from pg_inherits where inhparent in ('pgmill.task_finished'::regclass,
            'pgmill.task_attempt'::regclass, 'pgmill.task_gone'::regclass) and inhparent::regclass::text !~ 'index'
        loop execute format('drop table %s', p); end loop;
    end $$";
    for (retention, outcome) in [
        (hours(24), Outcome::done_empty()),
        (hours(24), Outcome::GiveBack),
        (hours(24), Outcome::failed(&1).unwrap()),
        (Duration::ZERO, Outcome::done_empty()),
    ] {
        scene.manager.register_queue(QueueMeta::new(QUEUE).retention(retention)).await.unwrap();
        create(&scene.manager, 1).await;
        let task = take(&scene.manager).await;
        scene.client.batch_execute(drop_all).await.unwrap();
        scene.manager.release_task(&task, outcome.clone()).await.unwrap();
    }
    // A lapsed lease is noted by the retain that takes the task over.
    let task = take(&scene.manager).await;
    scene
        .client
        .batch_execute("update pgmill.task set lease_until = now() - interval '1 minute'")
        .await
        .unwrap();
    scene.client.batch_execute(drop_all).await.unwrap();
    assert_eq!(take(&scene.manager).await.id, task.id);
}

#[tokio::test]
async fn an_answer_comes_after_the_commit() {
    let scene = Scene::new().await;
    for n in 0..100 {
        let task = scene.manager.create_task(QUEUE, payload(n)).await.unwrap();
        let id = i64::try_from(task.id).unwrap();
        let seen = async |query: &str| scene.client.query_opt(query, &[&id]).await.unwrap().is_some();
        assert!(seen("select from pgmill.task where id = $1").await);
        let taken = take(&scene.manager).await;
        assert!(seen("select from pgmill.task where id = $1 and lease_until is not null").await);
        scene.manager.release_task(&taken, Outcome::done_empty()).await.unwrap();
        assert!(seen("select from pgmill.task_finished where id = $1").await);
    }
}

/// Polls a future so many times, then drops it.
async fn give_up_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return std::task::Poll::Ready(None);
        }
        left -= 1;
        let polled = future.as_mut().poll(context).map(Some);
        if left == 0 && polled.is_pending() {
            return std::task::Poll::Ready(None);
        }
        polled
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_go_away_from_an_enqueue_harm_nobody() {
    let scene = Scene::new().await;
    let mut callers = JoinSet::new();
    for n in 0..400 {
        let manager = scene.manager.clone();
        callers.spawn(async move {
            let creating = manager.create_task(QUEUE, payload(n));
            match n % 4 {
                0 => give_up_after(n / 4 % 3, creating).await.transpose().unwrap(),
                1 => {
                    let limit = Duration::from_micros((n * 20) as u64);
                    tokio::time::timeout(limit, creating).await.ok().transpose().unwrap()
                }
                _ => Some(creating.await.unwrap()),
            }
        });
    }
    let created = callers.join_all().await.into_iter().flatten().count() as i64;
    assert!(created >= 200);
    scene.manager.close().await;
    let count = scene.number("select count(*) from pgmill.task").await;
    assert!((created..=400).contains(&count), "{count} tasks, {created} answered");
    assert_eq!(scene.number("select count(distinct payload::text) from pgmill.task").await, count);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_retained_for_callers_that_go_away_is_given_back_at_once() {
    const TASKS: usize = 200;
    let scene = Scene::new().await;
    create(&scene.manager, TASKS).await;
    for round in 0..4 {
        let mut callers = JoinSet::new();
        for n in 0..50_usize {
            let manager = scene.manager.clone();
            callers.spawn(async move {
                let retaining = manager.next_tasks("w", &[QUEUE], Retain::new().count(4));
                if n.is_multiple_of(2) {
                    give_up_after(n / 2 % 4, retaining).await.transpose().unwrap()
                } else {
                    let limit = Duration::from_micros((n * 100 * (round + 1)) as u64);
                    tokio::time::timeout(limit, retaining).await.ok().transpose().unwrap()
                }
            });
        }
        for task in callers.join_all().await.into_iter().flatten().flatten() {
            scene.manager.release_task(&task, Outcome::GiveBack).await.unwrap();
        }
    }
    let mut taken = Vec::new();
    wait_until("all tasks", LIMIT, async || {
        taken.extend(scene.manager.next_tasks("w", &[QUEUE], Retain::new().count(TASKS)).await.unwrap());
        taken.len() >= TASKS
    })
    .await;
    let ids: HashSet<u64> = taken.iter().map(|task| task.id).collect();
    assert_eq!((ids.len(), taken.len()), (TASKS, TASKS));
    assert!(taken.iter().all(|task| task.retries == 3), "an attempt was spent on a caller that had gone");
    assert!(taken.iter().any(|task| task.attempt > 1));
}

#[tokio::test]
async fn callers_beyond_the_room_wait_and_are_all_answered() {
    // Room for eight small calls; what waits in the batcher is what the next statement carries.
    let scene = Scene::with(one_flight().room(8 << 10)).await;
    scene.client.batch_execute("create table public.batch (size integer)").await.unwrap();
    scene.instrument("enqueue_v1", "INSERT INTO public.batch VALUES (cardinality(p_id));").await;
    let results = create_at_once(&scene.manager, (0..500).map(payload)).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(scene.number("select count(*) from pgmill.task").await, 500);
    let largest = scene.number("select max(size)::bigint from public.batch").await;
    assert!((2..=8).contains(&largest), "{largest} calls waited at once");
    // One that is larger than all the room still gets through.
    let large = TaskMeta::raw(Json::encode(&"x".repeat(100 << 10)).unwrap());
    scene.manager.create_task(QUEUE, large).await.unwrap();
}

#[tokio::test]
async fn a_batch_has_at_most_so_many_rows_and_bytes() {
    let scene = Scene::with(one_flight().max_rows(30).max_bytes(10_000)).await;
    scene.client.batch_execute("create table public.batch (size integer, bytes integer)").await.unwrap();
    let note = "INSERT INTO public.batch VALUES (cardinality(p_id), length(array_to_string(p_payload, '')));";
    scene.instrument("enqueue_v1", note).await;
    create_at_once(&scene.manager, (0..100).map(payload))
        .await
        .into_iter()
        .for_each(|task| drop(task.unwrap()));
    assert_eq!(scene.number("select max(size)::bigint from public.batch").await, 30);
    let kilobyte = || payload("x".repeat(1_000));
    let results = create_at_once(&scene.manager, (0..50).map(|_| kilobyte())).await;
    assert!(results.iter().all(Result::is_ok));
    assert!(scene.number("select max(bytes)::bigint from public.batch").await <= 10_000);
    scene.manager.create_task(QUEUE, payload("x".repeat(50_000))).await.unwrap();
}

#[tokio::test]
async fn a_manager_that_closes_answers_what_it_took_and_takes_no_more() {
    let scene = Scene::with(one_flight()).await;
    create(&scene.manager, 1).await;
    let held = take(&scene.manager).await;
    let creating: Vec<_> = (0..100)
        .map(|n| {
            let manager = scene.manager.clone();
            tokio::spawn(async move { manager.create_task(QUEUE, payload(n)).await })
        })
        .collect();
    let releasing = {
        let manager = scene.manager.clone();
        let held = held.clone();
        tokio::spawn(async move { manager.release_task(&held, Outcome::done_empty()).await })
    };
    tokio::task::yield_now().await;
    scene.manager.close().await;
    let mut created = 0;
    for one in creating {
        // Closing has returned, so this is answered.
        match tokio::time::timeout(Duration::from_secs(5), one).await.unwrap().unwrap() {
            Ok(_) => created += 1,
            Err(EnqueueError::Closed) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(created > 0);
    assert_eq!(scene.number("select count(*) from pgmill.task where lease_until is null").await, created);
    releasing.await.unwrap().unwrap();

    let refused = scene.manager.create_task(QUEUE, payload(0)).await;
    assert!(matches!(refused, Err(EnqueueError::Closed)), "{refused:?}");
    let refused = scene.manager.next_task("w", &[QUEUE]).await;
    assert!(matches!(refused, Err(RetainError::Closed)), "{refused:?}");
    let refused = scene.manager.release_task(&held, Outcome::done_empty()).await;
    assert!(matches!(refused, Err(ReleaseError::Closed)), "{refused:?}");
    assert_eq!(scene.manager.get_task(held.id).await.unwrap().status, Some(Status::Released));
}

#[tokio::test]
async fn what_callers_retain_together_has_at_most_so_many_rows() {
    let scene = Scene::with(BatchOptions::default().floors(false)).await;
    create(&scene.manager, 5_000).await;
    scene.client.batch_execute("create table public.batch (want integer)").await.unwrap();
    let note = "INSERT INTO public.batch SELECT sum(want) FROM unnest(p_caller_want) AS x(want);";
    scene.instrument("retain_one_v1", note).await;
    let callers: JoinSet<_> = (0..5)
        .map(|_| {
            let manager = scene.manager.clone();
            async move { manager.next_tasks("w", &[QUEUE], Retain::new().count(1_000)).await.unwrap().len() }
        })
        .collect();
    assert_eq!(callers.join_all().await, [1_000; 5]);
    assert_eq!(scene.number("select count(*) from public.batch").await, 5);
    assert_eq!(scene.number("select max(want)::bigint from public.batch").await, 1_000);
}

#[tokio::test]
async fn a_manager_that_closes_waits_for_tasks_that_are_created_at_once() {
    let scene = Scene::new().await;
    scene.instrument("enqueue_v1", "PERFORM pg_sleep(0.3);").await;
    let manager = scene.manager.clone();
    let creating = tokio::spawn(async move { manager.create_tasks(QUEUE, (0..10).map(payload)).await });
    let under_way = "select count(*) from pg_stat_activity
        where datname = current_database() and wait_event = 'PgSleep'";
    wait_until("the statement", LIMIT, async || scene.number(under_way).await == 1).await;
    scene.manager.close().await;
    assert_eq!(scene.number("select count(*) from pgmill.task").await, 10);
    assert_eq!(creating.await.unwrap().unwrap().len(), 10);
    let refused = scene.manager.create_tasks(QUEUE, [payload(1)]).await;
    assert!(matches!(refused, Err(EnqueueError::Closed)), "{refused:?}");
}
