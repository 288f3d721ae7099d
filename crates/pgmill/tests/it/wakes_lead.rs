//! The notice that is sent behind the tasks it is about: it is one like any other, and none is missing for it.

use pgmill::{Arrivals, BatchOptions, Manager};
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use crate::fixture::told;
use crate::scene::{QUEUE, Scene, payload};

/// Refuses the payload `bad`, and lets `slow` wait until nobody holds the lock.
const OBSTACLES: &str = r#"
    ALTER TABLE pgmill.task ADD CONSTRAINT no_bad CHECK (payload::text <> '"bad"');
    CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NEW; END';
    CREATE TRIGGER slow BEFORE INSERT ON pgmill.task
        FOR EACH ROW WHEN (NEW.payload::text = '"slow"') EXECUTE FUNCTION public.slow();
    SELECT pg_advisory_lock(1);
"#;

/// Waits for tasks, as one of so many who have said so.
async fn asleep(scene: &Scene, manager: &Manager, waiters: i64) -> Arrivals {
    let mut arrivals = manager.arrivals(&[QUEUE]).unwrap();
    while scene.number("SELECT count(*) FROM pgmill.waiter").await < waiters {
        arrivals.wait().await;
    }
    // What came before, from when its listener began.
    arrivals.wait().await;
    arrivals
}

fn create(manager: &Manager, value: &'static str) -> JoinHandle<bool> {
    let manager = manager.clone();
    tokio::spawn(async move { manager.create_task(QUEUE, payload(value)).await.is_ok() })
}

async fn let_go(client: &Client) {
    client.batch_execute("SELECT pg_advisory_unlock(1)").await.unwrap();
}

#[tokio::test]
async fn each_part_of_a_batch_that_is_split_is_told_when_it_is_committed() {
    let scene = Scene::with(BatchOptions::default().flights(1)).await;
    let elsewhere = scene.another().await;
    let mut arrivals = asleep(&scene, &elsewhere, 1).await;
    let mut here = asleep(&scene, &scene.manager, 2).await;
    scene.client.batch_execute(OBSTACLES).await.unwrap();
    // On one thread, all are handed over before the first flight leaves.
    let creating = ["good", "bad", "slow"].map(|value| create(&scene.manager, value));
    told(&mut arrivals).await;
    told(&mut here).await;
    assert!(elsewhere.next_task("sleeper", &[QUEUE]).await.unwrap().is_some());
    let_go(&scene.client).await;
    told(&mut arrivals).await;
    told(&mut here).await;
    let [good, bad, slow] = creating;
    assert_eq!((good.await.unwrap(), bad.await.unwrap(), slow.await.unwrap()), (true, false, true));
}

#[tokio::test]
async fn a_task_that_takes_long_to_be_created_keeps_no_other_from_being_told() {
    let scene = Scene::new().await;
    let elsewhere = scene.another().await;
    let mut arrivals = asleep(&scene, &elsewhere, 1).await;
    scene.client.batch_execute(OBSTACLES).await.unwrap();
    let slow = create(&scene.manager, "slow");
    tokio::task::yield_now().await;
    assert!(create(&scene.manager, "good").await.unwrap());
    told(&mut arrivals).await;
    assert!(elsewhere.next_task("sleeper", &[QUEUE]).await.unwrap().is_some());
    let_go(&scene.client).await;
    assert!(slow.await.unwrap());
    told(&mut arrivals).await;
}
