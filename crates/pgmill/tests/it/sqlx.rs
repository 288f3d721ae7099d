//! Tasks that are created in a transaction of the caller, with sqlx.

use pgmill::{EnqueueError, LookupError, QueueMeta, Status, StoreError, TaskMeta, minutes, seconds};
use sqlx::{Connection as _, PgConnection};

use crate::fixture::{Fixture, done, retry, task, told};

async fn connect(fixture: &Fixture) -> PgConnection {
    // Not through a pooler: sqlx prepares statements.
    let url = fixture.database.server().url_for(fixture.database.name());
    PgConnection::connect(&url).await.unwrap()
}

#[tokio::test]
async fn a_task_in_a_transaction_of_sqlx_comes_with_its_commit() {
    let fixture = Fixture::with_queue().await;
    let mut connection = connect(&fixture).await;
    let metas = [
        TaskMeta::raw(crate::fixture::json(r#"{"n": 12345678901234567890, "s": "\u00e4 \\ \""}"#)),
        task("delay").delay(minutes(5)).priority(0),
        task("time").delayed_at("2400-02-03T04:05:06.789012Z".parse().unwrap()).key("k").priority(9),
        task("nanoseconds").delayed_at("2400-02-03T04:05:06.000000999Z".parse().unwrap()),
    ];
    for meta in metas {
        let mut transaction = connection.begin().await.unwrap();
        let (created, wake) = fixture.manager.create_task_sqlx(&mut transaction, " Q ", meta).await.unwrap();
        assert!(matches!(fixture.manager.get_task(created.id).await, Err(LookupError::NotFound { .. })));
        transaction.commit().await.unwrap();
        wake.send(&fixture.manager);
        assert_eq!(fixture.manager.get_task(created.id).await.unwrap(), created);
        fixture.skip_pauses().await;
        assert_eq!(fixture.retain().await.id, created.id);
    }
}

#[tokio::test]
async fn a_task_of_a_queue_without_a_ttl_is_created_by_sqlx() {
    let fixture = Fixture::with(QueueMeta::new("q").no_ttl().retries(7)).await;
    let mut connection = connect(&fixture).await;
    let (created, _) = fixture.manager.create_task_sqlx(&mut connection, "q", task(1)).await.unwrap();
    assert_eq!((created.dies_at, created.retries), (None, 7));
    assert_eq!(fixture.manager.get_task(created.id).await.unwrap(), created);
}

#[tokio::test]
async fn a_task_in_a_transaction_of_sqlx_goes_with_its_rollback() {
    let fixture = Fixture::with_queue().await;
    let before = fixture.stored().await;
    let mut connection = connect(&fixture).await;
    let mut transaction = connection.begin().await.unwrap();
    let created = fixture.manager.create_task_sqlx(&mut transaction, "q", task(1).key("k")).await.unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(fixture.stored().await, before);
    created.1.send(&fixture.manager);
    assert!(fixture.manager.next_task("worker", &["q"]).await.unwrap().is_none());
}

#[tokio::test]
async fn a_refused_task_leaves_the_transaction_of_sqlx_in_order() {
    let fixture = Fixture::with_queue().await;
    let mut connection = connect(&fixture).await;
    let mut transaction = connection.begin().await.unwrap();
    let now = jiff::Timestamp::now();
    let past = now - jiff::SignedDuration::from_hours(1);
    for (queue, meta, expected) in [
        ("missing", task(1), r#"queue "missing" not found in namespace "app""#),
        ("q", task(1).delayed_at(past), "delayed_at is in the past"),
        ("q", task(1).delayed_at(jiff::Timestamp::MIN), "delayed_at is in the past"),
        ("q", TaskMeta::empty(), "missing payload"),
        ("a b", task(1), r#"Invalid queue name: "a b""#),
        ("q", task(1).priority(10), "priority must be from 0 (first) to 9 (last), not 10"),
    ] {
        let error = fixture.manager.create_task_sqlx(&mut transaction, queue, meta).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let (created, wake) = fixture.manager.create_task_sqlx(&mut transaction, "q", task(1)).await.unwrap();
    transaction.commit().await.unwrap();
    wake.send(&fixture.manager);
    assert_eq!(fixture.retain().await.id, created.id);
}

#[tokio::test]
async fn a_key_in_use_gives_the_task_that_has_it_to_sqlx_whatever_became_of_it() {
    let fixture =
        Fixture::with(QueueMeta::new("q").retries(2).retry_delay(seconds(0)).retention(minutes(5))).await;
    let mut connection = connect(&fixture).await;
    let mut transaction = connection.begin().await.unwrap();
    let (own, _) =
        fixture.manager.create_task_sqlx(&mut transaction, "q", task("own").key("k")).await.unwrap();
    let create = async |connection: &mut PgConnection| {
        fixture.manager.create_task_sqlx(connection, "q", task("again").key("k")).await.unwrap().0
    };
    assert_eq!(create(&mut transaction).await, own);
    transaction.commit().await.unwrap();
    fixture.finish(retry()).await;
    assert_same(&fixture, create(&mut connection).await).await;
    let taken = fixture.retain().await;
    assert_same(&fixture, create(&mut connection).await).await;
    fixture.manager.release_task(&taken, done()).await.unwrap();
    assert_same(&fixture, create(&mut connection).await).await;
    assert_eq!(fixture.status(&own).await, Status::Released);
}

/// What sqlx read is what the manager reads, apart from what only a holder may know and the history.
async fn assert_same(fixture: &Fixture, task: pgmill::Task) {
    let mut expected = fixture.manager.get_task(task.id).await.unwrap();
    expected.holder = None;
    expected.attempts.clear();
    assert_eq!(task, expected);
}

#[tokio::test]
async fn a_wake_of_sqlx_ends_a_wait() {
    let fixture = Fixture::deaf().await;
    let mut arrivals = fixture.manager.arrivals(&["q"]).unwrap();
    assert!(fixture.manager.next_task("worker", &["q"]).await.unwrap().is_none());
    let mut connection = connect(&fixture).await;
    let (_, wake) = fixture.manager.create_task_sqlx(&mut connection, "q", task(1)).await.unwrap();
    wake.send(&fixture.manager);
    told(&mut arrivals).await;
    assert!(fixture.manager.next_task("worker", &["q"]).await.unwrap().is_some());
}

#[tokio::test]
async fn errors_of_sqlx_are_sorted_as_those_of_the_store() {
    let fixture = Fixture::with_queue().await;
    let mut connection = connect(&fixture).await;
    let mut transaction = connection.begin().await.unwrap();
    sqlx::query("SELECT 1/0").execute(&mut *transaction).await.unwrap_err();
    let error = fixture.manager.create_task_sqlx(&mut transaction, "q", task(1)).await.unwrap_err();
    let EnqueueError::Store(error) = error else { panic!("{error:?}") };
    assert!(matches!(error.get(), StoreError::Database(_)));
    assert_eq!(error.get().sqlstate(), Some("25P02"));
    transaction.rollback().await.unwrap();

    sqlx::query("SET lock_timeout = '1ms'").execute(&mut connection).await.unwrap();
    fixture.client.batch_execute("BEGIN; LOCK pgmill.task IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let error = fixture.manager.create_task_sqlx(&mut connection, "q", task(1)).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    fixture.client.batch_execute("ROLLBACK").await.unwrap();

    sqlx::query("SELECT pg_terminate_backend(pg_backend_pid())").execute(&mut connection).await.unwrap_err();
    let error = fixture.manager.create_task_sqlx(&mut connection, "q", task(1)).await.unwrap_err();
    let EnqueueError::Store(error) = error else { panic!("{error:?}") };
    assert!(matches!(error.get(), StoreError::Lost(_)), "{error:?}");
}
