//! Making a manager.

use deadpool_postgres::Pool;
use pgmill::{EnqueueError, Manager, NameError, NameKind, OpenError, QueueError, QueueMeta, RetainError};
use pgmill_testkit::TestDatabase;

use crate::fixture::{Fixture, task};

fn pool(database: &TestDatabase) -> Pool {
    database.options().pool().unwrap()
}

async fn refused(namespace: &str) -> NameError {
    let database = TestDatabase::create().await;
    match Manager::new(pool(&database), namespace).await {
        Err(OpenError::Namespace(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// `Test_Manager_New`: a valid connection.
#[tokio::test]
async fn test_manager_new_valid_connection() {
    let database = TestDatabase::empty().await;
    let manager = Manager::new(pool(&database), "test_namespace").await.unwrap();
    assert_eq!(manager.namespace().as_str(), "test_namespace");
    manager.register_queue(QueueMeta::new("q")).await.unwrap();
}

/// `Test_Manager_New`: a nil connection. What comes nearest to it is a pool that gives no connection.
#[tokio::test]
async fn test_manager_new_nil_connection() {
    let database = TestDatabase::create().await;
    let closed = pool(&database);
    closed.close();
    let error = Manager::new(closed, "app").await.unwrap_err();
    assert!(matches!(error, OpenError::Migrate(_)), "{error:?}");
    assert!(!error.is_transient(), "{error:?}");
}

/// `Test_Manager_New`: a nil connection. Nor does a server give one that is not there, but it may come.
#[tokio::test]
async fn test_manager_new_unreachable_server() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error =
        Manager::connect(format!("postgres://nobody@{address}/nothing?sslmode=disable")).await.unwrap_err();
    assert!(matches!(error, OpenError::Migrate(_)), "{error:?}");
    assert!(error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn a_malformed_connection_string_is_told_from_a_server_that_is_away() {
    let error = Manager::connect("postgres://localhost:notaport/app").await.unwrap_err();
    assert!(matches!(error, OpenError::Connect(_)), "{error:?}");
    assert!(!error.is_transient());
}

/// `Test_Manager_New`: an empty namespace.
#[tokio::test]
async fn test_manager_new_empty_namespace() {
    assert_eq!(refused("").await, NameError::Missing { kind: NameKind::Namespace });
    assert_eq!(refused("  ").await, NameError::Missing { kind: NameKind::Namespace });
}

/// `Test_Manager_New`: two namespaces.
#[tokio::test]
async fn test_manager_new_two_namespaces() {
    let database = TestDatabase::create().await;
    let first = Manager::new(pool(&database), "first").await.unwrap();
    let second = Manager::new(pool(&database), "second").await.unwrap();
    first.register_queue(QueueMeta::new("q").retries(1)).await.unwrap();
    second.register_queue(QueueMeta::new("q").retries(2)).await.unwrap();
    assert_eq!(first.get_queue("q").await.unwrap().retries, 1);
    assert_eq!(second.get_queue("q").await.unwrap().retries, 2);
    let mine = first.create_task("q", task("mine")).await.unwrap();
    assert!(second.next_task("worker", &["q"]).await.unwrap().is_none());
    assert_eq!(first.next_task("worker", &["q"]).await.unwrap().unwrap().id, mine.id);
}

/// `Test_Manager_New`: a reserved namespace.
#[tokio::test]
async fn test_manager_new_reserved_namespace() {
    for reserved in ["pgqueue", "pgmill", "PgMill", " pgqueue "] {
        let error = refused(reserved).await;
        assert_eq!(error, NameError::Reserved, "{reserved}");
        assert_eq!(error.to_string(), "namespace is reserved for system use");
        assert!(error.allowed().contains("not pgmill or pgqueue"));
    }
}

/// `Test_Manager_WithSchemaSearchPath`: `pgqueue,public`, with several namespaces in it. Tables of the same names that are
/// found first on the path stay empty.
#[tokio::test]
async fn test_manager_with_schema_search_path() {
    let database = TestDatabase::empty().await;
    let client = database.connect().await;
    client
        .batch_execute(&format!(
            "CREATE SCHEMA pgqueue; CREATE TABLE pgqueue.queue (); CREATE TABLE pgqueue.task ();
             CREATE FUNCTION pgqueue.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT timestamptz '2000-01-01' $$;
             ALTER DATABASE {} SET search_path = pgqueue, public, pg_catalog",
            database.name()
        ))
        .await
        .unwrap();
    for namespace in ["one", "two"] {
        let manager = Manager::new(pool(&database), namespace).await.unwrap();
        manager.register_queue(QueueMeta::new("q")).await.unwrap();
        let created = manager.create_task("q", task(namespace)).await.unwrap();
        let taken = manager.next_task("worker", &[]).await.unwrap().unwrap();
        assert_eq!(taken.id, created.id);
        assert_eq!(taken.queue.as_str(), "q");
    }
    let row = client
        .query_one("SELECT (SELECT count(*) FROM pgqueue.queue) + (SELECT count(*) FROM pgqueue.task)", &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, i64>(0), 0);
}

#[tokio::test]
async fn managers_of_two_namespaces_can_share_connections() {
    let fixture = Fixture::with_queue().await;
    let other = fixture.manager.with_namespace("other").unwrap();
    assert_eq!(other.namespace().as_str(), "other");
    assert!(matches!(other.get_queue("q").await, Err(QueueError::NotFound { namespace, queue })
        if namespace == "other" && queue == "q"));
    assert_eq!(fixture.manager.with_namespace("pgmill").unwrap_err(), NameError::Reserved);
    assert!(matches!(fixture.manager.with_namespace("a b"), Err(NameError::Invalid { .. })));
}

#[tokio::test]
async fn the_namespace_is_default_unless_it_is_named() {
    let database = TestDatabase::create().await;
    let manager = Manager::connect(database.url()).await.unwrap();
    assert_eq!(manager.namespace().as_str(), "default");
}

#[tokio::test]
async fn a_database_is_not_migrated_where_that_is_not_wanted() {
    let database = TestDatabase::empty().await;
    let manager = Manager::connect(database.url()).migrate(false).await;
    if let Ok(manager) = manager {
        let error = manager.register_queue(QueueMeta::new("q")).await.unwrap_err();
        assert!(!error.is_transient(), "{error:?}");
    }
    let client = database.connect().await;
    let row = client.query_one("SELECT to_regclass('pgmill.task') IS NULL", &[]).await.unwrap();
    assert!(row.get::<_, bool>(0));
}

#[tokio::test]
async fn a_closed_manager_takes_no_more_calls_and_still_reads() {
    let fixture = Fixture::with_queue().await;
    let task = fixture.create(task(1)).await;
    fixture.manager.close().await;
    let created = fixture.manager.create_task("q", crate::fixture::task(2)).await;
    assert!(matches!(created, Err(EnqueueError::Closed)), "{created:?}");
    let taken = fixture.manager.next_task("worker", &["q"]).await;
    assert!(matches!(taken, Err(RetainError::Closed)), "{taken:?}");
    let released = fixture.manager.release_task(task.id, crate::fixture::done()).await;
    assert!(matches!(released, Err(pgmill::ReleaseError::Closed)), "{released:?}");
    assert_eq!(fixture.manager.get_task(task.id).await.unwrap().id, task.id);
}
