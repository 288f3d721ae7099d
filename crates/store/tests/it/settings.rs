//! The store works the same whatever a database, its roles or its server have as defaults.

use pgmill_schema::QueueMeta;
use pgmill_store::{ConnectOptions, Enqueued, Migrator, Store};
use pgmill_testkit::{TestDatabase, has_pooler, skipped, wait_until};
use std::time::Duration;

use crate::sessions::{main_cycle, one_connection};
use crate::support::Fixture;

/// Defaults under which statements have come to mean something else, here or in other programs.
const ODD: [&[&str]; 2] = [
    &[
        "default_transaction_isolation = 'serializable'",
        "default_transaction_deferrable = on",
        "default_transaction_read_only = on",
        "TimeZone = 'America/St_Johns'",
        // Written in one order and read in the other.
        "DateStyle = 'German, MDY'",
        "IntervalStyle = 'iso_8601'",
        "search_path = ''",
        "enable_indexscan = off",
        "array_nulls = off",
    ],
    &[
        "default_transaction_isolation = 'repeatable read'",
        "TimeZone = 'Asia/Kathmandu'",
        "DateStyle = 'SQL, DMY'",
        "IntervalStyle = 'sql_standard'",
        "search_path = 'public, pg_catalog'",
        "bytea_output = 'escape'",
        "extra_float_digits = -15",
        "standard_conforming_strings = off",
        "row_security = off",
        "plan_cache_mode = 'force_custom_plan'",
    ],
];

/// A database that nothing was done to but that its defaults are these.
async fn empty_with(settings: &[&str]) -> TestDatabase {
    let database = TestDatabase::empty().await;
    let client = database.connect().await;
    for setting in settings {
        let name = database.name();
        client.batch_execute(&format!("ALTER DATABASE {name} SET {setting}")).await.unwrap();
    }
    database
}

#[tokio::test]
async fn a_database_is_made_and_used_the_same_whatever_its_defaults() {
    for (settings, pooler) in ODD.iter().flat_map(|settings| [(settings, false), (settings, true)]) {
        let database = empty_with(settings).await;
        let store = Store::open(&one_connection(&database).with_pooler(pooler)).unwrap();
        Migrator::new(&store).run().await.unwrap();
        let fixture = Fixture::with(database, store).await;
        fixture.sql("SET default_transaction_read_only = off; SET DateStyle = ISO; SET TimeZone = UTC").await;
        main_cycle(&fixture).await;
        fixture.store.ensure_partitions(40).await.unwrap();
        let days = "SELECT count(*) FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
            WHERE c.relnamespace = 'pgmill'::regnamespace AND c.relispartition
                AND c.relkind = 'r' AND i.inhparent = 'pgmill.task_finished'::regclass";
        let total = fixture.number(days).await;
        assert_eq!(total, 42, "from yesterday on");
        let right = format!(
            "{days} AND pg_get_expr(c.relpartbound, c.oid) LIKE
                '%(''' || to_char(to_date(right(c.relname, 8), 'YYYYMMDD'), 'YYYY-MM-DD') || ' 00:00:00+00'')%'"
        );
        assert_eq!(fixture.number(&right).await, total, "each holds the day that it is named for");
    }
}

/// A pool that somebody made, whose sessions have the defaults of the database.
#[tokio::test]
async fn a_copy_into_a_queue_that_is_deleted_meanwhile_creates_nothing_whatever_the_isolation() {
    if skipped(has_pooler(), "a COPY is not for use behind a pooler") {
        return;
    }
    for isolation in ["repeatable read", "serializable"] {
        let setting = format!("default_transaction_isolation = '{isolation}'");
        let database = empty_with(&[&setting]).await;
        Migrator::new(&database.store()).run().await.unwrap();
        let without_session_defaults = database.options().with_pooler(true).pool().unwrap();
        let fixture = Fixture::with(database, Store::from_pool(without_session_defaults, false)).await;
        let queue = fixture.plain_queue().await;
        let tasks = fixture.new_tasks(&queue, 3).await;

        fixture.sql("BEGIN; SELECT FROM pgmill.delete_queue_v1('app', 'plain')").await;
        let (store, namespace) = (fixture.store.clone(), fixture.namespace.clone());
        let copying = tokio::spawn(async move { store.copy_tasks(&namespace, &queue, &tasks).await });
        let witness = fixture.database.connect().await;
        wait_until("the copy to wait for the deletion", Duration::from_secs(20), async || {
            let waiting = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
            witness.query(waiting, &[]).await.unwrap().len() == 1
        })
        .await;
        fixture.sql("COMMIT").await;
        assert_eq!(copying.await.unwrap().unwrap(), [Enqueued::NoQueue; 3]);
        assert_eq!(fixture.number("SELECT count(*) FROM pgmill.task").await, 0);
    }
}

#[tokio::test]
async fn names_are_the_same_in_a_turkish_database() {
    let database = TestDatabase::empty().await;
    let client = database.connect().await;
    let icu = "SELECT current_setting('server_version_num')::integer >= 150000
        AND EXISTS (SELECT FROM pg_collation WHERE collprovider = 'i')";
    let icu: bool = client.query_one(icu, &[]).await.unwrap().get(0);
    if skipped(
        !icu,
        "the server is too old, or built without ICU, for a database of a locale that it brings itself",
    ) {
        return;
    }
    let name = format!("{}_turkish", database.name());
    let made = format!(
        "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'tr'"
    );
    client.batch_execute(&made).await.unwrap();
    let options = ConnectOptions::parse(&database.server().url_for(&name)).unwrap();
    let store = Store::open(&options).unwrap();
    Migrator::new(&store).run().await.unwrap();
    let (namespace, queue) = (crate::support::namespace("app"), crate::support::queue("mails"));
    store.register_queue(&namespace, &queue, &QueueMeta::new("mails")).await.unwrap();
    let (turkish, driver) = options.connect().await.unwrap();
    tokio::spawn(driver.run());
    let lower: String = turkish.query_one("SELECT lower('I')", &[]).await.unwrap().get(0);
    assert_eq!(lower, "ı", "as in no other language");
    turkish.query_one("SELECT pgmill.create_task('app', 'MAILS', '1')", &[]).await.unwrap();
    store.pool().close();
    client.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
}
