//! The plans of the hot statements do not depend on statistics.
//!
//! Each statement runs on a table that was analysed empty, on one that was analysed while drained and has filled since,
//! and on one of a million rows. Its plan is told by `auto_explain`, which sees into the functions.

use std::future::poll_fn;

use pgmill_schema::QueueMeta;
use pgmill_testkit::{TestDatabase, has_plain_role, has_pooler, has_setting, skipped};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client};

use crate::shape::{Plans, number, rows_of, rows_of_task, shape, shapes};
use crate::support::Fixture;

const SUPERUSER: &str = "auto_explain is for superusers to load, and for a session of their own";
const PLAN_OF_ONE_VERSION: &str =
    "the snapshot of a plan is that of version 15; the rest of the test has run";
const BATCH: i32 = 100;
/// More than a statement of 100 tasks may look at of `task`, whatever the table holds: priorities, candidates in
/// reserve, each looked at twice.
const ROWS: u64 = 1_000;
/// More than it may touch of the buffers.
const BUFFERS: u64 = 6_000;

#[tokio::test]
async fn plans_of_hot_statements_are_the_same_whatever_the_statistics_say() {
    if skipped(has_plain_role() || has_pooler(), SUPERUSER) {
        return;
    }
    let (empty, drained, million) =
        tokio::join!(analysed_empty(), drained_and_refilled(), a_million_analysed());
    let shape = shapes(&empty);
    for (state, plans) in [("analysed empty", &empty), ("drained", &drained), ("a million", &million)] {
        assert_eq!(shape, shapes(plans), "the plans on a table that was {state}");
        for (name, plan) in plans.iter().flat_map(|(name, plans)| plans.iter().map(move |plan| (name, plan)))
        {
            let (rows, buffers) = (rows_of_task(plan), number(plan, "Shared Hit Blocks"));
            assert!(!shape.replace("Seq Scan task_count_delta", "").contains("Seq Scan"), "{shape}");
            assert!(rows < ROWS, "{name} looked at {rows} tasks on a table that was {state}");
            assert!(buffers < BUFFERS, "{name} touched {buffers} buffers on a table that was {state}");
        }
    }
    if !skipped(is_elsewhere().await, PLAN_OF_ONE_VERSION) {
        insta::assert_snapshot!("plans", shape);
    }
}

#[tokio::test]
async fn plans_of_hot_statements_do_not_change_with_a_thousand_queues_and_slow_disks() {
    if skipped(has_plain_role() || has_pooler(), SUPERUSER) {
        return;
    }
    let (one, many) = tokio::join!(drained_and_refilled(), drained_with_a_thousand_queues());
    assert_eq!(shapes(&one), shapes(&many));
}

#[tokio::test]
async fn plans_of_claims_of_ticks_are_the_same_among_none_and_ten_thousand_tickers() {
    if skipped(has_plain_role() || has_pooler(), SUPERUSER) {
        return;
    }
    let mut told = Vec::new();
    for (state, rows, analysed) in
        [("analysed empty", 10_000, false), ("analysed full", 10_000, true), ("small", 20, true)]
    {
        let fixture = fixture().await;
        fixture.client.simple_query("VACUUM ANALYZE pgmill.ticker").await.unwrap();
        fixture
            .sql(&format!(
                "INSERT INTO pgmill.ticker (ns, ticker, payload, \"interval\", policy, catch_up, queue, priority, next_at)
                SELECT 'app', 't' || n, '{{}}', 60000000, 0, 100, CASE WHEN n % 2 = 0 THEN 'plain' END, 5,
                    now() + (n - 10) * interval '1 second'
                FROM generate_series(1, {rows}) n"
            ))
            .await;
        if analysed {
            fixture.client.simple_query("VACUUM ANALYZE pgmill.ticker").await.unwrap();
        }
        let mut session = Session::open(&fixture.database).await;
        let mut plans = Vec::new();
        for (name, arguments) in [
            ("a namespace's", "'app', NULL, 2"),
            ("those with a queue", "NULL, NULL, 2"),
            ("named ones", "'app', '{t1,t2,t10000}', 2"),
        ] {
            let sql = format!(
                "SELECT FROM pgmill.claim_ticks_v1({arguments}, NULL, NULL, NULL, '{{}}', '{{}}', '{{}}', '{{}}', '{{}}')"
            );
            session.run(&sql, &[]).await;
            plans.push((name, session.plans()));
        }
        for (name, plan) in plans.iter().flat_map(|(name, plans)| plans.iter().map(move |plan| (name, plan)))
        {
            let buffers = number(plan, "Shared Hit Blocks");
            assert!(buffers < BUFFERS / 10, "{name}: {buffers} buffers, {state}: {}", shape(plan, 0));
        }
        told.push(shapes(&plans));
    }
    assert!(!told[0].contains("Seq Scan"), "{}", told[0]);
    assert_eq!(told[0], told[1]);
    assert_eq!(told[0], told[2]);
    if !skipped(is_elsewhere().await, PLAN_OF_ONE_VERSION) {
        insta::assert_snapshot!("plans_of_ticks", told[0]);
    }
}

