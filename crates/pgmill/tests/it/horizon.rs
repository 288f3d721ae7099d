//! A transaction that is held open anywhere keeps VACUUM from removing what was done since.

use std::time::Instant;

use pgmill::{Manager, Outcome, QueueMeta, Retain};
use pgmill_testkit::{TestDatabase, skipped};
use tokio::task::JoinSet;
use tokio_postgres::IsolationLevel;

use crate::scene::{QUEUE, builder, create, number, with_parameter};

/// Tasks that were ended since the transaction began, and such that wait.
const ENDED: usize = 200_000;
const WAITING: usize = 4_000;
const BATCH: usize = 20;

/// How many entries of the index of waiting tasks were read so far, with what the only connection of the pool has not
/// reported yet.
async fn entries_read(manager: &Manager) -> i64 {
    let connection = manager.pool().get().await.unwrap();
    let report = "do $$ begin
        if to_regproc('pg_stat_force_next_flush') is not null then
            perform pg_stat_force_next_flush();
        else
            perform pg_sleep(1);
        end if;
    end $$";
    connection.batch_execute(report).await.unwrap();
    number(&connection, "select idx_tup_read from pg_stat_user_indexes where indexrelname = 'task_ready'")
        .await
}

/// Retains and ends a batch, and returns how many entries the retain read.
async fn drain_one(manager: &Manager) -> i64 {
    let before = entries_read(manager).await;
    let tasks = manager.next_tasks("w", &[QUEUE], Retain::new().count(BATCH)).await.unwrap();
    let read = entries_read(manager).await - before;
    assert_eq!(tasks.len(), BATCH);
    let releases: JoinSet<_> = tasks
        .into_iter()
        .map(|task| {
            let manager = manager.clone();
            async move { manager.release_task(&task, Outcome::done_empty()).await.map(drop) }
        })
        .collect();
    releases.join_all().await.into_iter().for_each(Result::unwrap);
    read
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_a_transaction_held_open_retains_do_not_walk_over_all_that_was_done_since() {
    // One every 10 ms, until now.
    walks_are_few("now() - n * interval '10 ms'").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_do_they_if_all_tasks_were_created_at_once() {
    walks_are_few("now() - interval '10 s'").await;
}

/// Drains tasks that were due at these times, by the number n of tasks after each.
async fn walks_are_few(due: &str) {
    let database = TestDatabase::create().await;
    let manager = builder(&with_parameter(database.url(), "pool_max_conns=1")).await.unwrap();
    manager.register_queue(QueueMeta::new(QUEUE).no_ttl()).await.unwrap();
    let client = database.connect().await;
    let fill = format!(
        "insert into pgmill.task (id, run_at, created_at, queue_id, retries, priority, payload)
        select nextval('pgmill.task_id'), {due}, {due}, q.id, 3, 5, '1'
        from pgmill.queue q, generate_series({ENDED} + {WAITING}, 1, -1) n"
    );
    client.batch_execute(&fill).await.unwrap();
    let mut other = database.connect().await;
    let horizon =
        other.build_transaction().isolation_level(IsolationLevel::RepeatableRead).start().await.unwrap();
    horizon.batch_execute("select count(*) from pgmill.queue").await.unwrap();
    client.batch_execute(&format!("delete from pgmill.task where id <= {ENDED}")).await.unwrap();

    let started = Instant::now();
    let mut read = Vec::new();
    for _ in 0..WAITING / BATCH {
        read.push(drain_one(&manager).await);
    }
    // From the left edge a retain walks over all of them. The first tells nothing, for it comes after a pause, and two must be
    // slow; then it may do so once a second, lest it miss what came there.
    let (walks, others): (Vec<i64>, Vec<i64>) = read.into_iter().partition(|read| *read > ENDED as i64 / 2);
    let seconds = started.elapsed().as_secs() as usize;
    assert!(walks.len() <= 3 + seconds, "{} of {} retains in {seconds} s", walks.len(), WAITING / BATCH);
    // The others read what they want, and some more.
    assert!(others.iter().all(|read| *read <= 200), "{others:?}");
    horizon.rollback().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_over_tasks_that_others_hold_or_that_are_delayed() {
    let database = TestDatabase::create().await;
    let manager = builder(&with_parameter(database.url(), "pool_max_conns=1")).await.unwrap();
    manager.register_queue(QueueMeta::new(QUEUE).no_ttl()).await.unwrap();
    let client = database.connect().await;
    let is_late =
        number(&client, "select (to_regproc('pg_stat_force_next_flush') is null)::int::bigint").await == 1;
    if skipped(is_late, "what was read is told a second late, and each retain would come after a pause") {
        return;
    }
    client
        .batch_execute(
            "insert into pgmill.task (id, run_at, created_at, queue_id, retries, priority, payload, attempt, holder, worker,
                started_at, lease_until)
            select nextval('pgmill.task_id'), now() - interval '1 hour', now() - interval '1 hour', q.id, 3, 5, '1', 1, 1,
                'other', now(), now() + interval '1 hour'
            from pgmill.queue q, generate_series(1, 40000);
            insert into pgmill.task (id, run_at, created_at, queue_id, retries, priority, payload)
            select nextval('pgmill.task_id'), now() + interval '1 day', now(), q.id, 3, 5, '1'
            from pgmill.queue q, generate_series(1, 50000)",
        )
        .await
        .unwrap();
    let started = Instant::now();
    let mut read = Vec::new();
    for _ in 0..50 {
        create(&manager, BATCH).await;
        read.push(drain_one(&manager).await);
    }
    let (walks, others): (Vec<i64>, Vec<i64>) = read.into_iter().partition(|read| *read > 10_000);
    // The first tells nothing, for it comes after a pause, and two must be slow; then one every 4 s, although there was never
    // a reason to look there.
    let seconds = started.elapsed().as_secs() as usize;
    assert!(walks.len() <= 3 + seconds / 4, "{} in {seconds} s", walks.len());
    // What was claimed and ended within the margin is walked over.
    assert!(others.iter().all(|read| *read <= 2_000), "{others:?}");
}
