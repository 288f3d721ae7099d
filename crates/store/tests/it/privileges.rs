//! The roles of SECURITY.md: what is granted there is enough, and is no more than it says.

use pgmill_schema::{ListRequest, QueueMeta};
use pgmill_store::{ConnectOptions, Migrator, Store};
use pgmill_testkit::{TestDatabase, has_plain_role, has_pooler, skipped};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::support::{Fixture, done};

const PAGE: &str = include_str!("../../../../SECURITY.md");

const OWN_ROLES: &str = "the roles are those of the test, and a pooler knows none of them";

/// A database whose schema was made by an owner as the page has it.
struct Roles {
    database: TestDatabase,
    admin: Client,
    owner: Store,
}

impl Roles {
    async fn new() -> Self {
        let database = TestDatabase::empty().await;
        let admin = database.connect().await;
        admin.batch_execute(&sql_of("-- the owner", &database)).await.unwrap();
        let owner = Store::open(&options_of("owner", &database)).unwrap();
        Migrator::new(&owner).run().await.unwrap();
        Self { database, admin, owner }
    }

    async fn grant(&self, title: &str) {
        self.admin.batch_execute(&sql_of(title, &self.database)).await.unwrap();
    }

    async fn client(&self, role: &str) -> Client {
        let (client, driver) = options_of(role, &self.database).connect().await.unwrap();
        tokio::spawn(driver.run());
        client
    }
}

/// The SQL of the page that begins with this line. Roles are of the whole server, so they get names of their own.
fn sql_of(title: &str, database: &TestDatabase) -> String {
    let block = PAGE.split("```sql\n").find(|block| block.starts_with(title)).expect("it is on the page");
    let (sql, _) = block.split_once("```").unwrap();
    let sql = sql.replace("DATABASE app", &format!("DATABASE {}", database.name()));
    ["owner", "worker", "producer"]
        .iter()
        .fold(sql, |sql, role| sql.replace(&format!("pgmill_{role}"), &format!("{}_{role}", database.name())))
}

fn options_of(role: &str, database: &TestDatabase) -> ConnectOptions {
    let (_, place) = database.url().split_once('@').expect("a URL with a user");
    ConnectOptions::parse(&format!("postgres://{}_{role}:a%20secret@{place}", database.name())).unwrap()
}

/// Whether the role of this connection may run a statement.
async fn may(client: &Client, sql: &str) -> bool {
    match client.batch_execute(&format!("BEGIN; {sql}; ROLLBACK")).await {
        Ok(()) => true,
        Err(error) => {
            client.batch_execute("ROLLBACK").await.unwrap();
            assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{sql}: {error}");
            false
        }
    }
}

#[tokio::test]
async fn the_owner_of_the_schema_does_everything_and_no_more_in_the_database() {
    if skipped(has_plain_role() || has_pooler(), OWN_ROLES) {
        return;
    }
    let roles = Roles::new().await;
    roles.owner.ensure_partitions(9).await.unwrap();
    let outside = roles.client("owner").await;
    for sql in ["CREATE SCHEMA elsewhere", "CREATE ROLE another", "SELECT pg_read_file('PG_VERSION')"] {
        assert!(!may(&outside, sql).await, "{sql}");
    }
}

#[tokio::test]
async fn a_worker_needs_no_table_of_its_own() {
    if skipped(has_plain_role() || has_pooler(), OWN_ROLES) {
        return;
    }
    let roles = Roles::new().await;
    roles.grant("-- a worker").await;
    let client = roles.client("worker").await;
    let store = Store::open(&options_of("worker", &roles.database)).unwrap();
    assert_eq!(Migrator::new(&store).run().await.unwrap().applied, Vec::<&str>::new());
    let fixture = Fixture::with(roles.database, store).await;
    let queue = fixture.queue(QueueMeta::new("plain")).await;
    fixture.create(&queue, 3).await;
    fixture.finish_one(&queue, done()).await;
    assert_eq!(
        fixture.store.list_queues(&fixture.namespace, &ListRequest::default()).await.unwrap().count,
        1
    );
    for sql in [
        "SELECT FROM pgmill.token",
        "INSERT INTO pgmill.token DEFAULT VALUES",
        "SELECT FROM pgmill.audit",
        "DELETE FROM pgmill.migration",
        "TRUNCATE pgmill.task",
        "DROP TABLE pgmill.task",
        "ALTER TABLE pgmill.task ADD COLUMN extra int",
        "CREATE TABLE pgmill.extra ()",
    ] {
        assert!(!may(&client, sql).await, "{sql}");
    }
}

#[tokio::test]
async fn a_producer_creates_tasks_and_changes_none() {
    if skipped(has_plain_role() || has_pooler(), OWN_ROLES) {
        return;
    }
    let roles = Roles::new().await;
    roles.grant("-- a producer").await;
    let client = roles.client("producer").await;
    // Above read committed it would need a right to change queues, as the page says.
    client.batch_execute("SET default_transaction_isolation = 'read committed'").await.unwrap();
    let fixture = Fixture::with(roles.database, roles.owner).await;
    let queue = fixture.queue(QueueMeta::new("plain")).await;
    for sql in [
        "SELECT pgmill.create_task('app', 'plain', '{\"n\": 1}')",
        "SELECT pgmill.create_task('app', 'plain', '2', delay => '1 h', priority => 0, key => 'key')",
        "SELECT pgmill.create_task('app', 'plain', '2', key => 'key')",
    ] {
        client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
    fixture.finish_one(&queue, done()).await;
    client.batch_execute("SELECT pgmill.create_task('app', 'plain', '2', key => 'key')").await.unwrap();
    assert_eq!(fixture.number("SELECT count(*) FROM pgmill.task").await, 1);
    for sql in [
        "SELECT FROM pgmill.token",
        "SELECT FROM pgmill.audit",
        "UPDATE pgmill.task SET priority = 0",
        "DELETE FROM pgmill.task",
        "INSERT INTO pgmill.queue (ns, queue) VALUES ('app', 'another')",
        "DELETE FROM pgmill.queue",
        "DELETE FROM pgmill.task_key",
        "DROP TABLE pgmill.task",
        "CREATE TABLE pgmill.extra ()",
    ] {
        assert!(!may(&client, sql).await, "{sql}");
    }
}