/// However much others keep, pruning looks at the rows of its queue, status and day, and a retain at no history at all.
#[tokio::test]
async fn pruning_looks_at_no_rows_of_others_and_retaining_at_no_history() {
    if skipped(has_plain_role() || has_pooler(), SUPERUSER) {
        return;
    }
    let fixture = fixture().await;
    fixture.queue(QueueMeta::new("brief").retention(std::time::Duration::from_secs(1))).await;
    for (queue, rows) in [("plain", 100_000), ("brief", 500)] {
        fixture
            .sql(&format!(
                "INSERT INTO pgmill.task_finished (id, finished_at, created_at, queue_id, retries, attempt, spared, status,
                    priority, holder, payload)
                SELECT nextval('pgmill.task_id'), now() - interval '1 day', now(), q.id, 3, 1, 0, 3, 5, 1, 'null'
                FROM pgmill.queue q, generate_series(1, {rows}) WHERE q.queue = '{queue}'"
            ))
            .await;
    }
    fill(&fixture, 100).await;
    let mut session = Session::open(&fixture.database).await;
    session.run("SELECT FROM pgmill.prune_steps_v1()", &[]).await;
    let steps = session.plans();
    let deleted = session
        .run(
            "SELECT r.pruned FROM pgmill.queue q, pgmill.prune_finished_v1((now() AT TIME ZONE 'UTC')::date - 1, q.id,
                3::smallint, '-infinity', 0, 1000) r WHERE q.queue = 'brief'",
            &[],
        )
        .await;
    assert_eq!(deleted[0].get::<_, i64>(0), 500);
    let pruning = session.plans();
    for (name, plans) in [("prune_steps", &steps), ("prune_finished", &pruning)] {
        let rows: u64 = plans.iter().map(|plan| rows_of(plan, "task_finished_20")).sum();
        assert!(rows <= 1_500, "{name} looked at {rows} finished tasks");
        let shapes: String = plans.iter().map(|plan| shape(plan, 0)).collect();
        assert!(!shapes.contains("Seq Scan task_finished"), "{name}: {shapes}");
    }
    session
        .run(
            "SELECT FROM pgmill.retain_v1('{app}', '{true}', '{}', '{}', '{1}', '{10}', '{worker}', '{null}', '{false}', '{}', '{}',
                '{}', '{}', 4710, '{}')",
            &[],
        )
        .await;
    let shapes: String = session.plans().iter().map(|plan| shape(plan, 0)).collect();
    assert!(shapes.contains("task_ready") && !shapes.contains("task_finished"), "{shapes}");
}

/// Whether what is written down is not of this server, or a statement has one more to it, above read committed.
async fn is_elsewhere() -> bool {
    server_version().await != 15 || has_setting("default_transaction_isolation")
}

async fn server_version() -> i32 {
    let database = TestDatabase::empty().await;
    let client = database.connect().await;
    let row = client.query_one("SELECT current_setting('server_version_num')::integer / 10000", &[]).await;
    row.unwrap().get(0)
}

async fn analysed_empty() -> Plans {
    let fixture = fixture().await;
    fixture.client.simple_query("VACUUM ANALYZE pgmill.task").await.unwrap();
    fixture.sql("ANALYZE pgmill.queue").await;
    explain(&fixture).await
}

async fn drained_and_refilled() -> Plans {
    let fixture = fixture().await;
    drain_and_refill(&fixture).await;
    explain(&fixture).await
}

async fn drained_with_a_thousand_queues() -> Plans {
    let fixture = fixture().await;
    fixture
        .sql(
            "INSERT INTO pgmill.queue (ns, queue, retries, retry_delay, backoff, max_retry_delay, retention,
                retention_failed, lease)
            SELECT 'many', 'other' || n, 3, 1, 0, 1, 1, 1, 1 FROM generate_series(1, 1000) n",
        )
        .await;
    fixture.sql("ANALYZE pgmill.queue").await;
    drain_and_refill(&fixture).await;
    fixture.sql(&format!("ALTER DATABASE {} SET random_page_cost = 4", fixture.database.name())).await;
    explain(&fixture).await
}

async fn a_million_analysed() -> Plans {
    let fixture = fixture().await;
    fill(&fixture, 1_000_000).await;
    fixture.sql("ANALYZE pgmill.task").await;
    explain(&fixture).await
}

