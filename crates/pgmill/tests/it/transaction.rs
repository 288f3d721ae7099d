//! Tasks that are created in a transaction of the caller, with tokio-postgres.

use pgmill::{
    EnqueueError, LookupError, Outcome, QueueError, QueueMeta, Status, StoreError, TaskMeta, seconds,
};
use pgmill_testkit::wait_until;
use tokio_postgres::IsolationLevel;

use crate::fixture::{Fixture, SOON, done, task, told};

#[tokio::test]
async fn a_task_in_a_transaction_comes_with_its_commit() {
    let fixture = Fixture::with_queue().await;
    let mut client = fixture.database.connect().await;
    let transaction = client.transaction().await.unwrap();
    let meta = task("payload").priority(2).key("k").delay(seconds(0));
    let (created, wake) = fixture.manager.create_task_in(&transaction, " Q ", meta).await.unwrap();
    assert!(matches!(fixture.manager.get_task(created.id).await, Err(LookupError::NotFound { .. })));
    assert!(fixture.manager.next_task("worker", &["q"]).await.unwrap().is_none());
    transaction.commit().await.unwrap();
    wake.send(&fixture.manager);
    assert_eq!(fixture.manager.get_task(created.id).await.unwrap(), created);
    assert_eq!(fixture.retain().await.id, created.id);
}

#[tokio::test]
async fn a_task_in_a_transaction_goes_with_its_rollback() {
    let fixture = Fixture::with_queue().await;
    let before = fixture.stored().await;
    let mut client = fixture.database.connect().await;
    let transaction = client.transaction().await.unwrap();
    let (_, wake) = fixture.manager.create_task_in(&transaction, "q", task(1).key("k")).await.unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(fixture.stored().await, before);
    wake.send(&fixture.manager);
    assert!(fixture.manager.next_task("worker", &["q"]).await.unwrap().is_none());
}

#[tokio::test]
async fn a_refused_task_leaves_the_transaction_in_order() {
    let fixture = Fixture::with_queue().await;
    let mut client = fixture.database.connect().await;
    let transaction = client.transaction().await.unwrap();
    let refused = async |queue: &str, meta: TaskMeta| {
        fixture.manager.create_task_in(&transaction, queue, meta).await.unwrap_err()
    };
    assert!(matches!(refused("missing", task(1)).await, EnqueueError::NoQueue { .. }));
    let past = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
    assert!(matches!(refused("q", task(1).delayed_at(past)).await, EnqueueError::DelayedInPast));
    assert!(matches!(refused("q", TaskMeta::empty()).await, EnqueueError::Meta(_)));
    assert!(matches!(refused("a b", task(1)).await, EnqueueError::Name(_)));
    let (created, wake) = fixture.manager.create_task_in(&transaction, "q", task(1)).await.unwrap();
    transaction.commit().await.unwrap();
    wake.send(&fixture.manager);
    assert_eq!(fixture.retain().await.id, created.id);
}

#[tokio::test]
async fn a_transaction_that_failed_already_is_told_as_an_error_of_the_database() {
    let fixture = Fixture::with_queue().await;
    let mut client = fixture.database.connect().await;
    let transaction = client.transaction().await.unwrap();
    transaction.batch_execute("SELECT 1/0").await.unwrap_err();
    let error = fixture.manager.create_task_in(&transaction, "q", task(1)).await.unwrap_err();
    let EnqueueError::Store(error) = error else { panic!("{error:?}") };
    assert_eq!(error.get().sqlstate(), Some("25P02"));
}

#[tokio::test]
async fn a_task_in_a_transaction_is_stamped_when_it_is_created_not_when_the_transaction_began() {
    let fixture = Fixture::with_queue().await;
    let mut client = fixture.database.connect().await;
    let transaction = client.transaction().await.unwrap();
    let clock = async || -> jiff::Timestamp {
        transaction.query_one("SELECT clock_timestamp()", &[]).await.unwrap().get(0)
    };
    let before = clock().await;
    let (created, _) = fixture.manager.create_task_in(&transaction, "q", task(1)).await.unwrap();
    let after = clock().await;
    assert!(
        before <= created.created_at && created.created_at <= after,
        "{before} {} {after}",
        created.created_at
    );
}

#[tokio::test]
async fn a_wake_after_the_commit_ends_a_wait() {
    let fixture = Fixture::deaf().await;
    let mut arrivals = fixture.manager.arrivals(&["q"]).unwrap();
    assert!(fixture.manager.next_task("worker", &["q"]).await.unwrap().is_none());
    let mut client = fixture.database.connect().await;
    let transaction = client.transaction().await.unwrap();
    let (_, wake) = fixture.manager.create_task_in(&transaction, "q", task(1)).await.unwrap();
    transaction.commit().await.unwrap();
    // A manager of any namespace that shares the connections will do: the wake knows its own.
    wake.send(&fixture.manager.with_namespace("other").unwrap());
    told(&mut arrivals).await;
    assert!(fixture.manager.next_task("worker", &["q"]).await.unwrap().is_some());
}

