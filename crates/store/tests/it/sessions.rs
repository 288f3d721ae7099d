//! The store works the same on whatever connection it is given.

use std::num::NonZeroUsize;
use std::time::Duration;

use pgmill_schema::{Json, Status};
use pgmill_store::{ConnectOptions, NewTask, Sending, Store, StoreError, SweepPlace};
use pgmill_testkit::{TestDatabase, has_pooler, skipped, wait_until};

use crate::support::{Fixture, done, namespace, queue, retry};

/// All that a task goes through.
pub(crate) async fn main_cycle(fixture: &Fixture) {
    let queue = fixture.plain_queue().await;
    let created = fixture.create(&queue, 3).await;
    let task = fixture.retain_one(&queue).await;
    fixture.store.extend(&fixture.namespace, &[(task.claim().unwrap(), None)]).await.unwrap();
    fixture.release(&task, done()).await;
    fixture.finish_one(&queue, retry()).await;
    assert_eq!(fixture.status(created[0]).await, Some(Status::Released));
    assert_eq!(fixture.status(created[1]).await, Some(Status::Retry));
    assert_eq!(fixture.status(created[2]).await, Some(Status::New));
    fixture.store.sweep(SweepPlace::START, 10).await.unwrap();
    fixture.assert_counts_are_true().await;
    fixture.store.fold_counts(10).await.unwrap();
    fixture.assert_counts_are_true().await;
    fixture.store.clean_queue(&fixture.namespace, &queue, 10).await.unwrap();
    fixture.store.delete_queue(&fixture.namespace, &queue).await.unwrap().unwrap();
}

pub(crate) fn one_connection(database: &TestDatabase) -> ConnectOptions {
    database.options().with_pool_size(NonZeroUsize::MIN)
}

#[tokio::test]
async fn behind_a_pooler_nothing_is_left_on_the_connection() {
    let database = TestDatabase::create().await;
    let store = Store::open(&one_connection(&database).with_pooler(true)).unwrap();
    let client = store.pool().get().await.unwrap();
    let before = settings(&client).await;
    drop(client);
    let fixture = Fixture::with(database, store).await;
    main_cycle(&fixture).await;
    let client = fixture.store.pool().get().await.unwrap();
    let prepared = client.simple_query("SELECT name FROM pg_prepared_statements").await.unwrap();
    let rows =
        prepared.iter().filter(|message| matches!(message, tokio_postgres::SimpleQueryMessage::Row(_)));
    assert_eq!(rows.count(), 0, "only unnamed statements were sent");
    assert_eq!(settings(&client).await, before, "and no setting was changed");
}

/// Statements are prepared on one connection of the pooler, and run on another.
#[tokio::test]
async fn who_does_not_say_that_there_is_a_pooler_is_told_to() {
    if skipped(!has_pooler(), "there is no pooler") {
        return;
    }
    let database = TestDatabase::create().await;
    let store = Store::open(&one_connection(&database).with_pooler(false)).unwrap();
    store.get_queue(&namespace("app"), &queue("q")).await.unwrap();
    let (other, driver) = database.options().connect().await.unwrap();
    tokio::spawn(driver.run());
    other.batch_execute("BEGIN; SELECT 1").await.unwrap();
    let error = store.get_queue(&namespace("app"), &queue("q")).await.unwrap_err();
    let told = std::error::Error::source(&error).unwrap().to_string();
    assert!(told.contains("connect with pgmill_mode=pooler"), "{told}");
}

#[tokio::test]
async fn a_statement_that_fails_leaves_the_connection_in_order() {
    for pooler in [false, true] {
        let database = TestDatabase::create().await;
        let store = Store::open(&one_connection(&database).with_pooler(pooler)).unwrap();
        let fixture = Fixture::with(database, store).await;
        let queue = fixture.plain_queue().await;
        let server = |fixture: &Fixture| {
            let store = fixture.store.clone();
            async move {
                let client = store.pool().get().await.unwrap();
                let answer = client.simple_query("SELECT pg_backend_pid()").await.unwrap();
                answer.iter().find_map(|message| match message {
                    tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                    _ => None,
                })
            }
        };
        let before = server(&fixture).await;
        // A priority that the table refuses.
        let wrong = NewTask { priority: 77, ..fixture.new_task(&queue).await };
        let error = fixture.store.enqueue(&[wrong], Sending::First).await.unwrap_err();
        assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
        assert_eq!(error.constraint(), Some("task_priority"));
        let right = NewTask { payload: Json::null(), ..fixture.new_task(&queue).await };
        fixture.create_all(&[right]).await;
        assert_eq!(server(&fixture).await, before, "on the same connection");
        assert_eq!(fixture.number("SELECT count(*) FROM pgmill.task").await, 1);
    }
}

