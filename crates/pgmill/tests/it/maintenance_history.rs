//! History is bounded, whoever maintains, and counts stay true.

use std::sync::atomic::{AtomicBool, Ordering};

use pgmill::{Maintained, QueueMeta, Status, hours, seconds};
use pgmill_testkit::wait_until;

use crate::fixture::{Fixture, SOON, done, task};
use crate::maintenance::{cancel, run};
use crate::scene::rewrite;

const PAST_DAY: &str = r#"
    DO $$
    DECLARE
        v_day date := (now() AT TIME ZONE 'UTC')::date - 3;
    BEGIN
        EXECUTE format('CREATE TABLE pgmill.%I PARTITION OF pgmill.task_finished FOR VALUES FROM (%L) TO (%L)',
            'task_finished' || to_char(v_day, '"_"YYYYMMDD'), to_char(v_day, 'YYYY-MM-DD') || ' 00:00:00+00',
            to_char(v_day + 1, 'YYYY-MM-DD') || ' 00:00:00+00');
    END
    $$"#;

impl Fixture {
    /// Finished tasks of `q`, as if they had ended so many days ago.
    async fn finished(&self, status: Status, days_ago: i32, count: i32) {
        let code = status.code();
        self.sql(&format!(
            "WITH made AS (
                INSERT INTO pgmill.task_finished (id, finished_at, created_at, queue_id, retries, attempt, spared, status,
                    priority, holder, payload)
                SELECT nextval('pgmill.task_id'), t.noon, t.noon, q.id, 3, 1, 0, {code}, 5, 1, 'null'
                FROM pgmill.queue q, generate_series(1, {count}), (
                    SELECT (date_trunc('day', now() AT TIME ZONE 'UTC') - interval '{days_ago} days' + interval '12 hours')
                        AT TIME ZONE 'UTC' AS noon) t
                WHERE q.queue = 'q' AND q.ns = 'app'
                RETURNING queue_id, finished_at
            )
            INSERT INTO pgmill.task_count_delta (queue_id, status, day, n)
            SELECT queue_id, {code}, (finished_at AT TIME ZONE 'UTC')::date, count(*) FROM made GROUP BY 1, 2, 3",
        ))
        .await;
    }

    async fn in_history(&self) -> i64 {
        self.number("SELECT count(*) FROM pgmill.task_finished").await
    }
}

/// B31: cleaning removed at most 100 tasks of a queue in an hour, the newest first, and only in the namespace of the process
/// that came first.
#[tokio::test]
async fn b31_history_is_removed_in_every_namespace_whoever_maintains() {
    let fixture = Fixture::new().await;
    for namespace in ["app", "other", "third"] {
        let manager = fixture.manager.with_namespace(namespace).unwrap();
        manager.register_queue(QueueMeta::new("q").retention(hours(1))).await.unwrap();
        for _ in 0..150 {
            manager.create_task("q", task(1)).await.unwrap();
        }
        for task in manager.next_tasks("w", &["q"], pgmill::Retain::new().count(150)).await.unwrap() {
            manager.release_task(&task, done()).await.unwrap();
        }
    }
    let kept = fixture.create(task("late")).await;
    fixture.sql("UPDATE pgmill.task_finished SET finished_at = finished_at - interval '61 minutes'").await;
    fixture.finish(done()).await;
    let (running, shutdown) = run(&fixture.manager.with_namespace("unrelated").unwrap());
    wait_until("all that is past its retention to be gone", SOON, async || fixture.in_history().await == 1)
        .await;
    assert_eq!(fixture.status(&kept).await, Status::Released);
    cancel(running, &shutdown).await;
    assert_eq!(fixture.count(Status::Released).await, 1);
}

#[tokio::test]
async fn history_does_not_grow_beyond_what_is_kept() {
    let fixture = Fixture::with(QueueMeta::new("q").retention(seconds(1))).await;
    fixture.hurry(50).await;
    let (running, shutdown) = run(&fixture.manager);
    for _ in 0..20 {
        fixture.manager.create_tasks("q", (0..50).map(task)).await.unwrap();
        for task in fixture.manager.next_tasks("w", &["q"], pgmill::Retain::new().count(50)).await.unwrap() {
            fixture.manager.release_task(&task, done()).await.unwrap();
        }
    }
    wait_until("history to be empty", SOON, async || fixture.in_history().await == 0).await;
    wait_until("counts to say so", SOON, async || fixture.count(Status::Released).await == 0).await;
    cancel(running, &shutdown).await;
}

