//! What else befalls a connection at an exact place of a request, and mishaps that are taken back.

use std::time::{Duration, Instant};

use pgmill_testkit::{CutPoint, Mishap, wait_until};

use crate::cut::{SENDINGS, insert};
use crate::proxy::{INSERT, LIMIT, Scene};

const NEEDLE: &str = "into public.mark";
const POINTS: [CutPoint; 5] = [
    CutPoint::BeforeRequest,
    CutPoint::AfterRequest,
    CutPoint::BeforeAnswer,
    CutPoint::MidAnswer,
    CutPoint::AfterAnswer,
];
/// So long that nothing of it is ever over.
const FOREVER: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_delay_at_a_point_loses_nothing() {
    let scene = Scene::set().await;
    let delay = Duration::from_millis(30);
    let mut rows = 0;
    for point in POINTS {
        for sending in SENDINGS {
            let client = scene.client().await;
            let mut ambush = None;
            let start = Instant::now();
            let arm = || ambush = Some(scene.proxy.ambush(point, Mishap::Delay(delay), NEEDLE, 1));
            insert(&client, sending, arm).await.unwrap();
            assert!(ambush.unwrap().within(LIMIT).await, "{point:?} {sending:?}");
            client.simple_query("select 1").await.unwrap();
            assert!(start.elapsed() >= delay, "{point:?} {sending:?}: {:?}", start.elapsed());
            rows += 1;
            assert_eq!(scene.rows().await, rows, "{point:?} {sending:?}");
        }
    }
}

#[tokio::test]
async fn requests_that_were_sent_along_are_delayed_too_and_answered_in_order() {
    let scene = Scene::set().await;
    for point in POINTS {
        let client = scene.client().await;
        let delay = Mishap::Delay(Duration::from_millis(30));
        let [first, second] = [1, 2].map(|n| scene.proxy.ambush(point, delay, NEEDLE, n));
        let ask = async |number: &str| client.simple_query(&format!("select {number}")).await.map(drop);
        tokio::try_join!(client.batch_execute(INSERT), ask("1"), client.batch_execute(INSERT), ask("2"))
            .unwrap();
        assert!(first.within(LIMIT).await && second.within(LIMIT).await, "{point:?}");
    }
    assert_eq!(scene.rows().await, 2 * i64::try_from(POINTS.len()).unwrap());
}

#[tokio::test]
async fn a_connection_that_falls_silent_at_a_point_tells_neither_side() {
    let scene = Scene::set().await;
    let mut rows = 0;
    for point in POINTS {
        for sending in SENDINGS {
            let client = scene.client().await;
            let ambush = scene.proxy.ambush(point, Mishap::Swallow(FOREVER), NEEDLE, 1);
            let request = tokio::spawn(async move {
                insert(&client, sending, || {}).await?;
                client.batch_execute("select 'what comes next'").await
            });
            assert!(ambush.within(LIMIT).await, "{point:?} {sending:?}");
            rows += i64::from(point != CutPoint::BeforeRequest);
            wait_until("the row", LIMIT, async || scene.rows().await == rows).await;
            assert!(!request.is_finished(), "{point:?} {sending:?}");
            scene.proxy.cut();
            request.await.unwrap().unwrap_err();
        }
    }
}

#[tokio::test]
async fn a_silence_ends_with_the_connection() {
    let scene = Scene::set().await;
    for point in POINTS {
        let client = scene.client().await;
        let ambush = scene.proxy.ambush(point, Mishap::Swallow(Duration::from_millis(1)), NEEDLE, 1);
        let inserted = client.batch_execute(INSERT).await;
        assert_eq!(inserted.is_ok(), point == CutPoint::AfterAnswer, "{point:?}: {inserted:?}");
        assert!(ambush.within(LIMIT).await, "{point:?}");
        wait_until("the client to notice", LIMIT, async || client.is_closed()).await;
        wait_until("the proxy to forget it", LIMIT, async || scene.proxy.connections() == 0).await;
    }
}

#[tokio::test]
async fn what_is_taken_back_does_not_happen_to_a_later_request() {
    let scene = Scene::set().await;
    let client = scene.client().await;
    for point in POINTS {
        assert!(!scene.proxy.ambush(point, Mishap::Cut, NEEDLE, 1).within(Duration::ZERO).await);
        drop(scene.proxy.ambush(point, Mishap::Cut, NEEDLE, 1));
        client.batch_execute(INSERT).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_taken_back_between_its_request_and_its_point_lets_the_answer_through() {
    let scene = Scene::set().await;
    let client = scene.client().await;
    for point in [CutPoint::BeforeAnswer, CutPoint::MidAnswer, CutPoint::AfterAnswer] {
        scene.witness.batch_execute("select pg_advisory_lock(1)").await.unwrap();
        let ambush = scene.proxy.ambush(point, Mishap::Cut, "advisory", 1);
        let asked = async {
            client.batch_execute("select pg_advisory_lock(1), pg_advisory_unlock(1)").await?;
            client.batch_execute("select 'what comes next'").await
        };
        let taken_back = async {
            wait_until("the request", LIMIT, async || {
                let waiting = "select count(*) from pg_catalog.pg_locks
                    where locktype = 'advisory' and not granted
                        and database = (select oid from pg_database where datname = current_database())";
                scene.witness.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 1
            })
            .await;
            assert!(!ambush.within(Duration::ZERO).await, "{point:?}");
            scene.witness.batch_execute("select pg_advisory_unlock(1)").await.unwrap();
        };
        let (answer, ()) = tokio::join!(asked, taken_back);
        answer.unwrap();
    }
}

#[tokio::test]
async fn what_is_taken_back_leaves_the_request_to_another() {
    let scene = Scene::set().await;
    let client = scene.client().await;
    let gone = scene.proxy.ambush(CutPoint::BeforeRequest, Mishap::Cut, NEEDLE, 1);
    let there = scene.proxy.ambush(CutPoint::AfterAnswer, Mishap::Cut, NEEDLE, 1);
    drop(gone);
    client.batch_execute(INSERT).await.unwrap();
    assert!(there.within(LIMIT).await);
}
