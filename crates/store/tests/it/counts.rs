//! The counters tell what a count of the rows would.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pgmill_schema::{Outcome, QueueMeta, Status};
use pgmill_store::{Ended, Sending, StoreError, SweepPlace};
use tokio::task::JoinSet;

use crate::support::{Fixture, done, retry};

/// What is stored: state by state, over the rows themselves.
const STORED: &str = "
    SELECT q.queue, s.status, count(*)::bigint
    FROM (
        SELECT queue_id,
            CASE WHEN lease_until IS NOT NULL THEN 2 WHEN attempt = coalesce(spared, 0) THEN 0 ELSE 1 END AS status
        FROM pgmill.task
        UNION ALL
        SELECT queue_id, status FROM pgmill.task_finished
    ) s
    JOIN pgmill.queue q ON q.id = s.queue_id
    WHERE q.ns = $1
    GROUP BY q.queue, s.status ORDER BY q.queue, s.status";

impl Fixture {
    pub(crate) async fn assert_counts_are_true(&self) {
        let rows = self.client.query(STORED, &[&self.namespace.as_str()]).await.unwrap();
        let stored: Vec<(String, i16, i64)> = rows
            .iter()
            .map(|row| (row.get(0), i16::try_from(row.get::<_, i32>(1)).unwrap(), row.get(2)))
            .collect();
        let counted = self.store.list_queue_statuses(&self.namespace).await.unwrap();
        let counted: Vec<(String, i16, i64)> = counted
            .iter()
            .filter(|count| count.count > 0)
            .map(|count| (count.queue.as_str().to_owned(), count.status.code(), count.count.cast_signed()))
            .collect();
        assert_eq!(counted, stored);
    }

    /// How many tasks there are, live and finished, by the counters.
    async fn counted(&self) -> u64 {
        self.store.list_queue_statuses(&self.namespace).await.unwrap().iter().map(|count| count.count).sum()
    }
}

#[tokio::test]
async fn counters_equal_a_count_of_the_rows_after_whatever_happened() {
    let fixture = Fixture::new().await;
    let queues = [
        fixture.queue(QueueMeta::new("kept")).await,
        fixture.queue(QueueMeta::new("forgetful").retention(Duration::ZERO)).await,
        fixture.queue(QueueMeta::new("once").retries(1)).await,
    ];
    // A sequence of numbers that looks random and is the same every time.
    let mut number = 12_345_u64;
    let mut draw = |below: u64| {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (number >> 33) % below
    };
    for round in 0..120 {
        let queue = &queues[usize::try_from(draw(3)).unwrap()];
        match draw(9) {
            0..=2 => drop(fixture.create(queue, i32::try_from(draw(10)).unwrap() + 1).await),
            3..=6 => {
                let tasks = fixture.retain(queue, i32::try_from(draw(6)).unwrap() + 1).await;
                let endings: Vec<_> = tasks
                    .iter()
                    .map(|retained| {
                        let outcome = match draw(6) {
                            0 => done(),
                            1 => retry(),
                            2 => Outcome::failed(&"no").unwrap(),
                            3 => Outcome::GiveBack,
                            4 => Outcome::Snooze(Duration::from_secs(60)),
                            _ => Outcome::cancelled(&"off").unwrap(),
                        };
                        fixture.ending(&retained.task, outcome)
                    })
                    .collect();
                // Some are left to lapse.
                let some = &endings[..endings.len() - endings.len() / 3];
                let answers = fixture.store.release(some, Sending::First).await.unwrap();
                assert!(answers.iter().all(|answer| matches!(answer, Ended::Released { .. })), "{answers:?}");
            }
            7 => {
                fixture.lapse_leases().await;
                fixture.skip_pauses().await;
                fixture
                    .sql("UPDATE pgmill.task SET dies_at = now() - interval '1 s' WHERE id % 17 = 0")
                    .await;
                fixture.store.sweep(SweepPlace::START, 1000).await.unwrap();
            }
            _ => {
                fixture.store.clean_queue(&fixture.namespace, queue, 2).await.unwrap();
                fixture.store.fold_counts(7).await.unwrap();
            }
        }
        if round % 10 == 0 {
            fixture.assert_counts_are_true().await;
        }
    }
    fixture.assert_counts_are_true().await;
    let states = fixture.store.list_queue_statuses(&fixture.namespace).await.unwrap();
    let seen: Vec<Status> = states.iter().filter(|state| state.count > 0).map(|state| state.status).collect();
    for status in
        [Status::New, Status::Retry, Status::Released, Status::Failed, Status::Expired, Status::Cancelled]
    {
        assert!(seen.contains(&status), "the rounds led to {status}: {seen:?}");
    }
}

