//! The daily partitions of the history.

use pgmill_schema::Outcome;
use pgmill_store::StoreError;

use crate::support::{Fixture, done};

const DROP_TODAY: &str = r#"
    DO $$
    DECLARE
        v_table text;
    BEGIN
        FOREACH v_table IN ARRAY ARRAY['task_finished', 'task_attempt', 'task_gone'] LOOP
            EXECUTE 'DROP TABLE pgmill.' || v_table || to_char(now() AT TIME ZONE 'UTC', '"_"YYYYMMDD');
        END LOOP;
    END
    $$"#;

#[tokio::test]
async fn a_release_without_a_partition_for_today_says_so_and_goes_through_once_it_is_made() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    fixture.create(&queue, 1).await;
    let task = fixture.retain_one(&queue).await;
    fixture.sql(DROP_TODAY).await;
    for outcome in [done(), Outcome::GiveBack] {
        let ending = [fixture.ending(&task, outcome)];
        let error = fixture.store.release(&ending, pgmill_store::Sending::First).await.unwrap_err();
        assert!(matches!(error, StoreError::PartitionMissing(_)), "{error:?}");
        assert!(error.is_transient());
    }
    assert_eq!(fixture.store.ensure_partitions(7).await.unwrap(), 3);
    fixture.release(&task, done()).await;
    assert_eq!(fixture.number("SELECT count(*) FROM pgmill.task_finished").await, 1);
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn partitions_are_made_once_from_yesterday_on_and_as_far_ahead_as_asked() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.store.ensure_partitions(7).await.unwrap(), 0, "the migration has made them");
    assert_eq!(fixture.store.ensure_partitions(9).await.unwrap(), 6, "two days of three tables");
    let of_one = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'pgmill.task_finished'::regclass";
    assert_eq!(fixture.number(of_one).await, 11, "yesterday, today, and nine more");
    let make = || fixture.store.ensure_partitions(12);
    let (a, b) = tokio::join!(make(), make());
    let made = a.unwrap_or(0) + b.unwrap_or(0);
    assert_eq!(made, 9, "by one of two that run at once");
}

#[tokio::test]
async fn days_begin_at_midnight_utc_whatever_the_time_zone() {
    let fixture = Fixture::new().await;
    fixture.sql("SET TimeZone = 'Pacific/Auckland'; DROP TABLE pgmill.task_gone CASCADE").await;
    fixture
        .sql(
            "CREATE TABLE pgmill.task_gone (ended_at timestamptz NOT NULL, ids bigint[] NOT NULL,
                attempts integer[] NOT NULL, holders bigint[] NOT NULL) PARTITION BY RANGE (ended_at)",
        )
        .await;
    assert_eq!(fixture.number("SELECT pgmill.ensure_partitions_v1(0)::bigint").await, 2);
    fixture.sql("SET TimeZone = 'UTC'; SET DateStyle = 'ISO'").await;
    let midnight = "SELECT count(*) FROM pg_class
        WHERE relname LIKE 'task\\_gone\\_20%' AND pg_get_expr(relpartbound, oid) LIKE '%00:00:00+00%00:00:00+00%'";
    assert_eq!(fixture.number(midnight).await, 2);
}
