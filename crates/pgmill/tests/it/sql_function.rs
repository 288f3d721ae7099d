//! `pgmill.create_task(…)`, the way in for every language.

use pgmill::Status;
use tokio_postgres::Client;
use tokio_postgres::error::DbError;

use crate::fixture::{Fixture, seconds_between};

async fn create(client: &Client, arguments: &str) -> Result<u64, DbError> {
    let row = client.query_one(&format!("SELECT pgmill.create_task({arguments})"), &[]).await;
    row.map(|row| row.get::<_, i64>(0).cast_unsigned()).map_err(|error| error.as_db_error().unwrap().clone())
}

#[tokio::test]
async fn a_task_needs_a_queue_and_a_payload() {
    let fixture = Fixture::with_queue().await;
    let id = create(&fixture.client, r#"'app', 'q', '{"to": "a@example.com", "n": 1.50}'"#).await.unwrap();
    let created = fixture.manager.get_task(id).await.unwrap();
    assert_eq!(created.payload.as_ref().unwrap().as_str(), r#"{"to": "a@example.com", "n": 1.50}"#);
    assert_eq!((created.status, created.priority, created.retries), (Some(Status::New), 5, 3));
    assert_eq!((created.delayed_at, created.key), (None, None));
    assert_eq!(fixture.retain().await.id, id);
}

#[tokio::test]
async fn all_else_can_be_given_by_name() {
    let fixture = Fixture::with_queue().await;
    let arguments = "ns => 'app', queue => ' Q ', payload => '1', delay => '90 s', priority => 0, key => 'k'";
    let id = create(&fixture.client, arguments).await.unwrap();
    let created = fixture.manager.get_task(id).await.unwrap();
    assert_eq!((created.priority, created.key.as_deref()), (0, Some("k")));
    assert!((seconds_between(created.created_at, created.delayed_at.unwrap()) - 90.0).abs() < 1.0);
    assert_eq!(create(&fixture.client, arguments).await.unwrap(), id, "the task that has the key");
    let at = create(&fixture.client, "'app', 'q', 'null', delayed_at => '2400-02-03 04:05:06.789+00'")
        .await
        .unwrap();
    let at = fixture.manager.get_task(at).await.unwrap();
    assert_eq!(at.delayed_at.unwrap().to_string(), "2400-02-03T04:05:06.789Z");
    assert!(at.payload.unwrap().is_null());
}

#[tokio::test]
async fn a_start_of_now_or_a_delay_of_nothing_is_due_at_once() {
    let fixture = Fixture::with_queue().await;
    for arguments in ["delayed_at => now()", "delay => '0'"] {
        let id = create(&fixture.client, &format!("'app', 'q', '1', {arguments}")).await.unwrap();
        assert_eq!(fixture.retain().await.id, id);
    }
}

#[tokio::test]
async fn it_is_part_of_the_transaction() {
    let fixture = Fixture::with_queue().await;
    let before = fixture.stored().await;
    let client = fixture.database.connect().await;
    client.batch_execute("BEGIN").await.unwrap();
    create(&client, "'app', 'q', '1', key => 'k'").await.unwrap();
    client.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(fixture.stored().await, before);
}

#[tokio::test]
async fn it_needs_neither_a_search_path_nor_a_time_zone() {
    let fixture = Fixture::with_queue().await;
    let client = fixture.database.connect().await;
    client
        .batch_execute("SET search_path = ''; SET TimeZone = 'Asia/Kolkata'; SET DateStyle = 'SQL, DMY'")
        .await
        .unwrap();
    let id = create(&client, "'app', 'q', '1'").await.unwrap();
    let created = fixture.manager.get_task(id).await.unwrap();
    assert!(seconds_between(created.created_at, jiff::Timestamp::now()).abs() < 60.0);
    assert_eq!(created.delayed_at, None);
}

#[tokio::test]
async fn each_error_has_its_sqlstate_and_says_what_is_allowed_and_nothing_is_written() {
    let fixture = Fixture::with_queue().await;
    fixture
        .sql(
            "SET TimeZone = 'UTC'; SET IntervalStyle = 'postgres'; SET DateStyle = 'ISO';
            SET standard_conforming_strings = on",
        )
        .await;
    let before = fixture.stored().await;
    let range = "22023";
    let priorities = "Allowed is 0 (first) to 9.";
    let delays = "Allowed is 0 to 100 years.";
    let keys = "Allowed are 1 to 255.";
    for (arguments, sqlstate, message, hint) in [
        ("'app', 'q', NULL", "22004", "missing payload", "Any JSON value is allowed, also 'null'::json."),
        (
            "'app', 'missing', '1'",
            "P0002",
            r#"queue "missing" does not exist in namespace "app""#,
            "Register the queue first.",
        ),
        (
            "'other', 'Q', '1'",
            "P0002",
            r#"queue "q" does not exist in namespace "other""#,
            "Register the queue first.",
        ),
        ("'app', 'q', '1', priority => 10", range, "priority 10 is out of range", priorities),
        ("'app', 'q', '1', priority => -1", range, "priority -1 is out of range", priorities),
        ("'app', 'q', '1', priority => NULL", range, "priority <NULL> is out of range", priorities),
        ("'app', 'q', '1', key => ''", range, "key has 0 characters", keys),
        ("'app', 'q', '1', key => repeat('k', 256)", range, "key has 256 characters", keys),
        ("'app', 'q', '1', delay => '-1 s'", range, "delay -00:00:01 is out of range", delays),
        ("'app', 'q', '1', delay => '101 years'", range, "delay 101 years is out of range", delays),
        (
            "'app', 'q', '1', delay => '1 s', delayed_at => now()",
            range,
            "delayed_at and delay exclude each other",
            "Give one of them.",
        ),
        (
            "'app', 'q', '1', delayed_at => now() - interval '1 hour'",
            range,
            "delayed_at is in the past",
            "Allowed is now, within a second, or later.",
        ),
        (
            "'app', 'q', '1', delayed_at => '-infinity'",
            range,
            "delayed_at is in the past",
            "Allowed is now, within a second, or later.",
        ),
        (
            "'app', 'q', '1', delayed_at => 'infinity'",
            range,
            "delayed_at infinity is out of range",
            "Allowed is a time before the year 2501.",
        ),
        (
            "'app', 'q', '1', delayed_at => '2501-01-01 00:00:00+00'",
            range,
            "delayed_at 2501-01-01 00:00:00+00 is out of range",
            "Allowed is a time before the year 2501.",
        ),
    ] {
        let error = create(&fixture.client, arguments).await.unwrap_err();
        let told = (error.code().code(), error.message(), error.hint().unwrap_or_default());
        assert_eq!(told, (sqlstate, message, hint), "{arguments}");
    }
    let nul = create(&fixture.client, r#"'app', 'q', '"\u0000"'"#).await.unwrap_err();
    assert_eq!(nul.code().code(), "22P05", "{nul:?}");
    let malformed = create(&fixture.client, "'app', 'q', '{'").await.unwrap_err();
    assert_eq!(malformed.code().code(), "22P02", "{malformed:?}");
    assert_eq!(fixture.stored().await, before);
}