#[tokio::test]
async fn folding_changes_no_count_and_leaves_no_changes() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    for _ in 0..10 {
        fixture.create(&queue, 2).await;
        fixture.finish_one(&queue, done()).await;
    }
    let before = fixture.store.list_queue_statuses(&fixture.namespace).await.unwrap();
    let changes = fixture.number("SELECT count(*) FROM pgmill.task_count_delta").await.cast_unsigned();
    assert_eq!(fixture.store.fold_counts(3).await.unwrap().changes, 3);
    assert_eq!(fixture.store.list_queue_statuses(&fixture.namespace).await.unwrap(), before);
    assert_eq!(fixture.store.fold_counts(1000).await.unwrap().changes, changes - 3);
    assert_eq!(fixture.store.list_queue_statuses(&fixture.namespace).await.unwrap(), before);
    assert_eq!(fixture.store.fold_counts(1000).await.unwrap().changes, 0);
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn folds_at_once_fold_each_change_once() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    for _ in 0..40 {
        fixture.create(&queue, 1).await;
    }
    let fold = || fixture.store.fold_counts(15);
    let (a, b, c) = tokio::join!(fold(), fold(), fold());
    assert!(a.unwrap().changes + b.unwrap().changes + c.unwrap().changes <= 40);
    while fixture.store.fold_counts(15).await.unwrap().changes > 0 {}
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn the_counts_of_a_queue_that_is_deleted_go_with_it() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    fixture.create(&queue, 3).await;
    fixture.store.fold_counts(100).await.unwrap();
    fixture.create(&queue, 3).await;
    fixture.store.delete_queue(&fixture.namespace, &queue).await.unwrap();
    fixture.store.fold_counts(100).await.unwrap();
    assert_eq!(fixture.number("SELECT count(*) FROM pgmill.task_count").await, 0);
    fixture.plain_queue().await;
    let counts = fixture.store.list_queue_statuses(&fixture.namespace).await.unwrap();
    assert_eq!(counts.len(), 7);
    assert!(counts.iter().all(|count| count.count == 0), "{counts:?}");
}

#[tokio::test]
async fn a_rotation_folds_everything_and_leaves_an_empty_table() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    for _ in 0..5 {
        fixture.create(&queue, 2).await;
        fixture.finish_one(&queue, done()).await;
    }
    let gone = fixture.queue(QueueMeta::new("gone")).await;
    fixture.create(&gone, 1).await;
    fixture.store.delete_queue(&fixture.namespace, &gone).await.unwrap();
    let before = fixture.store.list_queue_statuses(&fixture.namespace).await.unwrap();
    let changes = fixture.number("SELECT count(*) FROM pgmill.task_count_delta").await.cast_unsigned();
    assert_eq!(fixture.store.rotate_counts().await.unwrap(), changes);
    assert_eq!(fixture.number("SELECT pg_relation_size('pgmill.task_count_delta')").await, 0);
    assert_eq!(fixture.store.list_queue_statuses(&fixture.namespace).await.unwrap(), before);
    assert_eq!(fixture.store.rotate_counts().await.unwrap(), 0);
    fixture.assert_counts_are_true().await;
}

/// Were the changes emptied in a moment that a reader can fall between, its count would be short.
#[tokio::test]
async fn counts_are_exact_at_every_moment_while_folds_and_rotations_go_on() {
    let fixture = Arc::new(Fixture::new().await);
    let queue = fixture.plain_queue().await;
    let (begun, created) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut writers = JoinSet::new();
    for _ in 0..3 {
        let (fixture, queue) = (Arc::clone(&fixture), queue.clone());
        let (begun, created) = (Arc::clone(&begun), Arc::clone(&created));
        writers.spawn(async move {
            for _ in 0..150 {
                let tasks = fixture.new_tasks(&queue, 3).await;
                begun.fetch_add(3, Ordering::SeqCst);
                fixture.create_all(&tasks).await;
                created.fetch_add(3, Ordering::SeqCst);
                let endings: Vec<_> = (fixture.retain(&queue, 2).await.iter())
                    .map(|retained| fixture.ending(&retained.task, done()))
                    .collect();
                fixture.store.release(&endings, Sending::First).await.unwrap();
            }
        });
    }
    let keeping = {
        let fixture = Arc::clone(&fixture);
        tokio::spawn(async move {
            let mut rotations = 0;
            loop {
                fixture.store.fold_counts(20).await.unwrap();
                match fixture.store.rotate_counts().await {
                    Ok(_) => rotations += 1,
                    Err(error) => assert!(matches!(error, StoreError::Contended(_)), "{error:?}"),
                }
                if begun.load(Ordering::SeqCst) == 3 * 3 * 150 {
                    return rotations;
                }
                let least = created.load(Ordering::SeqCst);
                let counted = fixture.counted().await;
                let most = begun.load(Ordering::SeqCst);
                assert!((least..=most).contains(&counted), "{counted} is not within {least} and {most}");
            }
        })
    };
    let reading = {
        let fixture = Arc::clone(&fixture);
        async move {
            let (mut last, mut reads) = (0, 0);
            while last < 3 * 3 * 150 {
                let counted = fixture.counted().await;
                assert!(counted >= last, "{last} tasks became {counted}");
                last = counted;
                reads += 1;
            }
            reads
        }
    };
    let reads = reading.await;
    writers.join_all().await;
    let rotations = keeping.await.unwrap();
    assert!(rotations >= 10 && reads >= 100, "{rotations} rotations, {reads} reads");
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn a_rotation_gives_way_to_a_transaction_that_enqueued_and_is_open() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    fixture.create(&queue, 1).await;
    fixture.sql("BEGIN; SELECT pgmill.create_task('app', 'plain', 'null')").await;
    let error = fixture.store.rotate_counts().await.unwrap_err();
    assert!(matches!(error, StoreError::Contended(_)), "{error:?}");
    fixture.create(&queue, 1).await;
    // Once it has been open for a while, nothing waits for it.
    fixture.sql("SELECT pg_sleep(1.1)").await;
    let beside = fixture.database.connect().await;
    beside.batch_execute("SET lock_timeout = '10s'").await.unwrap();
    let error =
        beside.batch_execute("SELECT pgmill.give_way_v1('pgmill.task_count_delta')").await.unwrap_err();
    assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some("55P03"));
    fixture.sql("ROLLBACK").await;
    assert!(fixture.store.rotate_counts().await.unwrap() > 0);
    fixture.assert_counts_are_true().await;
}
