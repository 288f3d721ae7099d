//! Retains from many queues: the order is that of one queue, and queues without tasks cost nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use pgmill_schema::{QueueMeta, QueueName};
use pgmill_store::{Demand, Floor, Store};
use serde_json::Value;

use crate::support::{Fixture, caller, ids, namespace, queue, sorted};

/// More than a retain may touch of the buffers that finds no task, however many queues there are.
const BUFFERS_OF_NONE: u64 = 600;
/// What it may touch beside what it touches among a few: each index may be a level deeper, and sessions of other tests on the
/// server keep dead entries from being removed, which were some hundreds at the most. A look at each of the empty queues
/// would touch ten thousand.
const BUFFERS_MORE: u64 = 1_000;

/// A holder of whose tasks nobody knows.
const LOST: i64 = 1_000_000;

/// How many queues there are, in the namespace and in another.
#[derive(Clone, Copy, Debug)]
struct Scale {
    queues: u32,
    others: u32,
    named: bool,
}

/// More queues than are looked into one by one, and fewer; more as well, but few of all that there are.
const SCALES: [Scale; 4] = [
    Scale { queues: 270, others: 30, named: false },
    Scale { queues: 54, others: 6, named: false },
    Scale { queues: 54, others: 6, named: true },
    Scale { queues: 110, others: 800, named: false },
];

/// A task that is due.
struct Due {
    id: i64,
    queue_id: i32,
    priority: i16,
    run_at: Timestamp,
}

#[tokio::test]
async fn tasks_of_many_queues_come_by_priority_then_by_age() {
    for scale in SCALES {
        let fixture = scene(scale).await;
        let demand = demand(&fixture, scale.named).await;
        retains_in_order(&fixture, demand, &[], &[]).await;
    }
}

#[tokio::test]
async fn what_a_lost_answer_retained_comes_again_in_its_place_among_many_queues() {
    for scale in SCALES {
        let fixture = scene(scale).await;
        fixture
            .sql(&format!("UPDATE pgmill.task SET holder = {LOST} WHERE lease_until > now() AND id % 2 = 0"))
            .await;
        let demand = demand(&fixture, scale.named).await;
        retains_in_order(&fixture, demand, &[], &[LOST]).await;
    }
}

#[tokio::test]
async fn two_sessions_share_the_tasks_of_many_queues() {
    let fixture = scene(SCALES[0]).await;
    let due = due(&fixture, &[]).await;
    let demands = [demand(&fixture, false).await];
    let left = AtomicUsize::new(due.len());
    // Who meets nothing but rows that the other has taken meanwhile finds none, and asks again.
    let drain = async |store: Store| {
        let mut taken = Vec::new();
        while left.load(Ordering::Relaxed) > 0 {
            let retained =
                store.retain(&demands, &[caller(0, 7)], &[], fixture.next_holder(), &[]).await.unwrap();
            left.fetch_sub(retained.len(), Ordering::Relaxed);
            taken.extend(ids(&retained));
        }
        taken
    };
    let (one, other) = tokio::join!(drain(fixture.database.store()), drain(fixture.database.store()));
    assert!(!one.is_empty() && !other.is_empty(), "{} and {}", one.len(), other.len());
    let expected = due.iter().map(|task| task.id).collect();
    assert_eq!(sorted([one, other].concat()), sorted(expected));
}

#[tokio::test]
async fn several_demands_of_one_call_get_the_tasks_of_many_queues_once() {
    let fixture = scene(SCALES[0]).await;
    let due = due(&fixture, &[]).await;
    let any = demand(&fixture, false).await;
    let named = demand(&fixture, true).await;
    let demands = [any.clone(), named, any];
    let callers = [caller(0, 5), caller(1, 6), caller(2, 4), caller(0, 3)];
    let retained = fixture.store.retain(&demands, &callers, &[], fixture.next_holder(), &[]).await.unwrap();
    let counts = [0, 1, 2, 3].map(|caller| retained.iter().filter(|one| one.caller == caller).count());
    assert_eq!(counts, [5, 6, 4, 3]);
    let first = due[..18].iter().map(|task| task.id).collect();
    assert_eq!(sorted(ids(&retained)), sorted(first));
}

