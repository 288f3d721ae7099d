//! What there is to watch.

use pgmill::{ListRequest, QueueError, Status};
use pgmill_testkit::wait_until;

use crate::fixture::{Fixture, SOON, done, task};

#[tokio::test]
async fn the_counts_of_a_queue_and_of_all_are_told() {
    let fixture = Fixture::with_queue().await;
    fixture.create(task(1)).await;
    fixture.create(task(2)).await;
    fixture.finish(done()).await;
    let counts = fixture.manager.queue_status("Q").await.unwrap();
    assert_eq!((counts.tasks.new, counts.tasks.released, counts.tasks.live()), (1, 1, 1));
    for (status, count) in [(Status::New, 1), (Status::Released, 1), (Status::Failed, 0)] {
        assert_eq!((counts.tasks.of(status), fixture.count(status).await), (count, count));
    }
    let all = fixture.manager.list_queue_counts(ListRequest::new()).await.unwrap();
    assert_eq!((all.count, all.body), (1, vec![counts]));
    let unknown = fixture.manager.queue_status("unknown").await;
    assert!(matches!(unknown, Err(QueueError::NotFound { .. })), "{unknown:?}");
    let unnameable = fixture.manager.queue_status("no name").await;
    assert!(matches!(unnameable, Err(QueueError::Name(_))), "{unnameable:?}");
}

#[tokio::test]
async fn a_task_waits_from_when_it_is_due_until_it_is_retained() {
    let fixture = Fixture::with_queue().await;
    fixture.create(task(1)).await;
    fixture.sql("UPDATE pgmill.task SET run_at = now() - interval '1 hour'").await;
    let waiting = fixture.manager.oldest_waiting().await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!((waiting[0].0.as_str(), waiting[0].1.as_secs()), ("q", 3_600));
    fixture.retain().await;
    assert_eq!(fixture.manager.oldest_waiting().await.unwrap(), []);
}

#[tokio::test]
async fn the_health_of_a_migrated_database_is_told_and_that_of_one_that_is_gone_is_not() {
    let fixture = Fixture::with_queue().await;
    let health = fixture.manager.database_health().await.unwrap();
    assert!(health.missing_migrations.is_empty(), "{health:?}");
    assert!(health.connections > 0 && health.connections_allowed > health.connections, "{health:?}");
    fixture.sql("DELETE FROM pgmill.migration WHERE version = 5").await;
    let health = fixture.manager.database_health().await.unwrap();
    assert_eq!(health.missing_migrations, ["0005_release"]);
    fixture.manager.pool().close();
    let error = fixture.manager.database_health().await.unwrap_err();
    assert!(!error.is_transient(), "the pool is closed for good: {error:?}");
}

#[tokio::test]
async fn the_use_of_the_pool_is_told() {
    let fixture = Fixture::with_queue().await;
    let pool = fixture.manager.pool().clone();
    let before = fixture.manager.pool_usage();
    assert_eq!((before.allowed, before.in_use, before.waiting), (pool.status().max_size, 0, 0));
    let mut held = Vec::new();
    for _ in 0..before.allowed {
        held.push(pool.get().await.unwrap());
    }
    let waiting = tokio::spawn(async move { pool.get().await.map(drop) });
    wait_until("somebody to wait", SOON, async || fixture.manager.pool_usage().waiting == 1).await;
    let full = fixture.manager.pool_usage();
    assert_eq!((full.open, full.in_use), (full.allowed, full.allowed));
    drop(held);
    waiting.await.unwrap().unwrap();
    assert_eq!(fixture.manager.pool_usage().in_use, 0);
}
