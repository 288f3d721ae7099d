//! What is watched is true, and told without reading the backlog.

use std::time::Duration;

use pgmill_schema::{List, ListRequest, QueueCounts, QueueMeta, Status};
use pgmill_store::{Migrator, Store};
use pgmill_testkit::{TestDatabase, TestServer, has_plain_role, skipped, wait_until};

use crate::support::{Fixture, done, namespace, queue, retry};

const LIMIT: Duration = Duration::from_secs(60);

impl Fixture {
    /// For how many seconds the oldest task of each queue has waited.
    async fn oldest(&self) -> Vec<(String, u64)> {
        let waiting = self.store.oldest_waiting(&self.namespace).await.unwrap();
        waiting.iter().map(|(queue, waited)| (queue.to_string(), waited.as_secs())).collect()
    }

    /// As if this task had been due for so long.
    async fn due_for(&self, id: i64, seconds: i64) {
        let sql =
            format!("UPDATE pgmill.task SET run_at = now() - {seconds} * interval '1 s' WHERE id = {id}");
        self.sql(&sql).await;
    }
}

#[tokio::test]
async fn the_oldest_task_that_a_worker_could_have_is_told_for_each_queue() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.plain_queue().await, fixture.queue(QueueMeta::new("two")).await);
    assert_eq!(fixture.oldest().await, []);
    let created = fixture.create(&one, 3).await;
    let mut first = fixture.new_task(&two).await;
    first.priority = 0;
    let first = fixture.create_all(&[first]).await[0];
    for (id, seconds) in [(created[0], 3_000), (created[1], 2_000), (created[2], 1_000), (first, 10)] {
        fixture.due_for(id, seconds).await;
    }
    let of = |one: u64| vec![("plain".to_owned(), one), ("two".to_owned(), 10)];
    assert_eq!(fixture.oldest().await, of(3_000));
    // It is held, until its lease lapses.
    assert_eq!(fixture.retain_one(&one).await.id.cast_signed(), created[0]);
    assert_eq!(fixture.oldest().await, of(2_000));
    fixture.lapse_leases().await;
    assert_eq!(fixture.oldest().await, of(3_000));
    // It has expired; it has no attempt left; and it is to wait.
    fixture.sql(&format!("UPDATE pgmill.task SET dies_at = now() WHERE id = {}", created[0])).await;
    assert_eq!(fixture.oldest().await, of(2_000));
    fixture.sql(&format!("UPDATE pgmill.task SET attempt = retries WHERE id = {}", created[1])).await;
    assert_eq!(fixture.oldest().await, of(1_000));
    fixture.due_for(created[2], -1_000).await;
    assert_eq!(fixture.oldest().await, [("two".to_owned(), 10)]);
    // A queue that is paused keeps its tasks waiting.
    fixture.store.pause_queue(&fixture.namespace, &two, true).await.unwrap();
    assert_eq!(fixture.oldest().await, [("two".to_owned(), 10)]);
    assert_eq!(fixture.store.oldest_waiting(&namespace("other")).await.unwrap(), []);
}

/// A fleet may hold more than a page of tasks, and what waits behind them waits all the same.
#[tokio::test]
async fn a_task_that_waits_behind_many_retained_ones_is_told() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    fixture.create(&queue, 901).await;
    fixture.sql("UPDATE pgmill.task SET run_at = now() - interval '100 s'").await;
    assert_eq!(fixture.retain(&queue, 900).await.len(), 900);
    assert_eq!(fixture.oldest().await, [("plain".to_owned(), 100)]);
    let states = fixture.store.check_queues().await.unwrap();
    assert_eq!(states[0].waited.map(|waited| waited.as_secs()), Some(100), "{states:?}");
    assert!(states[0].held, "{states:?}");
    assert_eq!(fixture.retain(&queue, 1).await.len(), 1);
    assert_eq!(fixture.oldest().await, []);
    assert_eq!(fixture.store.check_queues().await.unwrap()[0].waited, None);
}

