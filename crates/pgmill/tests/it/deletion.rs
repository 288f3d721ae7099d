//! Queues that are deleted and made anew under load.
//!
//! The server notes the time of each commit, so that it can be told whether a task came into a queue that was gone by
//! then: such a task was acknowledged, and is out of sight.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pgmill::{EnqueueError, Manager, QueueError, QueueMeta};
use pgmill_testkit::{StopMode, TestDatabase, TestServer};
use tokio::task::JoinSet;
use tokio_postgres::Client;

use crate::scene::{QUEUE, builder, number, payload, rewrite};

struct Outcome {
    /// Tasks that were acknowledged.
    acknowledged: HashSet<u64>,
    /// Tasks that were committed into a queue whose deletion had been committed before.
    lost: i64,
    deletions: i64,
    client: Client,
    /// Keeps the server running.
    _database: TestDatabase,
}

/// Creates tasks in every way while another process deletes their queue and makes it anew.
async fn delete_under_load(locked: bool) -> Outcome {
    let server = TestServer::own();
    let database = TestDatabase::create_on(&server).await;
    let client = database.connect().await;
    client.batch_execute("alter system set track_commit_timestamp = on").await.unwrap();
    server.halt(StopMode::Fast).await;
    server.resume().await;
    let client = {
        drop(client);
        database.connect().await
    };
    let note = "create table public.deletion (queue_id integer);
        create function public.note() returns trigger language plpgsql as
            $$ begin insert into public.deletion values (old.id); return old; end $$;
        create trigger note before delete on pgmill.queue for each row execute function public.note();";
    client.batch_execute(note).await.unwrap();
    if !locked {
        let lock = "PERFORM pg_advisory_xact_lock_shared(1886219625, f) FROM unnest(v_found) f;";
        rewrite(&client, "enqueue_v1", lock, "").await;
        let lock_of_one = "pg_advisory_xact_lock_shared(1886219625, queue_id),";
        rewrite(&client, "enqueue_v1", lock_of_one, "").await;
    }

    let managers = [builder(database.url()).await.unwrap(), builder(database.url()).await.unwrap()];
    let deleter = builder(database.url()).await.unwrap();
    deleter.create_queue(QueueMeta::new(QUEUE)).await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let mut creators: JoinSet<HashSet<u64>> = JoinSet::new();
    for n in 0..32 {
        let (manager, done) = (managers[n % 2].clone(), Arc::clone(&done));
        creators.spawn(async move {
            let mut acknowledged = HashSet::new();
            while !done.load(Ordering::Relaxed) {
                match create(&manager, n / 2 % 16).await {
                    Ok(ids) => acknowledged.extend(ids),
                    Err(EnqueueError::NoQueue { .. }) => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
            acknowledged
        });
    }
    for _ in 0..60 {
        match deleter.delete_queue(QUEUE).await {
            Ok(_) => {}
            // A transaction that enqueued was open for too long.
            Err(QueueError::Store(error)) if error.is_transient() => continue,
            Err(error) => panic!("{error}"),
        }
        deleter.create_queue(QueueMeta::new(QUEUE)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    done.store(true, Ordering::Relaxed);
    let mut acknowledged = HashSet::new();
    for ids in creators.join_all().await {
        acknowledged.extend(ids);
    }
    let lost = "select count(*) from pgmill.task t join public.deletion d using (queue_id)
        where pg_xact_commit_timestamp(t.xmin) > pg_xact_commit_timestamp(d.xmin)";
    let lost = number(&client, lost).await;
    let deletions = number(&client, "select count(*) from public.deletion").await;
    // Made anew for the last time, the queue keeps what it is given.
    for way in 0..16 {
        for id in create(&managers[way % 2], way).await.unwrap() {
            managers[0].get_task(id).await.unwrap();
            acknowledged.insert(id);
        }
    }
    Outcome { acknowledged, lost, deletions, client, _database: database }
}

/// Creates tasks in one of the ways there are, and returns their ids once they are acknowledged.
async fn create(manager: &Manager, way: usize) -> Result<Vec<u64>, EnqueueError> {
    match way {
        0 => {
            let tasks = manager.create_tasks(QUEUE, (0..2_000).map(payload)).await?;
            Ok(tasks.into_iter().map(|task| task.id).collect())
        }
        1 | 2 => {
            let tasks = manager.create_tasks(QUEUE, (0..5).map(payload)).await?;
            Ok(tasks.into_iter().map(|task| task.id).collect())
        }
        3 | 4 => {
            let mut connection = manager.pool().get().await.unwrap();
            let transaction = connection.transaction().await.unwrap();
            let (task, wake) = manager.create_task_in(&*transaction, QUEUE, payload(way)).await?;
            // The caller's own work.
            tokio::time::sleep(Duration::from_millis(10)).await;
            transaction.commit().await.unwrap();
            wake.send(manager);
            Ok(vec![task.id])
        }
        _ => Ok(vec![manager.create_task(QUEUE, payload(way)).await?.id]),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_task_lands_in_a_deleted_queue() {
    let outcome = delete_under_load(true).await;
    assert_eq!(outcome.lost, 0);
    assert!(outcome.deletions >= 20, "{} deletions", outcome.deletions);
    assert!(outcome.acknowledged.len() >= 500, "{} tasks", outcome.acknowledged.len());
    // Nothing has swept yet: every task that was acknowledged is there.
    let ids: Vec<i64> = outcome.acknowledged.iter().map(|id| i64::try_from(*id).unwrap()).collect();
    let found = "select count(*) from pgmill.task where id = any ($1)";
    let found: i64 = outcome.client.query_one(found, &[&ids]).await.unwrap().get(0);
    assert_eq!(found, ids.len() as i64);
}

/// That the test above can fail, and that the lock is what it holds by.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_lock_of_the_queue_tasks_do_land_in_a_deleted_one() {
    assert!(delete_under_load(false).await.lost > 0);
}
