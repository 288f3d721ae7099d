//! What a queue that is deleted leaves behind.

use pgmill_schema::QueueMeta;
use pgmill_store::Orphans;

use crate::support::{Fixture, done};

impl Fixture {
    async fn remove_orphans(&self) -> Orphans {
        self.store.remove_orphans(1000).await.unwrap()
    }
}

#[tokio::test]
async fn tasks_of_a_queue_that_is_gone_are_deleted_whatever_their_state() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    let created = fixture.create(&queue, 3).await;
    fixture.retain_one(&queue).await;
    fixture.store.delete_queue(&fixture.namespace, &queue).await.unwrap().unwrap();
    assert_eq!(fixture.status(created[0]).await, None, "out of sight at once");
    fixture.plain_queue().await;
    assert!(fixture.retain(&queue, 3).await.is_empty(), "a new queue of the old name is another");
    assert_eq!(fixture.remove_orphans().await, Orphans { tasks: 3, keys: 0, counts: 0 });
    assert_eq!(fixture.number("SELECT count(*) FROM pgmill.task").await, 0);
    assert_eq!(fixture.number("SELECT count(*) FROM pgmill.task_finished").await, 0);
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn nothing_of_a_queue_that_is_there_is_touched_nor_waited_for() {
    let fixture = Fixture::new().await;
    let names = ["a", "gone", "z"].map(QueueMeta::new);
    let mut queues = Vec::new();
    for meta in names {
        let queue = fixture.queue(meta).await;
        let mut tasks = fixture.new_tasks(&queue, 2).await;
        tasks[1].key = Some("key".to_owned());
        fixture.create_all(&tasks).await;
        queues.push(queue);
    }
    fixture.store.delete_queue(&fixture.namespace, &queues[1]).await.unwrap();
    let other = fixture.lock_row(fixture.number("SELECT min(id) FROM pgmill.task").await).await;
    assert_eq!(fixture.remove_orphans().await, Orphans { tasks: 2, keys: 1, counts: 0 });
    assert_eq!(fixture.remove_orphans().await, Orphans { tasks: 0, keys: 0, counts: 0 });
    other.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(fixture.number("SELECT count(*) FROM pgmill.task").await, 4);
    assert_eq!(fixture.number("SELECT count(*) FROM pgmill.task_key").await, 2);
    fixture.assert_counts_are_true().await;
}

#[tokio::test]
async fn a_statement_deletes_no_more_than_it_is_told() {
    let fixture = Fixture::new().await;
    let (a, b) = (fixture.queue(QueueMeta::new("a")).await, fixture.queue(QueueMeta::new("b")).await);
    fixture.create(&a, 4).await;
    fixture.create(&b, 4).await;
    fixture.store.delete_queue(&fixture.namespace, &a).await.unwrap();
    fixture.store.delete_queue(&fixture.namespace, &b).await.unwrap();
    let mut deleted = Vec::new();
    while fixture.number("SELECT count(*) FROM pgmill.task").await > 0 {
        deleted.push(fixture.store.remove_orphans(3).await.unwrap().tasks);
    }
    assert_eq!(deleted, [3, 3, 2]);
}

#[tokio::test]
async fn counts_of_a_queue_that_is_gone_and_those_that_came_to_nothing_are_removed() {
    let fixture = Fixture::new().await;
    let queue = fixture.plain_queue().await;
    fixture.create(&queue, 2).await;
    fixture.finish_one(&queue, done()).await;
    fixture.store.fold_counts(100).await.unwrap();
    // As a fold leaves them that had read the queue before its deletion and commits after it; and a day that was pruned.
    fixture
        .sql(
            "INSERT INTO pgmill.task_count (queue_id, status, day, n) VALUES (4711, 0, '-infinity', 9);
            INSERT INTO pgmill.task_count (queue_id, status, day, n) SELECT id, 3, '2020-02-02', 0 FROM pgmill.queue",
        )
        .await;
    assert_eq!(fixture.remove_orphans().await.counts, 2);
    assert_eq!(fixture.remove_orphans().await.counts, 0);
    fixture.assert_counts_are_true().await;
}