#[tokio::test]
async fn no_more_retained_tasks_are_passed_over_than_is_said() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    fixture.create(&queue, 4).await;
    fixture.sql("UPDATE pgmill.task SET run_at = now() - interval '100 s'").await;
    assert_eq!(fixture.retain(&queue, 3).await.len(), 3);
    for (reach, found) in [(4, true), (3, false)] {
        let oldest = format!("SELECT FROM pgmill.oldest_waiting_v1('app', {reach})");
        assert_eq!(fixture.client.query(&oldest, &[]).await.unwrap().len(), usize::from(found));
        let state = format!("SELECT waited IS NOT NULL FROM pgmill.check_queues_v1(2, {reach})");
        let waits: Vec<bool> =
            fixture.client.query(&state, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
        assert!(waits.contains(&true) == found && !waits.is_empty(), "{waits:?}");
    }
}

/// Whoever began first is not whoever holds most: a slot tells no time at all.
#[tokio::test]
async fn who_holds_back_most_transactions_is_told_whoever_began_before() {
    // What a snapshot holds back begins with the oldest transaction of the whole server, which would be the same for all.
    let server = TestServer::own();
    let fixture = Fixture::on(&server).await;
    let queue = fixture.plain_queue().await;
    let (mut others, mut pids) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        let other = fixture.database.connect().await;
        let own: i32 = other.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
        other.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
        others.push(other);
        pids.push(Some(own));
    }
    let worst = fixture.database.connect().await;
    let pid: i32 = worst.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    worst.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM pgmill.queue").await.unwrap();
    for _ in 0..20 {
        fixture.create(&queue, 1).await;
    }
    for other in &others {
        other.batch_execute("SELECT FROM pgmill.queue").await.unwrap();
    }
    let holders = fixture.store.check_holders().await.unwrap();
    assert_eq!(holders.len(), 10, "{holders:#?}");
    assert_eq!(holders[0].pid, Some(pid), "{holders:#?}");
    assert!(holders[1..].iter().all(|holder| pids.contains(&holder.pid)), "{holders:#?}");
}

