//! The server is away for a while, under load.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pgmill::{Context, EnqueueError, Manager, Outcome, QueueMeta, QueueOptions, Status, WorkerPool, seconds};
use pgmill_testkit::{StopMode, TestDatabase, TestServer, wait_until};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::pool_scene::{Counter, Running};
use crate::scene::{LIMIT, QUEUE, builder, is_long, number, payload};

/// How many tasks a rate is told by.
const STRETCH: usize = 300;
const PRODUCERS: usize = 8;

/// How many were created, for certain and perhaps.
#[derive(Default)]
struct Created {
    known: HashSet<u64>,
    unknown: HashSet<u64>,
}

/// Creates one task after the other, whatever happens.
fn produce(manager: Manager, stop: CancellationToken) -> JoinHandle<Created> {
    tokio::spawn(async move {
        let mut created = Created::default();
        while !stop.is_cancelled() {
            match manager.create_task(QUEUE, payload("x")).await {
                Ok(task) => drop(created.known.insert(task.id)),
                Err(EnqueueError::Unknown { id }) => drop(created.unknown.insert(id)),
                Err(error) => {
                    assert!(error.is_transient(), "{error}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
        created
    })
}

/// How long it takes until so many more are counted.
async fn stretch(done: &Counter) -> Duration {
    let started = Instant::now();
    done.reach(done.get() + STRETCH).await;
    started.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_outlasts_a_server_that_is_stopped_under_load_and_is_back_at_its_rate() {
    let server = TestServer::own();
    let database = TestDatabase::create_on(&server).await;
    let manager = builder(database.url()).await.unwrap();
    manager.register_queue(QueueMeta::new(QUEUE)).await.unwrap();
    manager.register_queue(QueueMeta::new("expiring").ttl(seconds(1))).await.unwrap();

    let worker = builder(database.url()).await.unwrap();
    let pool = WorkerPool::builder(&worker).workers(16).build().unwrap();
    let (done, ran) = (Counter::new(), Arc::new(Mutex::new(HashSet::new())));
    let (count, runs) = (done.clone(), Arc::clone(&ran));
    let handler = move |context: Context| {
        runs.lock().unwrap().insert(context.id());
        count.add();
        async { Outcome::done_empty() }
    };
    pool.register_raw(&[QUEUE], QueueOptions::new(), handler).await.unwrap();
    let pool = Running::start(pool);
    let stop = CancellationToken::new();
    let producers: Vec<_> = (0..PRODUCERS).map(|_| produce(manager.clone(), stop.clone())).collect();

    done.reach(STRETCH).await;
    let before = stretch(&done).await;
    server.halt(StopMode::Fast).await;
    tokio::time::sleep(seconds(if is_long() { 30 } else { 3 })).await;
    server.resume().await;
    wait_until("the rate to be as it was, give or take a half", LIMIT, async || {
        stretch(&done).await < before * 2
    })
    .await;

    // Maintenance has survived as well: it ends what expires.
    manager.create_task("expiring", payload("x")).await.unwrap();
    let client = database.connect().await;
    let expired = "SELECT count(*) FROM pgmill.task_finished f JOIN pgmill.queue q ON q.id = f.queue_id
        WHERE q.queue = 'expiring'";
    wait_until("maintenance", LIMIT, async || number(&client, expired).await == 1).await;

    stop.cancel();
    let mut created = Created::default();
    for producer in producers {
        let by_one = producer.await.unwrap();
        created.known.extend(by_one.known);
        created.unknown.extend(by_one.unknown);
    }
    let left = "SELECT count(*) FROM pgmill.task";
    wait_until("all tasks to be done", LIMIT, async || number(&client, left).await == 0).await;
    let ran = ran.lock().unwrap().clone();
    assert!(created.known.is_subset(&ran), "tasks were lost: {:?}", created.known.difference(&ran));
    let statuses = manager.list_queue_statuses().await.unwrap();
    let released = statuses.iter().find(|row| row.queue.as_str() == QUEUE && row.status == Status::Released);
    let released = usize::try_from(released.unwrap().count).unwrap();
    let most = created.known.len() + created.unknown.len();
    assert!((created.known.len()..=most).contains(&released), "{released} of {most} were released");
    pool.stop().await;
}