#[tokio::test]
async fn a_lease_from_before_the_server_was_started_leads_to_no_queue_until_it_counts_as_lapsed() {
    let fixture = Fixture::new().await;
    make_queues(&fixture, "app", 2).await;
    fixture
        .sql(
            "INSERT INTO pgmill.task (id, run_at, created_at, queue_id, retries, priority, attempt, lease_until, started_at,
                holder, worker, payload)
            SELECT q.id, now() - interval '1 hour', now(), q.id, 3, 5, 1, now() - interval '1 second',
                now() - q.id * interval '10 seconds', 2, 'other', 'null'
            FROM pgmill.queue q",
        )
        .await;
    for (amnesty, expected) in
        [("'-infinity'", vec![1, 2]), ("now() - interval '15 seconds'", vec![1]), ("now()", vec![])]
    {
        let first =
            format!("pgmill.first_queues_v1('app', 10, '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', {amnesty})");
        let row = fixture
            .client
            .query_one(&format!("SELECT ARRAY(SELECT unnest(queues) ORDER BY 1) FROM {first}"), &[])
            .await
            .unwrap();
        assert_eq!(row.get::<_, Vec<i32>>(0), expected, "{amnesty}");
    }
}

#[tokio::test]
async fn floors_hide_what_is_left_of_them_among_many_queues_and_nothing_else() {
    for scale in SCALES {
        let fixture = scene(scale).await;
        let due = due(&fixture, &[]).await;
        let mut streams: BTreeMap<(i32, i16), Vec<&Due>> = BTreeMap::new();
        for task in due.iter().filter(|task| task.queue_id % 2 == 0) {
            streams.entry((task.queue_id, task.priority)).or_default().push(task);
        }
        let floor = |((queue_id, priority), tasks): ((i32, i16), Vec<&Due>)| {
            let middle = tasks[tasks.len() / 2];
            Floor { queue_id, priority, at: middle.run_at, id: middle.id }
        };
        let floors: Vec<Floor> = streams.into_iter().map(floor).collect();
        assert!(floors.len() > 20, "{scale:?}: {floors:?}");
        let demand = demand(&fixture, scale.named).await;
        retains_in_order(&fixture, demand, &floors, &[]).await;
    }
}

#[tokio::test]
async fn a_retain_from_any_queue_reads_no_more_among_thousands_that_are_empty() {
    let fixture = Fixture::new().await;
    make_queues(&fixture, "app", 150).await;
    fixture
        .sql(
            "INSERT INTO pgmill.task (id, run_at, created_at, queue_id, retries, priority, payload)
            SELECT nextval('pgmill.task_id'), now(), now(), q.id, 3, 5, 'null' FROM pgmill.queue q",
        )
        .await;
    let among_few = buffers(&fixture).await;
    make_queues(&fixture, "app", 10_000).await;
    let among_many = buffers(&fixture).await;
    assert!(among_many <= among_few + BUFFERS_MORE, "{among_few}, and then {among_many}");
    fixture.sql("DELETE FROM pgmill.task").await;
    fixture.client.simple_query("VACUUM pgmill.task").await.unwrap();
    let none = buffers(&fixture).await;
    assert!(none < BUFFERS_OF_NONE, "{none}");
}

