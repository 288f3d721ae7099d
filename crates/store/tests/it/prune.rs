//! Removal of history: what goes, in which way, and what stays.

use std::time::Duration;

use pgmill_schema::{Outcome, QueueMeta, QueueName, Status, days, hours, seconds};
use pgmill_store::{Ended, PruneStep, Sending, StoreError};

use crate::support::{Fixture, done};

/// Makes the days of history from so many days ago on, as they were made when they were ahead.
const PAST_DAYS: &str = r#"
    DO $$
    DECLARE
        v_parent text;
        v_child text;
        v_day date;
    BEGIN
        FOREACH v_parent IN ARRAY ARRAY['task_finished', 'task_attempt', 'task_gone'] LOOP
            FOR v_day IN SELECT (now() AT TIME ZONE 'UTC')::date - n FROM generate_series(2, 12) n LOOP
                v_child := v_parent || to_char(v_day, '"_"YYYYMMDD');
                EXECUTE format('CREATE TABLE pgmill.%I PARTITION OF pgmill.%I FOR VALUES FROM (%L) TO (%L)', v_child,
                    v_parent, to_char(v_day, 'YYYY-MM-DD') || ' 00:00:00+00', to_char(v_day + 1, 'YYYY-MM-DD') || ' 00:00:00+00');
            END LOOP;
        END LOOP;
    END
    $$"#;

impl Fixture {
    async fn with_past() -> Self {
        let fixture = Self::new().await;
        fixture.sql(PAST_DAYS).await;
        fixture
    }