#[tokio::test]
async fn a_recount_takes_as_long_as_it_may_and_no_longer() {
    let fixture = Fixture::new().await;
    let url = TestServer::shared().url_for(fixture.database.name());
    let mut config: tokio_postgres::Config = url.parse().unwrap();
    config.options("-c statement_timeout=300ms -c lock_timeout=0");
    let manager = deadpool_postgres::Manager::new(config, tokio_postgres::NoTls);
    let pool = deadpool_postgres::Pool::builder(manager).max_size(1).build().unwrap();
    let hasty = Store::from_pool(pool, false);
    fixture.sql("BEGIN; LOCK TABLE pgmill.task_count").await;
    let late = hasty.check_counts(Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(late.sqlstate(), Some("57014"), "{late:?}");
    let counting = tokio::spawn(async move {
        let counted = hasty.check_counts(Duration::from_secs(600)).await;
        (counted, hasty.get_queue(&namespace("app"), &queue("none")).await)
    });
    let waits = "SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND query_start < now() - interval '1 s'";
    let beside = fixture.database.connect().await;
    wait_until("it to have waited for longer than the session allows", LIMIT, async || {
        assert!(!counting.is_finished(), "it was ended before its time");
        !beside.query(waits, &[]).await.unwrap().is_empty()
    })
    .await;
    fixture.sql("ROLLBACK").await;
    let (counted, after) = counting.await.unwrap();
    assert_eq!(counted.unwrap(), []);
    assert!(after.unwrap().is_none(), "and the connection is as before");
}

#[tokio::test]
async fn an_open_transaction_shows_with_its_age() {
    if skipped(has_plain_role(), "what sessions of other roles hold is for members of pg_read_all_stats") {
        return;
    }
    // Snapshots reach back to the oldest transaction of the whole server, and so those of other tests would show.
    let server = TestServer::own();
    let fixture = Fixture::on(&server).await;
    let queue = fixture.plain_queue().await;
    let open = fixture.database.connect().await;
    open.batch_execute(
        "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM pgmill.queue; SELECT pg_sleep(0.2)",
    )
    .await
    .unwrap();
    for _ in 0..20 {
        fixture.create(&queue, 1).await;
    }
    let health = fixture.store.database_health().await.unwrap();
    assert!(health.oldest_xmin >= 20, "{health:?}");
    assert!(health.oldest_transaction >= Duration::from_millis(200), "{health:?}");
    assert!(health.connections >= 3 && health.connections < health.connections_allowed, "{health:?}");
    open.batch_execute("ROLLBACK").await.unwrap();
    let after = fixture.store.database_health().await.unwrap();
    assert!(after.oldest_xmin < 20, "{after:?}");
    assert!(after.oldest_transaction < health.oldest_transaction, "{after:?}");
}

#[tokio::test]
async fn migrations_that_are_missing_are_named_and_not_applied() {
    let database = TestDatabase::empty().await;
    let store = database.store();
    let migrator = Migrator::new(&store);
    let missing = migrator.missing().await.unwrap();
    assert_eq!(missing.first(), Some(&"0001_tables"));
    assert_eq!(migrator.missing().await.unwrap(), missing);
    migrator.run().await.unwrap();
    assert_eq!(migrator.missing().await.unwrap(), Vec::<&str>::new());
    let client = database.connect().await;
    client.batch_execute("DELETE FROM pgmill.migration WHERE version = 4").await.unwrap();
    assert_eq!(migrator.missing().await.unwrap(), ["0004_retain"]);
}

#[tokio::test]
async fn the_counts_of_queues_are_those_of_their_statuses_page_by_page() {
    let fixture = Fixture::new().await;
    let names = ["a", "b", "c"];
    for name in names {
        let queue = fixture.queue(QueueMeta::new(name)).await;
        fixture.create(&queue, 5).await;
    }
    let (a, b) = (queue("a"), queue("b"));
    fixture.finish_one(&a, done()).await;
    fixture.finish_one(&a, retry()).await;
    fixture.store.fold_counts(100).await.unwrap();
    fixture.retain_one(&a).await;
    let cancelled = fixture.retain_one(&b).await;
    fixture.store.cancel_task(&fixture.namespace, cancelled.id.cast_signed()).await.unwrap();
    let paused = fixture.store.pause_queue(&fixture.namespace, &b, true).await.unwrap().unwrap();

    let page = async |queue: Option<&_>, offset, limit| -> List<QueueCounts> {
        let page = ListRequest::new().offset(offset).limit(limit);
        fixture.store.list_queue_counts(&fixture.namespace, queue, &page).await.unwrap()
    };
    let all = page(None, 0, 100).await;
    assert_eq!(all.body.iter().map(|counts| counts.queue.as_str()).collect::<Vec<_>>(), names);
    for status in fixture.store.list_queue_statuses(&fixture.namespace).await.unwrap() {
        let counts = all.body.iter().find(|counts| counts.queue == status.queue).unwrap();
        assert_eq!(counts.tasks.of(status.status), status.count, "{status:?}");
    }
    assert_eq!(all.body[0].tasks.of(Status::Retry), 1);
    assert_eq!((all.body[1].tasks.cancelled, all.body[1].paused_at), (1, paused.paused_at));
    let second = page(None, 1, 1).await;
    assert_eq!((second.count, &second.body[..]), (3, &all.body[1..2]));
    assert_eq!((page(None, 7, 1).await.count, page(None, 0, 0).await.body.len()), (3, 0));
    assert_eq!(page(Some(&b), 0, 1).await.body, all.body[1..2]);
    assert!(page(Some(&queue("d")), 0, 1).await.body.is_empty());
}
