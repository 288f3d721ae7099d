//! Cuts at an exact place of a request, however the request is sent.

use pgmill_testkit::{CutPoint, wait_until};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};

use crate::proxy::{INSERT, LIMIT, Scene};

/// The ways to send a statement.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sending {
    /// One simple Query.
    Simple,
    /// Prepared before, so that only its name travels.
    Prepared,
    /// Parse, Bind and Execute at once, unnamed.
    Unnamed,
}

pub(crate) const SENDINGS: [Sending; 3] = [Sending::Simple, Sending::Prepared, Sending::Unnamed];
const PREPARED: &str = "insert into public.mark values ($1)";

/// Inserts a row, with the cut armed after all preparation.
pub(crate) async fn insert(client: &Client, sending: Sending, arm: impl FnOnce()) -> Result<(), Error> {
    match sending {
        Sending::Simple => {
            arm();
            client.batch_execute(INSERT).await
        }
        Sending::Prepared => {
            let statement = client.prepare(PREPARED).await?;
            arm();
            client.execute(&statement, &[&1_i64]).await.map(drop)
        }
        Sending::Unnamed => {
            arm();
            client.query_typed(PREPARED, &[(&1_i64, Type::INT8)]).await.map(drop)
        }
    }
}

#[tokio::test]
async fn before_the_request_the_statement_does_not_run() {
    let scene = Scene::set().await;
    for sending in SENDINGS {
        let client = scene.client().await;
        let mut fired = None;
        let arm = || fired = Some(scene.proxy.arm(CutPoint::BeforeRequest, "into public.mark"));
        let error = insert(&client, sending, arm).await.unwrap_err();
        assert!(error.is_closed(), "{sending:?}: {error}");
        fired.unwrap().await;
        assert_eq!(scene.rows().await, 0, "{sending:?}");
    }
    insert(&scene.client().await, Sending::Prepared, || {}).await.unwrap();
}

#[tokio::test]
async fn after_the_request_the_statement_runs_and_the_client_does_not_learn_of_it() {
    let scene = Scene::set().await;
    for (rows, sending) in (1..).zip(SENDINGS) {
        let client = scene.client().await;
        let mut fired = None;
        let arm = || fired = Some(scene.proxy.arm(CutPoint::AfterRequest, "into public.mark"));
        insert(&client, sending, arm).await.unwrap_err();
        fired.unwrap().await;
        wait_until(&format!("the row of {sending:?}"), LIMIT, async || scene.rows().await == rows).await;
    }
}

#[tokio::test]
async fn when_the_answer_is_cut_the_statement_has_committed() {
    let scene = Scene::set().await;
    let mut rows = 0;
    for point in [CutPoint::BeforeAnswer, CutPoint::MidAnswer] {
        for sending in SENDINGS {
            let client = scene.client().await;
            let mut fired = None;
            let arm = || fired = Some(scene.proxy.arm(point, "into public.mark"));
            insert(&client, sending, arm).await.unwrap_err();
            fired.unwrap().await;
            rows += 1;
            assert_eq!(scene.rows().await, rows, "{point:?} {sending:?}");
        }
    }
}

#[tokio::test]
async fn a_client_that_has_its_answer_can_say_no_more() {
    let scene = Scene::set().await;
    for (rows, sending) in (1..).zip(SENDINGS) {
        let client = scene.client().await;
        let mut fired = None;
        let arm = || fired = Some(scene.proxy.arm(CutPoint::AfterAnswer, "into public.mark"));
        insert(&client, sending, arm).await.unwrap();
        fired.unwrap().await;
        assert_eq!(scene.rows().await, rows, "{sending:?}");
        client.batch_execute(INSERT).await.unwrap_err();
        assert_eq!(scene.rows().await, rows, "{sending:?}");
    }
}

#[tokio::test]
async fn a_client_may_have_rows_of_an_answer_that_is_cut_in_the_middle() {
    use futures_util::TryStreamExt;

    let scene = Scene::set().await;
    for (point, some) in [(CutPoint::MidAnswer, true), (CutPoint::BeforeAnswer, false)] {
        let client = scene.client().await;
        let fired = scene.proxy.arm(point, "generate_series");
        let mut seen = 0;
        let sent = client.query_raw("select generate_series(1, 10000)", Vec::<i32>::new()).await;
        let outcome = match sent {
            Ok(rows) => {
                rows.try_for_each(|_| {
                    seen += 1;
                    async { Ok(()) }
                })
                .await
            }
            Err(error) => Err(error),
        };
        outcome.unwrap_err();
        fired.await;
        assert_eq!((1..10_000).contains(&seen), some, "{point:?}: {seen} rows");
    }
}

#[tokio::test]
async fn answers_to_earlier_requests_arrive() {
    let scene = Scene::set().await;
    let client = scene.client().await;
    let fired = scene.proxy.arm(CutPoint::BeforeAnswer, "into public.mark");
    let (before, cut, after) = tokio::join!(
        client.simple_query("select 1"),
        client.batch_execute(INSERT),
        client.simple_query("select 2")
    );
    before.unwrap();
    cut.unwrap_err();
    after.unwrap_err();
    fired.await;
}

#[tokio::test]
async fn only_the_nth_matching_request_is_cut_and_only_once() {
    let scene = Scene::set().await;
    let client = scene.client().await;
    let statement = client.prepare(PREPARED).await.unwrap();
    let fired = scene.proxy.arm_nth(CutPoint::BeforeRequest, "into public.mark", 3);
    for _ in 0..2 {
        client.execute(&statement, &[&1_i64]).await.unwrap();
        client.batch_execute("select 'something else'").await.unwrap();
    }
    client.execute(&statement, &[&1_i64]).await.unwrap_err();
    fired.await;
    assert_eq!(scene.rows().await, 2);
    insert(&scene.client().await, Sending::Simple, || {}).await.unwrap();
}

#[tokio::test]
async fn a_transaction_is_cut_at_its_commit() {
    use futures_util::SinkExt;

    let scene = Scene::set().await;
    for (point, rows) in [(CutPoint::BeforeRequest, 0), (CutPoint::BeforeAnswer, 2), (CutPoint::MidAnswer, 4)]
    {
        let mut client = scene.client().await;
        let transaction = client.transaction().await.unwrap();
        let sink = transaction.copy_in::<_, &[u8]>("copy public.mark from stdin").await.unwrap();
        let mut sink = Box::pin(sink);
        sink.send(&b"1\n2\n"[..]).await.unwrap();
        assert_eq!(sink.as_mut().finish().await.unwrap(), 2);
        let fired = scene.proxy.arm(point, "COMMIT");
        transaction.commit().await.unwrap_err();
        fired.await;
        assert_eq!(scene.rows().await, rows, "{point:?}");
    }
}

#[tokio::test]
#[should_panic(expected = "did not happen")]
async fn a_cut_that_cannot_happen_any_more_is_told() {
    let scene = Scene::set().await;
    let fired = scene.proxy.arm(CutPoint::BeforeAnswer, "into public.mark");
    drop(scene);
    fired.await;
}
