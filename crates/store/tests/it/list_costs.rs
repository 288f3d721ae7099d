//! What there is to look at is read in as few pages among many tasks as among few.

use pgmill_schema::QueueMeta;
use serde_json::Value;
use tokio_postgres::types::{ToSql, Type};

use crate::support::Fixture;

/// More than a statement may touch of the buffers. Whoever walks the live tasks of the smaller queue touches 4,500.
const BUFFERS: u64 = 2_500;
const TASKS: u32 = 90_000;

type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

const TEXT: Type = Type::TEXT;
const TEXT_ARRAY: Type = Type::TEXT_ARRAY;
const BOOL: Type = Type::BOOL;
const INT2: Type = Type::INT2;
const INT4: Type = Type::INT4;
const INT8: Type = Type::INT8;
const LIST: &[Type] = &[TEXT, TEXT, INT2, Type::TIMESTAMPTZ, INT8, INT8, INT8];

/// There are so many live tasks and as many finished ones: half of them of another namespace, and a tenth of the others in a
/// queue of its own. 70 are retained.
#[tokio::test]
async fn lists_counts_and_metrics_read_little_among_many_tasks() {
    let fixture = Fixture::new().await;
    fixture.queue(QueueMeta::new("large").no_ttl()).await;
    fixture.queue(QueueMeta::new("small").no_ttl()).await;
    fixture.sql("ALTER TABLE pgmill.task SET (autovacuum_enabled = off)").await;
    fixture
        .sql(&format!(
            "INSERT INTO pgmill.queue (ns, queue, retries, retry_delay, backoff, max_retry_delay, retention, retention_failed, lease)
            VALUES ('another', 'first', 3, 1, 0, 1, 1, 1, 1);
            INSERT INTO pgmill.task (id, run_at, created_at, queue_id, retries, priority, attempt, lease_until, started_at,
                holder, worker, tried, payload)
            SELECT n, x.at + CASE WHEN n % 10 IN (1, 2) THEN interval '1 day' ELSE '0' END, x.at, q.id, 3, 5,
                (n % 10 = 1 OR x.is_retained)::integer, CASE WHEN x.is_retained THEN now() + interval '1 hour' END,
                CASE WHEN x.is_retained THEN now() END, CASE WHEN x.is_retained THEN 2 END,
                CASE WHEN x.is_retained THEN 'worker' END, n % 10 = 1, 'null'
            FROM (
                SELECT n, now() - interval '1 hour' + n * interval '1 ms' AS at,
                    n > {TASKS} / 2 AND n <= {TASKS} / 2 + 100 AND n % 10 > 2 AS is_retained
                FROM generate_series(1, {TASKS}) n
            ) x
            JOIN pgmill.queue q
                ON q.queue = CASE WHEN n <= {TASKS} / 2 THEN 'first' WHEN n % 100 >= 90 THEN 'small' ELSE 'large' END;
            INSERT INTO pgmill.task_finished (id, finished_at, created_at, queue_id, retries, attempt, spared, status,
                priority, holder, payload)
            SELECT {TASKS} + n, now() - (n % 2) * interval '1 day', now() - interval '2 days' + n * interval '1 s', q.id, 3, 1, 0,
                CASE WHEN n > {TASKS} - 200 THEN 4 ELSE 3 END, 5, 2, 'null'
            FROM generate_series(1, {TASKS}) n
            JOIN pgmill.queue q
                ON q.queue = CASE WHEN n <= {TASKS} / 2 THEN 'first' WHEN n % 100 >= 90 THEN 'small' ELSE 'large' END;
            INSERT INTO pgmill.task_count (queue_id, status, day, n)
            SELECT queue_id, status, 'infinity', count(*) FROM pgmill.any_task_v1 GROUP BY 1, 2;
            ANALYZE"
        ))
        .await;
    let no_time = None::<jiff::Timestamp>;
    let no_id = None::<i64>;
    let page = 100_i64;
    let text = include_str!("../../sql/list_tasks.sql");
    for queue in [None, Some("large"), Some("small")] {
        for status in [None, Some(0_i16), Some(1), Some(2), Some(3), Some(4), Some(5), Some(6)] {
            for offset in [0_i64, 200] {
                let name = format!("list_tasks of {queue:?} in {status:?} from {offset}");
                let params: Params<'_> = &[&"app", &queue, &status, &no_time, &no_id, &offset, &page];
                look(&fixture, name, text, LIST, params).await;
            }
        }
        let counting = include_str!("../../sql/count_tasks.sql");
        let name = format!("count_tasks of {queue:?}");
        look(&fixture, name, counting, &[TEXT, TEXT, INT2], &[&"app", &queue, &None::<i16>]).await;
        let counting = include_str!("../../sql/list_queue_counts.sql");
        let name = format!("list_queue_counts of {queue:?}");
        let types = &[TEXT, TEXT, INT8, INT8];
        look(&fixture, name, counting, types, &[&"app", &queue, &0_i64, &page]).await;
    }
    let none = Vec::<String>::new();
    let statements: [(&str, &str, &[Type], Params<'_>); 7] = [
        ("check_queues", include_str!("../../sql/check_queues.sql"), &[INT4, INT4], &[&500_i32, &20_000_i32]),
        ("list_queue_statuses", include_str!("../../sql/list_queue_statuses.sql"), &[TEXT], &[&"app"]),
        (
            "oldest_waiting",
            include_str!("../../sql/oldest_waiting.sql"),
            &[TEXT, INT4],
            &[&"app", &20_000_i32],
        ),
        ("get_task", include_str!("../../sql/get_task.sql"), &[TEXT, INT8], &[&"app", &i64::from(TASKS)]),
        (
            "list_attempts",
            include_str!("../../sql/list_attempts.sql"),
            &[TEXT, INT8],
            &[&"app", &i64::from(TASKS)],
        ),
        (
            "list_queues",
            include_str!("../../sql/list_queues.sql"),
            &[TEXT, INT8, INT8],
            &[&"app", &0_i64, &page],
        ),
        (
            "first_due",
            include_str!("../../sql/first_due.sql"),
            &[TEXT, TEXT_ARRAY, BOOL],
            &[&"app", &none, &false],
        ),
    ];
    for (name, text, types, params) in statements {
        look(&fixture, name.to_owned(), text, types, params).await;
    }
}

async fn look(fixture: &Fixture, name: String, text: &str, types: &[Type], params: Params<'_>) {
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {text}");
    let explain = fixture.client.prepare_typed(&explain, types).await.unwrap();
    let mut plan = Value::Null;
    // The first time, what the planner itself reads is counted too.
    for _ in 0..2 {
        let row = fixture.client.query_one(&explain, params).await;
        let answer: Value = row.unwrap_or_else(|error| panic!("{name}: {error:?}")).get(0);
        plan = answer[0]["Plan"].clone();
    }
    let number = |key: &str| plan[key].as_u64().unwrap_or(0);
    let buffers = number("Shared Hit Blocks") + number("Shared Read Blocks");
    assert!(buffers < BUFFERS, "{name} touched {buffers} buffers: {plan:#}");
}
