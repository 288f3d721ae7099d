//! Migrations: at once, again, interrupted, refused.

use std::fs;

use pgmill_schema::QueueMeta;
use pgmill_store::{ConnectOptions, MigrateError, Migrator, Store};
use pgmill_testkit::{TestDatabase, has_plain_role, skipped};
use tokio::task::JoinSet;

use crate::support::{Fixture, done};

const OTHER_ROLE: &str = "the role, or the way to the server, is one of the test's own";

/// The versions of all steps, by their files; the first file is what keeps the record of them.
fn steps() -> Vec<i32> {
    let files = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut versions: Vec<i32> = names.map(|name| name[..4].parse().unwrap()).collect();
    versions.sort_unstable();
    assert_eq!(versions.remove(0), 0);
    versions
}

#[tokio::test]
async fn processes_that_start_at_once_on_an_empty_database_all_come_up() {
    let database = TestDatabase::empty().await;
    let mut processes = JoinSet::new();
    for _ in 0..8 {
        let store = database.store();
        processes.spawn(async move { Migrator::new(&store).run().await.unwrap() });
    }
    let migrated = processes.join_all().await;
    let steps = steps();
    assert!(migrated.iter().all(|migrated| Some(&migrated.to) == steps.last()), "{migrated:?}");
    let applied: Vec<usize> = migrated.iter().map(|migrated| migrated.applied.len()).collect();
    assert_eq!(
        applied.iter().sum::<usize>(),
        steps.len(),
        "each step once, by whichever process: {applied:?}"
    );

    let client = database.connect().await;
    let versions = client.query("SELECT version FROM pgmill.migration ORDER BY version", &[]).await.unwrap();
    assert_eq!(versions.iter().map(|row| row.get(0)).collect::<Vec<i32>>(), steps);
}

/// Under another isolation, those who have waited would not see what the first one did.
#[tokio::test]
async fn processes_that_start_at_once_behind_a_pooler_come_up_whatever_the_isolation() {
    let database = TestDatabase::empty().await;
    let client = database.connect().await;
    let name = database.name();
    let serializable = format!("ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'");
    client.batch_execute(&serializable).await.unwrap();
    let mut processes = JoinSet::new();
    for _ in 0..8 {
        let store = Store::open(&database.options().with_pooler(true)).unwrap();
        processes.spawn(async move { Migrator::new(&store).run().await.unwrap() });
    }
    let migrated = processes.join_all().await;
    let applied: usize = migrated.iter().map(|migrated| migrated.applied.len()).sum();
    assert_eq!(applied, steps().len(), "each step once");
}

#[tokio::test]
async fn a_database_that_cannot_hold_every_text_is_refused_with_what_to_do() {
    let database = TestDatabase::empty().await;
    let client = database.connect().await;
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let name = format!("{}_{}", database.name(), encoding.to_lowercase());
        let made = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'");
        client.batch_execute(&made).await.unwrap();
        let store = Store::open(&ConnectOptions::parse(&database.server().url_for(&name)).unwrap()).unwrap();
        let error = Migrator::new(&store).run().await.unwrap_err();
        assert!(matches!(&error, MigrateError::Encoding(told) if told == encoding), "{error:?}");
        assert!(error.to_string().contains("ENCODING 'UTF8'"), "{error}");
        assert!(!error.is_transient());
        store.pool().close();
        client.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
    }
}