#[tokio::test]
async fn a_key_in_use_gives_the_task_that_has_it_also_one_of_the_same_transaction() {
    let fixture = Fixture::with_queue().await;
    let other = fixture.create(task("other").key("committed")).await;
    let mut client = fixture.database.connect().await;
    let transaction = client.transaction().await.unwrap();
    let create =
        async |meta: TaskMeta| fixture.manager.create_task_in(&transaction, "q", meta).await.unwrap().0;
    assert_eq!(create(task(1).key("committed")).await, other);
    let own = create(task("own").key("own")).await;
    assert_eq!(create(task(2).key("own")).await, own);
    transaction.commit().await.unwrap();
    assert_eq!(fixture.create(task(3).key("own")).await.id, own.id);
    assert_eq!(fixture.count(Status::New).await, 2);
}

#[tokio::test]
async fn a_key_that_came_free_after_the_transaction_began_is_free() {
    let fixture = Fixture::with(QueueMeta::new("q").retention(seconds(0))).await;
    let first = fixture.create(task("first").key("k")).await;
    let mut client = fixture.database.connect().await;
    let transaction =
        client.build_transaction().isolation_level(IsolationLevel::ReadCommitted).start().await.unwrap();
    transaction.batch_execute("SELECT now()").await.unwrap();
    fixture.finish(done()).await;
    let creating = fixture.manager.create_task_in(&transaction, "q", task("second").key("k"));
    let (second, _) = tokio::time::timeout(SOON, creating).await.expect("an end").unwrap();
    assert_ne!(second.id, first.id);
}

#[tokio::test]
async fn a_key_of_an_open_transaction_is_waited_for() {
    let fixture = Fixture::with_queue().await;
    for commits in [true, false] {
        let mut client = fixture.database.connect().await;
        let transaction = client.transaction().await.unwrap();
        let key = format!("key {commits}");
        let meta = task("first").key(&key);
        let (first, _) = fixture.manager.create_task_in(&transaction, "q", meta).await.unwrap();
        let manager = fixture.manager.clone();
        let waiting =
            tokio::spawn(async move { manager.create_task("q", task("second").key(key)).await.unwrap() });
        wait_until("the second to wait", SOON, async || waits(&fixture, "transactionid").await).await;
        if commits {
            transaction.commit().await.unwrap();
        } else {
            transaction.rollback().await.unwrap();
        }
        let second = waiting.await.unwrap();
        assert_eq!(second.id == first.id, commits);
    }
}

#[tokio::test]
async fn deleting_a_queue_waits_for_the_transactions_that_created_tasks_in_it() {
    let fixture = Fixture::with_queue().await;
    let mut client = fixture.database.connect().await;
    let transaction = client.transaction().await.unwrap();
    let (created, _) = fixture.manager.create_task_in(&transaction, "q", task(1)).await.unwrap();
    let manager = fixture.manager.clone();
    let deleting = tokio::spawn(async move { manager.delete_queue("q").await });
    wait_until("the deletion to wait", SOON, async || waits(&fixture, "advisory").await).await;
    transaction.commit().await.unwrap();
    assert_eq!(deleting.await.unwrap().unwrap().queue.as_str(), "q");
    assert!(matches!(fixture.manager.get_task(created.id).await, Err(LookupError::NotFound { .. })));
}

#[tokio::test]
async fn deleting_a_queue_is_given_up_while_a_transaction_that_created_a_task_in_it_stays_open() {
    let fixture = Fixture::with_queue().await;
    let mut client = fixture.database.connect().await;
    let transaction = client.transaction().await.unwrap();
    let (created, _) = fixture.manager.create_task_in(&transaction, "q", task(1)).await.unwrap();
    let error = fixture.manager.delete_queue("q").await.unwrap_err();
    assert!(
        matches!(error, QueueError::Store(StoreError::Contended(_))) && error.is_transient(),
        "{error:?}"
    );
    transaction.commit().await.unwrap();
    let taken = fixture.retain().await;
    assert_eq!(taken.id, created.id);
    fixture.manager.release_task(&taken, Outcome::done_empty()).await.unwrap();
}

/// Whether somebody waits for a lock of this type.
async fn waits(fixture: &Fixture, locktype: &str) -> bool {
    let sql = "SELECT count(*) FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a USING (pid)
        WHERE NOT l.granted AND l.locktype = $1 AND a.datname = current_database()";
    fixture.client.query_one(sql, &[&locktype]).await.unwrap().get::<_, i64>(0) > 0
}
