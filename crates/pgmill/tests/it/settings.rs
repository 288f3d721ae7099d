//! A task lives the same whatever the database has as defaults, and whatever the role may do beside its schema.

use std::time::Duration;

use pgmill::{Context, Json, Manager, QueueMeta, Status, TaskMeta, TickerMeta, WorkerPool};
use pgmill_testkit::{
    TestDatabase, has_plain_role, has_pooler, skipped, wait_for_all, wait_for_status, wait_until,
};
use tokio_util::sync::CancellationToken;

use crate::pool_scene::Running;
use crate::scene::LIMIT;

/// Two processes on this database: one creates tasks, and the other, which is told of them, does each at the second attempt.
/// A third one maintains the database, and makes the tasks of tickers.
async fn life(url: &str, owner: &str) {
    let open = async |url| Manager::connect(url).namespace("app").await.unwrap();
    live(open(url).await, open(url).await, open(owner).await).await;
}

async fn live(creator: Manager, worker: Manager, maintainer: Manager) {
    let pool = WorkerPool::builder(&worker).workers(2).maintenance(false).build().unwrap();
    let queue = QueueMeta::new("q").retries(2).retry_delay(Duration::from_millis(10));
    pool.register_queue(queue, async |context: Context, number: u32| {
        if context.attempt() == 1 {
            return Err("not at once".into());
        }
        Ok(number + 1)
    })
    .await
    .unwrap();
    let running = Running::start(pool);
    let stop = CancellationToken::new();
    let maintaining = tokio::spawn({
        let (maintainer, stop) = (maintainer.clone(), stop.clone());
        async move { maintainer.run(stop).await }
    });
    wait_until("the worker to be told of tasks", LIMIT, async || worker.is_listening()).await;

    let tasks = (0_u32..20).map(|number| TaskMeta::json(&number).unwrap());
    let many = creator.create_tasks("q", tasks).await.unwrap();
    let task = creator.create_task("q", TaskMeta::json(&7).unwrap()).await.unwrap();
    let task = wait_for_status(&creator, task.id, Status::Released, LIMIT).await;
    assert_eq!((task.attempts.len(), task.result.unwrap().as_str()), (1, "8"));
    wait_for_all(&creator, many.iter().map(|task| task.id), Status::Released, LIMIT).await;

    let ticker = TickerMeta::new("t").interval(Duration::from_millis(50)).queue("q");
    creator.register_ticker(ticker.payload(Json::encode(&1).unwrap())).await.unwrap();
    wait_until("a task of a tick to be done", LIMIT, async || released(&creator).await > 21).await;
    running.stop().await;
    stop.cancel();
    maintaining.await.unwrap();

    creator.delete_ticker("t").await.unwrap();
    maintainer.maintain().await.unwrap();
    assert!(released(&creator).await > 21);
    creator.delete_queue("q").await.unwrap();
    maintainer.maintain().await.unwrap();
    assert!(creator.list_queue_statuses().await.unwrap().is_empty());
}

async fn released(manager: &Manager) -> u64 {
    let statuses = manager.list_queue_statuses().await.unwrap();
    statuses.iter().find(|row| row.status == Status::Released).map_or(0, |row| row.count)
}

/// Directly, and as behind a pooler: one that hands every transaction to the same connection.
fn ways(database: &TestDatabase, url: &str) -> [String; 2] {
    let (_, place) = url.rsplit_once('@').expect("a URL with a user");
    let (server, _) = place.split_once('/').expect("a URL with a database");
    assert_eq!(database.url(), database.server().url_for(database.name()), "there is no pooler");
    [url.to_owned(), format!("{url}?pgmill_mode=pooler&pgmill_listen={server}")]
}

fn elsewhere() -> bool {
    skipped(has_pooler() || has_plain_role(), "the role, or the way to the server, is one of the test's own")
}

#[tokio::test]
async fn a_task_lives_the_same_whatever_the_defaults_of_the_database() {
    if elsewhere() {
        return;
    }
    for isolation in ["repeatable read", "serializable"] {
        let database = TestDatabase::empty().await;
        let client = database.connect().await;
        for setting in [
            &format!("default_transaction_isolation = '{isolation}'"),
            "TimeZone = 'America/St_Johns'",
            "DateStyle = 'German, MDY'",
            "IntervalStyle = 'iso_8601'",
            "bytea_output = 'escape'",
            "search_path = ''",
        ] {
            let alter = format!("ALTER DATABASE {} SET {setting}", database.name());
            client.batch_execute(&alter).await.unwrap();
        }
        for url in ways(&database, database.url()) {
            life(&url, &url).await;
        }
        if isolation == "serializable" {
            // Even what only reads may fail then.
            continue;
        }
        // A pool that somebody made, whose sessions have the defaults of the database.
        let open = async || {
            let pool = database.options().with_pooler(true).pool().unwrap();
            Manager::new(pool, "app").listen_with(database.options()).await.unwrap()
        };
        live(open().await, open().await, open().await).await;
    }
}

#[tokio::test]
async fn a_task_lives_the_same_where_the_role_owns_the_schema_and_may_do_nothing_else() {
    if elsewhere() {
        return;
    }
    let (database, owner, _) = with_roles().await;
    for url in ways(&database, &owner) {
        life(&url, &url).await;
    }
}

#[tokio::test]
async fn a_role_that_owns_nothing_can_do_all_but_the_upkeep() {
    if elsewhere() {
        return;
    }
    let (database, owner, worker) = with_roles().await;
    Manager::connect(&owner).await.unwrap();
    for url in ways(&database, &worker) {
        life(&url, &owner).await;
    }
}

/// A database with one role that owns the schema, and one that was granted what docs/compatibility.md says; and their URLs.
async fn with_roles() -> (TestDatabase, String, String) {
    let database = TestDatabase::empty().await;
    let client = database.connect().await;
    let name = database.name();
    let (owner, worker) = (format!("{name}_owner"), format!("{name}_worker"));
    client
        .batch_execute(&format!(
            "CREATE ROLE {owner} LOGIN PASSWORD 'secret';
            CREATE ROLE {worker} LOGIN PASSWORD 'secret';
            REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC;
            REVOKE ALL ON SCHEMA public FROM PUBLIC;
            CREATE SCHEMA pgmill AUTHORIZATION {owner};
            SET ROLE {owner};
            GRANT USAGE ON SCHEMA pgmill TO {worker};
            ALTER DEFAULT PRIVILEGES IN SCHEMA pgmill GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {worker};
            ALTER DEFAULT PRIVILEGES IN SCHEMA pgmill GRANT USAGE ON SEQUENCES TO {worker};"
        ))
        .await
        .unwrap();
    let (_, place) = database.url().rsplit_once('@').expect("a URL with a user");
    let url = |role| format!("postgres://{role}:secret@{place}");
    let (owner, worker) = (url(owner), url(worker));
    (database, owner, worker)
}