#[tokio::test]
async fn a_database_that_is_up_to_date_is_not_locked() {
    let database = TestDatabase::create().await;
    let holder = database.connect().await;
    holder.batch_execute("BEGIN; SELECT pg_advisory_xact_lock(1886219628, 0)").await.unwrap();
    holder.batch_execute("LOCK TABLE pgmill.task, pgmill.queue IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let migrated = Migrator::new(&database.store()).run().await.unwrap();
    assert_eq!(migrated.from, Some(migrated.to));
    assert_eq!(migrated.applied, Vec::<&str>::new());
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing_of_its_own_and_the_next_start_goes_on_from_it() {
    let database = TestDatabase::empty().await;
    let client = database.connect().await;
    // In the way of the last function of that file: the others are made before it fails.
    client
        .batch_execute(
            "CREATE SCHEMA IF NOT EXISTS pgmill;
            CREATE FUNCTION pgmill.remove_orphans_v1(p_limit integer) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'",
        )
        .await
        .unwrap();
    let store = database.store();
    let error = Migrator::new(&store).run().await.unwrap_err();
    assert!(matches!(&error, MigrateError::Store(error) if error.sqlstate() == Some("42723")), "{error:?}");
    let steps = steps();
    let missing = Migrator::new(&store).missing().await.unwrap();
    assert_eq!(missing[0], "0009_maintenance");
    assert_eq!(missing.len(), steps.len() - 8, "those before it stay");
    let made = "SELECT count(*) FROM pg_proc WHERE proname = 'fold_counts_v1'";
    let count: i64 = client.query_one(made, &[]).await.unwrap().get(0);
    assert_eq!(count, 0, "nothing stays of the one that failed");

    client.batch_execute("DROP FUNCTION pgmill.remove_orphans_v1(integer)").await.unwrap();
    let migrated = Migrator::new(&store).run().await.unwrap();
    assert_eq!((migrated.from, migrated.applied), (Some(8), missing));
}

#[tokio::test]
async fn a_database_that_needs_a_later_version_is_refused_by_name() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    let newer = "INSERT INTO pgmill.migration (version, name, min_binary) VALUES (1000, 'later', '7.10.0')";
    client.batch_execute(newer).await.unwrap();
    let error = Migrator::new(&database.store()).run().await.unwrap_err();
    let MigrateError::TooOld { min_binary, .. } = &error else { panic!("{error:?}") };
    assert_eq!(min_binary, "7.10.0");
    assert!(error.to_string().contains("needs pgmill 7.10.0 or later"), "{error}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn later_migrations_that_this_version_can_work_with_are_accepted() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    let newer = "INSERT INTO pgmill.migration (version, name, min_binary) VALUES (1000, 'later', '0.1.0')";
    client.batch_execute(newer).await.unwrap();
    let migrated = Migrator::new(&database.store()).run().await.unwrap();
    assert_eq!((migrated.from, migrated.to), (Some(1000), 1000));
    assert_eq!(migrated.applied, Vec::<&str>::new());
}

#[tokio::test]
async fn a_role_that_may_not_create_the_schema_is_told_so() {
    if skipped(has_plain_role(), OTHER_ROLE) {
        return;
    }
    let database = TestDatabase::empty().await;
    let store = store_of_new_role(&database).await;
    let error = Migrator::new(&store).run().await.unwrap_err();
    assert!(matches!(&error, MigrateError::Forbidden(_)), "{error:?}");
    assert!(error.to_string().contains("grant it CREATE on the database"), "{error}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_role_that_owns_nothing_but_the_schema_can_migrate_and_work() {
    if skipped(has_plain_role(), OTHER_ROLE) {
        return;
    }
    let database = TestDatabase::empty().await;
    let store = store_of_new_role(&database).await;
    let client = database.connect().await;
    client
        .batch_execute(&format!("CREATE SCHEMA pgmill AUTHORIZATION {}", role_of(&database)))
        .await
        .unwrap();
    Migrator::new(&store).run().await.unwrap();
    Migrator::new(&store).run().await.unwrap();

    let fixture = Fixture::with(database, store).await;
    let queue = fixture.queue(QueueMeta::new("plain")).await;
    fixture.create(&queue, 1).await;
    fixture.finish_one(&queue, done()).await;
    assert_eq!(fixture.store.fold_counts(100).await.unwrap().changes, 5);
    fixture.store.ensure_partitions(9).await.unwrap();
    assert!(fixture.store.delete_queue(&fixture.namespace, &queue).await.unwrap().is_some());
}

fn role_of(database: &TestDatabase) -> String {
    format!("{}_role", database.name())
}

/// A store whose role has no right but to connect.
async fn store_of_new_role(database: &TestDatabase) -> Store {
    let role = role_of(database);
    let client = database.connect().await;
    client.batch_execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'secret'")).await.unwrap();
    let url = database.server().url_for(database.name());
    let (_, place) = url.split_once('@').expect("a URL with a user");
    Store::open(&ConnectOptions::parse(&format!("postgres://{role}:secret@{place}")).unwrap()).unwrap()
}