async fn fixture() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.queue(QueueMeta::new("plain").no_ttl()).await;
    fixture
        .sql(
            "INSERT INTO pgmill.queue (ns, queue, retries, retry_delay, backoff, max_retry_delay, retention,
                retention_failed, lease)
            SELECT 'many', 'q' || n, 3, 1, 0, 1, 1, 1, 1 FROM generate_series(1, 200) n",
        )
        .await;
    fixture.sql("ALTER TABLE pgmill.task SET (autovacuum_enabled = off)").await;
    fixture
}

async fn drain_and_refill(fixture: &Fixture) {
    fill(fixture, 20_000).await;
    fixture.sql("DELETE FROM pgmill.task").await;
    fixture.client.simple_query("VACUUM ANALYZE pgmill.task").await.unwrap();
    fill(fixture, 100_000).await;
}

async fn fill(fixture: &Fixture, rows: u32) {
    fixture
        .sql(&format!(
            "INSERT INTO pgmill.task (id, run_at, created_at, queue_id, retries, priority, payload)
            SELECT nextval('pgmill.task_id'), now(), now(), q.id, 3, 5, 'null'
            FROM pgmill.queue q, generate_series(1, {rows}) WHERE q.queue = 'plain'"
        ))
        .await;
}

/// Runs each hot statement once, in its order of life, and tells the plans inside.
async fn explain(fixture: &Fixture) -> Plans {
    let mut session = Session::open(&fixture.database).await;
    let (namespaces, queues) = (vec!["app"], vec!["plain"]);
    let new: Vec<i64> = fixture.store.reserve_ids(BATCH).await.unwrap();
    let slots = vec![1_i32; new.len()];
    let payloads = vec!["null"; new.len()];
    let keys: Vec<Option<String>> = new.iter().map(|id| Some(id.to_string())).collect();
    let (no_times, no_numbers) = (vec![None::<jiff::Timestamp>; new.len()], vec![None::<i64>; new.len()]);
    let priorities = vec![5_i16; new.len()];
    let no_text = None::<Vec<String>>;
    let mut plans = Vec::new();
    for (name, again) in [("enqueue", false), ("enqueue again", true)] {
        let params: [&(dyn ToSql + Sync); 13] = [
            &namespaces,
            &queues,
            &new,
            &slots,
            &payloads,
            &no_times,
            &no_numbers,
            &priorities,
            &keys,
            &no_text,
            &new[0],
            &again,
            &false,
        ];
        session
            .run(
                "SELECT FROM pgmill.enqueue_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
                &params,
            )
            .await;
        plans.push((name, session.plans()));
    }
    let one = fixture.store.reserve_ids(1).await.unwrap();
    session
        .run(
            "SELECT FROM pgmill.enqueue_v1('{app}', '{plain}', $1, '{1}', '{2}', '{NULL}', '{NULL}', '{9}', NULL, NULL, $2,
                false, false)",
            &[&one, &one[0]],
        )
        .await;
    plans.push(("enqueue of one task", session.plans()));

    let retained = session
        .run(
            "SELECT id, attempt FROM pgmill.retain_v1($1, '{false}', '{1}', $2, '{1}', $3, '{worker}', '{null}', '{false}', '{}',
                '{}', '{}', '{}', 4710, '{}') ORDER BY id",
            &[&namespaces, &queues, &vec![BATCH]],
        )
        .await;
    plans.push(("retain", session.plans()));
    session
        .run(
            "SELECT FROM pgmill.retain_v1($1, '{true}', '{}', '{}', '{1}', '{10}', '{worker}', '{null}', '{false}', '{}', '{}',
                '{}', '{}', 4712, '{}')",
            &[&namespaces],
        )
        .await;
    plans.push(("retain from any queue", session.plans()));
    fixture
        .sql(
            "INSERT INTO pgmill.task (id, run_at, created_at, queue_id, retries, priority, payload)
            SELECT nextval('pgmill.task_id'), now(), now(), q.id, 3, 5, 'null' FROM pgmill.queue q WHERE q.ns = 'many'",
        )
        .await;
    let of_many = session
        .run(
            "SELECT FROM pgmill.retain_v1('{many}', '{true}', '{}', '{}', '{1}', '{10}', '{worker}', '{null}', '{false}', '{}', '{}',
                '{}', '{}', 4716, '{}')",
            &[],
        )
        .await;
    assert_eq!(of_many.len(), 10);
    plans.push(("retain from any of many queues", session.plans()));
    fill(fixture, BATCH.unsigned_abs()).await;
    let of_one = session
        .run(
            "SELECT id, attempt FROM pgmill.retain_one_v1('app', 'plain', $1, '{worker}', '{null}', '{false}', '{}', '{}',
                '{}', '{}', 4714, '{}') ORDER BY id",
            &[&vec![BATCH]],
        )
        .await;
    plans.push(("retain of one queue", session.plans()));
    assert_eq!(retained.len(), usize::try_from(BATCH).unwrap());

    let ids: Vec<i64> = retained.iter().map(|row| row.get(0)).collect();
    let attempts: Vec<i32> = retained.iter().map(|row| row.get(1)).collect();
    let holders = vec![4710_i64; ids.len()];
    let extended = session
        .run(
            "SELECT FROM pgmill.extend_v1($1, $2, $3, $4, $5)",
            &[&namespaces[0], &ids, &attempts, &holders, &no_numbers],
        )
        .await;
    plans.push(("extend", session.plans()));
    assert_eq!(extended.len(), ids.len());

    // Half are done, half are tried again, and one is held by somebody else: every branch has something to do.
    let actions: Vec<i16> = ids.iter().map(|id| i16::from(id % 2 == 0)).collect();
    let holders: Vec<i64> = ids.iter().map(|id| if *id == ids[0] { 1 } else { 4710 }).collect();
    session
        .run(
            "SELECT FROM pgmill.release_v1($1, $2, $3, $4, $5, $6, $7, $8, false)",
            &[&namespaces, &ids, &slots, &attempts, &holders, &actions, &payloads, &no_numbers],
        )
        .await;
    plans.push(("release", session.plans()));
    let ids: Vec<i64> = of_one.iter().map(|row| row.get(0)).collect();
    let attempts: Vec<i32> = of_one.iter().map(|row| row.get(1)).collect();
    let done = session
        .run(
            "SELECT released FROM pgmill.release_done_v1('app', $1, $2, $3, $4)",
            &[&ids, &attempts, &vec![4714_i64; ids.len()], &payloads],
        )
        .await;
    assert_eq!(done[0].get::<_, Vec<i32>>(0).len(), ids.len());
    plans.push(("release of what is done", session.plans()));

    session.run("SELECT pgmill.sleep_v1(4710, 'app', '{plain}', 30000000)", &[]).await;
    plans.push(("sleep", session.plans()));
    session.run("SELECT pgmill.sleep_v1(4710, 'app', '{}', NULL)", &[]).await;
    plans.push(("sleep for any queue", session.plans()));
    session.run("SELECT pgmill.wake_v1(4712, '{app}', '{plain}', '{0}')", &[]).await;
    plans.push(("wake", session.plans()));

    session.run("SELECT FROM pgmill.sweep_v1(0, -1::smallint, 'epoch', 0, $1)", &[&BATCH]).await;
    plans.push(("sweep", session.plans()));

    // It has a key, and has not ended.
    for (name, call) in [("cancel", "cancel_v1('app', $1)"), ("retry", "retry_v1('app', $1, $1)")] {
        let answer = session.run(&format!("SELECT code FROM pgmill.{call}"), &[&new[1]]).await;
        assert_eq!(answer[0].get::<_, i16>(0), 0, "{name}");
        plans.push((name, session.plans()));
    }
    session.run("SELECT FROM pgmill.oldest_waiting_v1('app', 20000)", &[]).await;
    plans.push(("oldest waiting", session.plans()));
    session.run("SELECT FROM pgmill.list_tasks_v1('app', NULL, NULL, NULL, NULL, 0, 100)", &[]).await;
    plans.push(("list", session.plans()));
    session.run("SELECT FROM pgmill.list_tasks_v1('app', NULL, 2::smallint, NULL, NULL, 0, 100)", &[]).await;
    plans.push(("list retained", session.plans()));
    plans
}