    /// Finished tasks of a queue, as if they had ended so many days ago at noon UTC.
    async fn finished(&self, queue: &QueueName, status: Status, days_ago: i32, count: i32) {
        let code = status.code();
        self.sql(&format!(
            "WITH made AS (
                INSERT INTO pgmill.task_finished (id, finished_at, created_at, queue_id, retries, attempt, spared, status,
                    priority, holder, payload)
                SELECT nextval('pgmill.task_id'), t.noon, t.noon, q.id, 3, 1, 0, {code}, 5, 1, 'null'
                FROM pgmill.queue q, generate_series(1, {count}), (
                    SELECT (date_trunc('day', now() AT TIME ZONE 'UTC') - interval '{days_ago} days' + interval '12 hours')
                        AT TIME ZONE 'UTC' AS noon) t
                WHERE q.queue = '{queue}'
                RETURNING queue_id, finished_at
            )
            INSERT INTO pgmill.task_count_delta (queue_id, status, day, n)
            SELECT queue_id, {code}, (finished_at AT TIME ZONE 'UTC')::date, count(*) FROM made GROUP BY 1, 2, 3",
        ))
        .await;
    }

    async fn rows(&self, queue: &str, status: Status) -> i64 {
        self.number(&format!(
            "SELECT count(*) FROM pgmill.task_finished f JOIN pgmill.queue q ON q.id = f.queue_id
            WHERE q.queue = '{queue}' AND f.status = {}",
            status.code()
        ))
        .await
    }

    async fn partitions(&self, table: &str) -> i64 {
        self.number(&format!("SELECT count(*) FROM pg_inherits WHERE inhparent = 'pgmill.{table}'::regclass"))
            .await
    }

    /// Takes every step there is, and tells how many of each kind: days dropped, written anew, tasks deleted.
    async fn prune(&self) -> (usize, usize, u64) {
        let (mut dropped, mut rewritten, mut deleted) = (0, 0, 0);
        for step in self.store.prune_steps().await.unwrap() {
            match step {
                PruneStep::Drop(day) => dropped += usize::from(self.store.drop_day(&day).await.unwrap()),
                PruneStep::Rewrite { day, .. } => {
                    rewritten += usize::from(self.store.rewrite_day(day).await.unwrap().is_some());
                }
                PruneStep::Delete(past) => {
                    let mut after = None;
                    loop {
                        let (pruned, place) = self.store.prune_finished(past, after, 100).await.unwrap();
                        assert!(pruned <= 100);
                        deleted += pruned;
                        after = place;
                        if after.is_none() {
                            break;
                        }
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        (dropped, rewritten, deleted)
    }
}

#[tokio::test]
async fn days_that_nobody_keeps_are_dropped_with_their_counts() {
    let fixture = Fixture::with_past().await;
    let queue = fixture.plain_queue().await;
    for days_ago in 1..=12 {
        fixture.finished(&queue, Status::Failed, days_ago, 3).await;
    }
    fixture.store.fold_counts(5).await.unwrap();
    // Failed tasks are kept for 7 days: those of 9 days ago and before are past it whatever the hour, and so are attempts.
    let before = fixture.partitions("task_finished").await;
    let (dropped, rewritten, deleted) = fixture.prune().await;
    assert_eq!((rewritten, deleted), (0, 0));
    let left = before - fixture.partitions("task_finished").await;
    assert!(
        (4..=5).contains(&left),
        "{left}: of 12, 11, 10 and 9 days ago, and of 8 if it is over for 7 days"
    );
    assert_eq!(before - fixture.partitions("task_attempt").await, left);
    assert_eq!(fixture.partitions("task_gone").await, 9, "receipts are kept for a day, whatever queues keep");
    assert_eq!(dropped, usize::try_from(2 * left + 11).unwrap());
    assert_eq!(fixture.rows("plain", Status::Failed).await, 3 * (12 - left));
    fixture.assert_counts_are_true().await;
    assert_eq!(fixture.prune().await, (0, 0, 0));
    assert_eq!(fixture.store.ensure_partitions(7).await.unwrap(), 0, "what is dropped is not made again");
}

#[tokio::test]
async fn a_day_of_which_little_is_kept_is_written_anew() {
    let fixture = Fixture::with_past().await;
    let queue = fixture.plain_queue().await;
    let other = fixture.queue(QueueMeta::new("other").retention(days(30))).await;
    fixture.finished(&queue, Status::Released, 4, 20_000).await;
    fixture.finished(&queue, Status::Failed, 4, 200).await;
    fixture.finished(&other, Status::Released, 4, 100).await;
    fixture.finished(&queue, Status::Released, 3, 10_000).await;
    fixture.store.fold_counts(1).await.unwrap();
    let indexes = "SELECT string_agg(regexp_replace(indexdef, 'INDEX .* ON pgmill.\\S*', ''), ' ' ORDER BY indexdef)
        FROM pg_indexes WHERE tablename = 'task_finished' || to_char(now() AT TIME ZONE 'UTC' - interval '4 days', '\"_\"YYYYMMDD')";
    let before: Option<String> = fixture.client.query_one(indexes, &[]).await.unwrap().get(0);
    let dropped_and = fixture.prune().await;
    assert_eq!((dropped_and.1, dropped_and.2), (2, 0));
    assert_eq!(fixture.rows("plain", Status::Released).await, 0);
    assert_eq!(fixture.rows("plain", Status::Failed).await, 200);
    assert_eq!(fixture.rows("other", Status::Released).await, 100);
    fixture.assert_counts_are_true().await;
    let after: Option<String> = fixture.client.query_one(indexes, &[]).await.unwrap().get(0);
    assert!(before.is_some());
    assert_eq!(after, before, "it has the indexes of every day");
    let checks = "SELECT count(*) FROM pg_constraint WHERE conname = 'day'";
    assert_eq!(fixture.number(checks).await, 0);
    assert_eq!(fixture.prune().await, (0, 0, 0));

    // It is a day like any other: it can be written anew once more, and dropped.
    fixture.finished(&queue, Status::Released, 4, 10_000).await;
    assert_eq!(fixture.prune().await, (0, 1, 0));
    assert_eq!(fixture.rows("plain", Status::Failed).await, 200);
    fixture.assert_counts_are_true().await;
    fixture.sql("UPDATE pgmill.queue SET retention = 0, retention_failed = 0").await;
    let (dropped, rewritten, _) = fixture.prune().await;
    assert!(dropped > 0 && rewritten == 0);
    assert_eq!(fixture.number("SELECT count(*) FROM pgmill.task_finished").await, 0);
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn tasks_leave_a_day_of_which_much_is_kept_by_chunks() {
    let fixture = Fixture::with_past().await;
    let queue = fixture.plain_queue().await;
    fixture.finished(&queue, Status::Released, 3, 250).await;
    fixture.finished(&queue, Status::Failed, 3, 250).await;
    assert_eq!(fixture.prune().await.2, 250);
    assert_eq!(fixture.rows("plain", Status::Failed).await, 250);
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn tasks_kept_for_a_day_stay_until_their_day_has_been_over_for_that_long() {
    let fixture = Fixture::with_past().await;
    let queue = fixture.queue(QueueMeta::new("plain").retention_failed(days(2))).await;
    for days_ago in 0..=3 {
        fixture.finished(&queue, Status::Released, days_ago, 1).await;
        fixture.finished(&queue, Status::Failed, days_ago, 1).await;
    }
    fixture.prune().await;
    let kept = fixture.rows("plain", Status::Released).await;
    assert_eq!(kept, 2, "of today and yesterday");
    assert_eq!(fixture.rows("plain", Status::Failed).await, 3);
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn queues_that_keep_less_than_a_day_are_pruned_as_soon_as_that_is_over() {
    let fixture = Fixture::with_past().await;
    let meta = QueueMeta::new("brief").retention(hours(1)).retention_failed(seconds(0)).retries(1);
    let (brief, plain) = (fixture.queue(meta).await, fixture.plain_queue().await);
    let mut ids = Vec::new();
    for queue in [&brief, &plain] {
        fixture.create(queue, 3).await;
        for outcome in [done(), done(), Outcome::failed(&"no").unwrap()] {
            ids.push(fixture.finish_one(queue, outcome).await.id);
        }
    }
    fixture
        .sql(&format!(
            "UPDATE pgmill.task_finished SET finished_at = finished_at - interval '61 minutes' WHERE id IN ({}, {})",
            ids[0], ids[3]
        ))
        .await;
    assert_eq!(fixture.prune().await.2, 2, "one that is done and is past its hour, and what failed");
    assert_eq!(fixture.rows("brief", Status::Released).await, 1);
    assert_eq!(fixture.rows("brief", Status::Failed).await, 0);
    assert_eq!(
        (fixture.rows("plain", Status::Released).await, fixture.rows("plain", Status::Failed).await),
        (2, 1)
    );
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn a_release_and_an_enqueue_that_are_repeated_still_find_a_task_that_was_pruned() {
    let fixture = Fixture::new().await;
    let meta = QueueMeta::new("plain").retention(Duration::from_micros(1)).retention_failed(seconds(0));
    let queue = fixture.queue(meta).await;
    for (outcome, status) in [(done(), Status::Released), (Outcome::failed(&"no").unwrap(), Status::Failed)] {
        let tasks = fixture.new_tasks(&queue, 1).await;
        fixture.create_all(&tasks).await;
        let task = fixture.retain_one(&queue).await;
        let ending = fixture.ending(&task, outcome);
        fixture.end(ending.clone()).await;
        assert_eq!(fixture.prune().await.2, 1);
        let again = fixture.store.release(&[ending], Sending::Again).await.unwrap().remove(0);
        assert!(matches!(again, Ended::Settled(as_before) if as_before == status), "{again:?}");
        fixture.store.enqueue(&tasks, Sending::Again).await.unwrap();
        assert_eq!(fixture.number("SELECT count(*) FROM pgmill.task").await, 0, "it is not created anew");
    }
}

#[tokio::test]
async fn history_of_a_queue_that_is_gone_is_deleted_at_once() {
    let fixture = Fixture::with_past().await;
    let (gone, queue) =
        (fixture.queue(QueueMeta::new("gone").retention(days(300))).await, fixture.plain_queue().await);
    for days_ago in [0, 1, 3] {
        fixture.finished(&gone, Status::Released, days_ago, 150).await;
        fixture.finished(&queue, Status::Failed, days_ago, 1).await;
    }
    fixture.store.delete_queue(&fixture.namespace, &gone).await.unwrap();
    assert_eq!(fixture.prune().await.2, 450);
    assert_eq!(fixture.number("SELECT count(*) FROM pgmill.task_finished").await, 3);
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn nothing_is_dropped_while_somebody_reads_and_nobody_waits_for_that() {
    let fixture = Fixture::with_past().await;
    let queue = fixture.plain_queue().await;
    fixture.finished(&queue, Status::Failed, 12, 1).await;
    fixture.finished(&queue, Status::Released, 3, 10_000).await;
    fixture.create(&queue, 1).await;
    let reader = fixture.database.connect().await;
    reader.batch_execute("BEGIN; SELECT FROM pgmill.task_finished LIMIT 1").await.unwrap();
    let steps = fixture.store.prune_steps().await.unwrap();
    for step in &steps {
        let error = match step {
            PruneStep::Drop(day) if format!("{day:?}").contains("task_finished") => {
                fixture.store.drop_day(day).await.unwrap_err()
            }
            PruneStep::Rewrite { day, .. } => fixture.store.rewrite_day(*day).await.unwrap_err(),
            _ => continue,
        };
        assert!(matches!(error, StoreError::Contended(_)), "{error:?}");
    }
    fixture.finish_one(&queue, done()).await;
    assert_eq!(fixture.rows("plain", Status::Released).await, 10_001, "nothing has changed");
    reader.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(fixture.prune().await.1, 1);
    assert_eq!(fixture.number("SELECT count(*) FROM pg_class WHERE relname ~ '_anew$'").await, 0);
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn prunes_at_once_do_not_stand_in_each_others_way() {
    let fixture = Fixture::with_past().await;
    let queue = fixture.queue(QueueMeta::new("brief").retention(seconds(1))).await;
    for days_ago in [1, 2] {
        fixture.finished(&queue, Status::Released, days_ago, 1_000).await;
    }
    let steps = fixture.store.prune_steps().await.unwrap();
    let past: Vec<_> = steps
        .into_iter()
        .filter_map(|step| match step {
            PruneStep::Delete(past) => Some(past),
            _ => None,
        })
        .collect();
    assert_eq!(past.len(), 2);
    let prune = async || {
        let mut deleted = 0;
        for past in &past {
            let mut after = None;
            loop {
                let (pruned, place) = fixture.store.prune_finished(*past, after, 70).await.unwrap();
                deleted += pruned;
                after = place;
                if after.is_none() {
                    break;
                }
            }
        }
        deleted
    };
    let (a, b, c) = tokio::join!(prune(), prune(), prune());
    assert_eq!(a + b + c, 2_000);
    fixture.assert_counts_are_true().await;
}

/// The changes of the counters, which have no index, were read once for each queue, status and day.
#[tokio::test]
async fn what_to_prune_is_found_in_a_few_seconds_however_many_queues_and_changes_of_counters_there_are() {
    let fixture = Fixture::with_past().await;
    fixture
        .sql(
            "INSERT INTO pgmill.queue (ns, queue, retries, retry_delay, backoff, max_retry_delay, retention, retention_failed,
                lease)
            SELECT 'app', 'q' || n, 3, 0, 0, 1, 86400000000, 7 * 86400000000, 30000000 FROM generate_series(1, 300) n;
            CREATE TEMPORARY TABLE past AS
                SELECT q.id AS queue_id, s AS status, date_trunc('day', now() AT TIME ZONE 'UTC') - n * interval '1 day' AS day
                FROM pgmill.queue q, generate_series(3, 4) s, generate_series(1, 7) n;
            INSERT INTO pgmill.task_finished (id, finished_at, created_at, queue_id, retries, attempt, spared, status,
                priority, holder, payload)
            SELECT nextval('pgmill.task_id'), p.day AT TIME ZONE 'UTC', now(), p.queue_id, 3, 1, 0, p.status, 5, 1, 'null'
            FROM past p;
            INSERT INTO pgmill.task_count_delta (queue_id, status, day, n)
            SELECT p.queue_id, p.status, p.day, CASE WHEN n = 1 THEN 1 WHEN n % 2 = 0 THEN 2 ELSE -2 END
            FROM past p, generate_series(1, 19) n;
            SET statement_timeout = '3s'",
        )
        .await;
    assert_eq!(fixture.number("SELECT count(*) FROM pgmill.task_count_delta").await, 79_800);
    let deletions = fixture.number("SELECT count(*) FROM pgmill.prune_steps_v1() WHERE step = 2").await;
    assert_eq!(deletions, 6 * 300, "what was done 2 days ago and before");
    fixture.assert_counts_are_true().await;
}

/// Days that are too large to be written anew within `statement_timeout` are told from those whose lock is not had.
#[tokio::test]
async fn a_day_that_is_written_anew_can_be_cleared_by_chunks_instead() {
    let fixture = Fixture::with_past().await;
    let queue = fixture.plain_queue().await;
    fixture.finished(&queue, Status::Released, 3, 10_000).await;
    fixture.finished(&queue, Status::Failed, 3, 20).await;
    let steps = fixture.store.prune_steps().await.unwrap();
    let otherwise = steps.into_iter().find_map(|step| match step {
        PruneStep::Rewrite { otherwise, .. } => Some(otherwise),
        _ => None,
    });
    let [past] = *otherwise.expect("a day to write anew") else { panic!("more than one status to delete") };
    assert_eq!(fixture.store.prune_finished(past, None, 20_000).await.unwrap(), (10_000, None));
    assert_eq!(fixture.rows("plain", Status::Failed).await, 20);
    fixture.assert_counts_are_true().await;
    let (_, rewritten, deleted) = fixture.prune().await;
    assert_eq!((rewritten, deleted), (0, 0));
}
