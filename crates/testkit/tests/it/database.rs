//! Databases: fresh, migrated, apart from each other, gone afterwards.

use std::time::Duration;

use pgmill_testkit::{StopMode, TestDatabase, TestServer, has_plain_role, skipped, wait_until};

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_database_is_migrated() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    assert!(client.query("select from pgmill.queue", &[]).await.unwrap().is_empty());
    let migrated = pgmill_store::Migrator::new(&database.store()).run().await.unwrap();
    assert_eq!(migrated.applied, Vec::<&str>::new());
}

#[tokio::test]
async fn an_empty_database_is_not_migrated() {
    if skipped(has_plain_role(), "the role has its schema from the beginning, and nothing in it") {
        return;
    }
    let database = TestDatabase::empty().await;
    let client = database.connect().await;
    let schema = "select from pg_catalog.pg_namespace where nspname = 'pgmill'";
    assert!(client.query(schema, &[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn two_databases_do_not_see_each_other() {
    let (one, two) = tokio::join!(TestDatabase::create(), TestDatabase::create());
    assert_ne!(one.name(), two.name());
    one.connect().await.batch_execute("create table public.mark ()").await.unwrap();
    let error = two.connect().await.query("select from public.mark", &[]).await.unwrap_err();
    assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some("42P01"));
}

#[tokio::test]
async fn databases_that_were_made_ahead_are_fresh_and_given_out_once() {
    // More than are ever in stock.
    let databases = futures_util::future::join_all((0..12).map(|_| TestDatabase::create())).await;
    let names: std::collections::HashSet<_> = databases.iter().map(TestDatabase::name).collect();
    assert_eq!(names.len(), databases.len());
    for database in &databases {
        let client = database.connect().await;
        assert!(client.query("select from pgmill.queue", &[]).await.unwrap().is_empty());
        client.batch_execute("create table public.mark ()").await.unwrap();
    }
}

#[tokio::test]
async fn a_dropped_database_is_gone_whoever_is_connected_to_it() {
    let database = TestDatabase::create().await;
    let name = database.name().to_owned();
    let _connected = database.connect().await;
    drop(database);

    let other = TestDatabase::empty().await;
    let witness = other.connect().await;
    wait_until("the database to be dropped", LIMIT, async || {
        let found = "select from pg_catalog.pg_database where datname = $1";
        witness.query(found, &[&name]).await.unwrap().is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_server_of_ones_own_keeps_what_was_committed_through_a_crash() {
    let server = TestServer::own();
    let database = TestDatabase::create_on(&server).await;
    let client = database.connect().await;
    client.batch_execute("create table public.mark as select 1 as number").await.unwrap();

    server.halt(StopMode::Immediate).await;
    wait_until("the connection to break", LIMIT, async || client.is_closed()).await;
    server.resume().await;

    let row = database.connect().await.query_one("select number from public.mark", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 1);
    let fsync = database.connect().await.query_one("show fsync", &[]).await.unwrap();
    assert_eq!(fsync.get::<_, &str>(0), "on");
    let another = TestDatabase::create_on(&server).await;
    assert_ne!(another.name(), database.name());
}

#[tokio::test]
#[should_panic(expected = "take TestServer::own()")]
async fn the_shared_server_cannot_be_stopped() {
    TestServer::shared().halt(StopMode::Fast).await;
}