#[tokio::test]
async fn what_is_retained_in_another_namespace_or_in_a_paused_queue_is_not_walked() {
    let fixture = Fixture::new().await;
    make_queues(&fixture, "app", 150).await;
    make_queues(&fixture, "another", 1).await;
    fixture
        .sql(
            "UPDATE pgmill.queue SET paused_at = now() WHERE id = 7;
            INSERT INTO pgmill.task (id, run_at, created_at, queue_id, retries, priority, attempt, lease_until, started_at,
                holder, worker, payload)
            SELECT nextval('pgmill.task_id'), now(), now(), q.id, 3, 5, 1, now() + interval '1 hour', now(), 2, 'other', 'null'
            FROM pgmill.queue q, generate_series(1, 5000)
            WHERE q.ns = 'another' OR q.id = 7",
        )
        .await;
    let none = buffers(&fixture).await;
    assert!(none < BUFFERS_OF_NONE, "{none}");
}

/// By the ids it is told how many queues there are in all, and there are only so many.
#[tokio::test]
async fn a_queue_that_is_there_already_uses_up_no_id_when_it_is_registered_or_created() {
    let fixture = Fixture::new().await;
    let meta = QueueMeta::new("q").retries(7);
    let name = fixture.queue(meta.clone()).await;
    for _ in 0..5 {
        fixture.queue(QueueMeta::new("q")).await;
        assert!(fixture.store.create_queue(&fixture.namespace, &name, &meta).await.unwrap().is_none());
    }
    fixture.plain_queue().await;
    let ids = fixture.number("SELECT (max(id) - min(id))::bigint FROM pgmill.queue WHERE ns = 'app'").await;
    assert_eq!(ids, 1);
    let retries = fixture.number("SELECT retries::bigint FROM pgmill.queue WHERE queue = 'q'").await;
    assert_eq!(retries, 7);
}

/// Queues of two namespaces, some paused, a third without tasks; and tasks of every priority: due, delayed, expired, retained,
/// with a lapsed lease, with no attempt left.
async fn scene(scale: Scale) -> Fixture {
    let fixture = Fixture::new().await;
    make_queues(&fixture, "app", scale.queues / 2).await;
    make_queues(&fixture, "another", scale.others).await;
    make_queues(&fixture, "app", scale.queues - scale.queues / 2).await;
    let queues = scale.queues + scale.others;
    fixture
        .sql(&format!(
            "UPDATE pgmill.queue SET paused_at = now() WHERE id % 17 = 3;
            INSERT INTO pgmill.task (id, run_at, created_at, dies_at, queue_id, retries, priority, attempt, lease_until,
                started_at, holder, worker, payload)
            SELECT n, x.at + CASE WHEN n % 7 = 0 THEN interval '1 day' ELSE '0' END, x.at,
                CASE WHEN n % 19 = 0 THEN now() - interval '1 second' END,
                x.queue_id, 3, n / 300 % 2 * 5 + n % 5, CASE WHEN n % 23 = 0 THEN 3 WHEN x.lease IS NOT NULL THEN 1 ELSE 0 END, now() + x.lease,
                CASE WHEN x.lease IS NOT NULL THEN now() END, CASE WHEN x.lease IS NOT NULL THEN 2 END,
                CASE WHEN x.lease IS NOT NULL THEN 'other' END, 'null'
            FROM (
                SELECT n, now() - interval '1 hour' + n * 7919 % 3001 * interval '1 second' AS at,
                    1 + n * 31 % {queues} AS queue_id,
                    CASE WHEN n % 11 = 0 THEN interval '1 hour' WHEN n % 13 = 0 THEN interval '-1 second' END AS lease
                FROM generate_series(1, 6000) n
            ) x
            WHERE x.queue_id % 3 > 0"
        ))
        .await;
    fixture
}

async fn make_queues(fixture: &Fixture, namespace: &str, count: u32) {
    fixture
        .sql(&format!(
            "INSERT INTO pgmill.queue (ns, queue, retries, retry_delay, backoff, max_retry_delay, retention,
                retention_failed, lease)
            SELECT '{namespace}', 'q' || (SELECT coalesce(max(id), 0) FROM pgmill.queue) + n, 3, 1, 0, 1, 1, 1, 3600000000
            FROM generate_series(1, {count}) n"
        ))
        .await;
    fixture.client.simple_query("VACUUM pgmill.queue").await.unwrap();
}