#[tokio::test]
async fn a_connection_whose_statement_missed_its_deadline_is_not_used_again() {
    let database = TestDatabase::create().await;
    let store = Store::open(&one_connection(&database)).unwrap();
    let fixture = Fixture::with(database, store).await;
    let queue = fixture.plain_queue().await;
    let hurried = fixture.store.clone().with_deadline(Duration::from_millis(200));
    let holder = fixture.database.connect().await;
    holder.batch_execute("BEGIN; LOCK TABLE pgmill.task IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let tasks = fixture.new_tasks(&queue, 1).await;
    let error = hurried.enqueue(&tasks, Sending::First).await.unwrap_err();
    assert!(matches!(error, StoreError::Lost(_)), "its outcome is unknown: {error:?}");
    holder.batch_execute("ROLLBACK").await.unwrap();
    let again = fixture.store.enqueue(&tasks, Sending::Again).await.unwrap();
    assert_eq!(again.len(), 1);
    assert_eq!(fixture.number("SELECT count(*) FROM pgmill.task").await, 1, "found out by sending it again");
}

/// Its statement would otherwise run on, and whoever has the connection next would wait for its end.
#[tokio::test]
async fn a_look_up_that_is_dropped_leaves_no_statement_behind_and_no_connection_in_use() {
    for pooler in [false, true] {
        let database = TestDatabase::create().await;
        let store = Store::open(&one_connection(&database).with_pooler(pooler)).unwrap();
        let fixture = Fixture::with(database, store).await;
        let queue = fixture.plain_queue().await;
        let id = fixture.create(&queue, 1).await[0];
        fixture
            .sql(
                "CREATE OR REPLACE FUNCTION pgmill.live_status_v1(dies_at timestamptz, lease_until timestamptz,
                    attempt integer, spared integer) RETURNS smallint LANGUAGE plpgsql STABLE
                AS $$ BEGIN PERFORM pg_sleep(25); RETURN 0; END $$",
            )
            .await;
        let running = async || {
            fixture
                .number(
                    "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event = 'PgSleep'",
                )
                .await
        };
        let limit = Duration::from_secs(15);
        {
            let mut look_up = std::pin::pin!(fixture.store.get_task(&fixture.namespace, id));
            let runs = wait_until("the statement to run", limit, async || running().await == 1);
            tokio::select! {
                answer = &mut look_up => panic!("{answer:?}"),
                () = runs => {}
            }
        }
        let next = tokio::time::timeout(limit, fixture.store.get_queue(&fixture.namespace, &queue)).await;
        assert!(next.expect("the connection to be free").unwrap().is_some());
        if !pooler
            && !skipped(
                has_pooler(),
                "a pooler is not asked to give up a statement; the rest of the test has run",
            )
        {
            wait_until("the statement to be given up", limit, async || running().await == 0).await;
        }
    }
}

/// Most look-ups are over in no time. Their connection is not worth closing.
#[tokio::test]
async fn a_look_up_that_is_dropped_and_soon_over_keeps_its_connection() {
    let database = TestDatabase::create().await;
    let store = Store::open(&one_connection(&database)).unwrap();
    let fixture = Fixture::with(database, store).await;
    let queue = fixture.plain_queue().await;
    let server = async || {
        let client = fixture.store.pool().get().await.unwrap();
        let row = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap();
        row.get::<_, i32>(0)
    };
    let before = server().await;
    {
        let look_up = std::pin::pin!(fixture.store.get_queue(&fixture.namespace, &queue));
        assert!(futures_util::poll!(look_up).is_pending());
    }
    assert_eq!(server().await, before);
}

async fn settings(client: &tokio_postgres::Client) -> Vec<String> {
    let sql =
        "SELECT name || '=' || setting FROM pg_settings WHERE source IN ('session', 'client') ORDER BY name";
    let answer = client.simple_query(sql).await.unwrap();
    answer
        .iter()
        .filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
        .collect()
}