#[tokio::test]
async fn a_hundred_thousand_tasks_are_deleted_by_statements_of_5000() {
    let fixture = Fixture::with(QueueMeta::new("q").retention(hours(1))).await;
    fixture.finished(Status::Released, 1, 100_000).await;
    fixture.finished(Status::Failed, 1, 100_000).await;
    fixture.sql("CREATE SEQUENCE public.calls").await;
    rewrite(&fixture.client, "prune_finished_v1", "BEGIN", "BEGIN PERFORM nextval('public.calls');").await;
    fixture
        .sql(
            "CREATE TABLE public.deleted (rows bigint);
            CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN INSERT INTO public.deleted SELECT count(*) FROM gone; RETURN NULL; END $$;
            DO $$ BEGIN
                EXECUTE format('CREATE TRIGGER note AFTER DELETE ON pgmill.%I REFERENCING OLD TABLE AS gone
                    FOR EACH STATEMENT EXECUTE FUNCTION public.note()',
                    'task_finished' || to_char((now() AT TIME ZONE 'UTC')::date - 1, '\"_\"YYYYMMDD'));
            END $$",
        )
        .await;
    let done = fixture.manager.prune().await.unwrap();
    assert_eq!((done.pruned, done.rewritten, done.dropped), (100_000, 0, 0));
    assert_eq!(fixture.number("SELECT max(rows) FROM public.deleted").await, 5_000);
    let calls = fixture.number("SELECT last_value FROM public.calls").await;
    assert!((20..=21).contains(&calls), "{calls} statements");
    assert_eq!(fixture.manager.prune().await.unwrap(), Maintained::default());
    assert_eq!((fixture.count(Status::Released).await, fixture.count(Status::Failed).await), (0, 100_000));
}

#[tokio::test]
async fn a_day_is_written_anew_and_dropped_beside_tasks_that_are_released() {
    let fixture = Fixture::with_queue().await;
    fixture.sql(PAST_DAY).await;
    fixture.finished(Status::Released, 3, 50_000).await;
    fixture.finished(Status::Failed, 3, 500).await;
    let over = AtomicBool::new(false);
    let working = async {
        let mut released = 0;
        while !over.load(Ordering::Relaxed) {
            fixture.create(task(1)).await;
            fixture.finish(done()).await;
            released += 1;
            // A count is that of one moment, whatever is swapped.
            let counted = fixture.count(Status::Released).await;
            assert!(counted == released || counted == released + 50_000, "{counted} beside {released}");
            assert!([0, 500].contains(&fixture.count(Status::Failed).await));
        }
        released
    };
    let pruning = async {
        let mut done = Maintained::default();
        wait_until("the day to be written anew", SOON, async || {
            done += fixture.manager.prune().await.unwrap();
            done.rewritten == 1
        })
        .await;
        let kept = "SELECT count(*) FROM pgmill.task_finished WHERE status = 4";
        assert_eq!(fixture.number(kept).await, 500);
        // Now nobody keeps anything.
        fixture.manager.update_queue("q", QueueMeta::patch().retention_failed(hours(24))).await.unwrap();
        wait_until("the day to be dropped", SOON, async || {
            done += fixture.manager.prune().await.unwrap();
            done.dropped > 0
        })
        .await;
        over.store(true, Ordering::Relaxed);
    };
    let (released, ()) = tokio::join!(working, pruning);
    assert_eq!(fixture.in_history().await, i64::try_from(released).unwrap());
    assert_eq!((fixture.count(Status::Released).await, fixture.count(Status::Failed).await), (released, 0));
}

/// Were folded changes only deleted, the table would take 9 MB by the end: VACUUM may not remove what a snapshot still sees.
#[tokio::test]
async fn the_table_of_count_changes_stays_small_under_an_open_transaction() {
    let fixture = Fixture::with_queue().await;
    let open = fixture.database.connect().await;
    open.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM pgmill.queue").await.unwrap();
    let mut largest = 0;
    for _ in 0..10 {
        fixture
            .sql(
                "INSERT INTO pgmill.task_count_delta (queue_id, status, day, n)
                SELECT id, 0, '-infinity', 1 FROM pgmill.queue, generate_series(1, 20000)",
            )
            .await;
        largest = largest.max(fixture.number("SELECT pg_relation_size('pgmill.task_count_delta')").await);
        assert!(fixture.manager.fold_counts().await.unwrap().folded >= 20_000);
    }
    assert!(largest < 6 << 20, "{largest} bytes");
    assert_eq!(fixture.count(Status::New).await, 200_000);
    open.batch_execute("ROLLBACK").await.unwrap();
}

#[tokio::test]
async fn a_deleted_queue_leaves_nothing_behind() {
    let fixture = Fixture::with_queue().await;
    for n in 0..5 {
        fixture.create(task(n).key(n.to_string())).await;
    }
    fixture.finish(done()).await;
    fixture.finish(pgmill::Outcome::failed(&"no").unwrap()).await;
    fixture.retain().await;
    fixture.manager.delete_queue("q").await.unwrap();
    let done = fixture.manager.maintain().await.unwrap();
    assert_eq!((done.orphaned, done.pruned, done.keys), (3, 2, 5));
    for table in ["task", "task_finished", "task_key", "task_count", "task_count_delta"] {
        assert_eq!(fixture.number(&format!("SELECT count(*) FROM pgmill.{table}")).await, 0, "{table}");
    }
    assert_eq!(fixture.manager.maintain().await.unwrap(), Maintained::default());
}