/// For any queue of the namespace, or for each by its name and one twice.
async fn demand(fixture: &Fixture, named: bool) -> Demand {
    let mut queues: Vec<QueueName> = Vec::new();
    if named {
        let rows =
            fixture.client.query("SELECT queue FROM pgmill.queue WHERE ns = 'app'", &[]).await.unwrap();
        queues.extend(rows.iter().map(|row| queue(row.get(0))));
        queues.push(queues[0].clone());
    }
    Demand { namespace: namespace("app"), queues }
}

/// What is due, in its order: by a query that looks at everything. What these holders have is lost.
async fn due(fixture: &Fixture, lost: &[i64]) -> Vec<Due> {
    let rows = fixture
        .client
        .query(
            "SELECT t.id, t.queue_id, t.priority, t.run_at
            FROM pgmill.task t
            JOIN pgmill.queue q ON q.id = t.queue_id
            WHERE q.ns = 'app' AND q.paused_at IS NULL AND t.run_at <= now()
                AND (t.dies_at IS NULL OR t.dies_at > now())
                AND (((t.lease_until IS NULL OR t.lease_until < now()) AND t.attempt - coalesce(t.spared, 0) < t.retries)
                    OR (t.lease_until IS NOT NULL AND t.holder = ANY ($1)))
            ORDER BY t.priority, t.run_at, t.id",
            &[&lost],
        )
        .await
        .unwrap();
    let read = |row: &tokio_postgres::Row| Due {
        id: row.get(0),
        queue_id: row.get(1),
        priority: row.get(2),
        run_at: row.get(3),
    };
    rows.iter().map(read).collect()
}

/// Retains all that is due, few at a time and many.
async fn retains_in_order(fixture: &Fixture, demand: Demand, floors: &[Floor], lost: &[i64]) {
    let mut due = due(fixture, lost).await;
    assert!(due.len() > 200, "{} are due", due.len());
    due.retain(|task| {
        let mut of_stream =
            floors.iter().filter(|floor| (floor.queue_id, floor.priority) == (task.queue_id, task.priority));
        of_stream.all(|floor| (task.run_at, task.id) >= (floor.at, floor.id))
    });
    let mut left: &[Due] = &due;
    let demands = [demand];
    for want in [1, 3, 40].into_iter().cycle() {
        let holder = fixture.next_holder();
        let retained =
            fixture.store.retain(&demands, &[caller(0, want)], floors, holder, lost).await.unwrap();
        let (next, rest) = left.split_at(left.len().min(want.unsigned_abs() as usize));
        let next: Vec<i64> = next.iter().map(|task| task.id).collect();
        assert_eq!(sorted(ids(&retained)), sorted(next), "{want} of {}", left.len());
        left = rest;
        if retained.is_empty() {
            break;
        }
    }
}

/// How many buffers a retain of one task touches, which then is undone.
async fn buffers(fixture: &Fixture) -> u64 {
    let mut buffers = 0;
    // The first time, what the planner itself reads is counted too.
    for _ in 0..2 {
        fixture.sql("BEGIN").await;
        let row = fixture
            .client
            .query_one(
                "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON)
                SELECT FROM pgmill.retain_v1('{app}', '{true}', '{}', '{}', '{1}', '{1}', '{worker}', '{null}', '{false}',
                    '{}', '{}', '{}', '{}', 4710, '{}')",
                &[],
            )
            .await
            .unwrap();
        fixture.sql("ROLLBACK").await;
        let answer: Value = row.get(0);
        let number = |key: &str| answer[0]["Plan"][key].as_u64().unwrap_or(0);
        buffers = number("Shared Hit Blocks") + number("Shared Read Blocks");
    }
    buffers
}