/// A connection that tells its plans.
struct Session {
    client: Client,
    notices: UnboundedReceiver<String>,
}

impl Session {
    async fn open(database: &TestDatabase) -> Self {
        let (client, mut driver) = database.options().connect().await.unwrap();
        let (sender, notices) = unbounded_channel();
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|cx| driver.poll_message(cx)).await {
                if let AsyncMessage::Notice(notice) = message {
                    let _ = sender.send(notice.message().to_owned());
                }
            }
        });
        client
            .batch_execute(
                "LOAD 'auto_explain';
                SET auto_explain.log_min_duration = 0;
                SET auto_explain.log_nested_statements = on;
                SET auto_explain.log_analyze = on;
                SET auto_explain.log_buffers = on;
                SET auto_explain.log_timing = off;
                SET auto_explain.log_format = json;
                SET auto_explain.log_level = notice",
            )
            .await
            .unwrap();
        Self { client, notices }
    }

    async fn run(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Vec<tokio_postgres::Row> {
        self.client.query(sql, params).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    /// The plans since the last call, but for that of the outermost statement. A notice arrives before the answer to
    /// the statement that it is about.
    fn plans(&mut self) -> Vec<Value> {
        let mut plans = Vec::new();
        while let Ok(notice) = self.notices.try_recv() {
            if let Some((_, json)) = notice.split_once("plan:\n") {
                let plan: Value = serde_json::from_str(json).unwrap();
                plans.push(plan["Plan"].clone());
            }
        }
        plans.pop();
        plans
    }
}
