//! Tickers in a worker pool.

use std::time::Duration;

use pgmill::{QueueMeta, RegisterError, RunError, TickContext, TickerMeta, WorkerPool, hours};

use crate::fixture::Fixture;
use crate::pool_scene::{Counter, Running, SHORT};

fn often(name: &str) -> TickerMeta {
    TickerMeta::new(name).interval(Duration::from_millis(20))
}

#[tokio::test]
async fn ticks_are_handled_and_those_of_others_are_left_alone() {
    let fixture = Fixture::new().await;
    fixture.manager.register_ticker(often("other")).await.unwrap();
    let pool = WorkerPool::builder(&fixture.manager).name("worker-1").state(7).build().unwrap();
    let ticked = Counter::new();
    let count = ticked.clone();
    pool.register_ticker(often(" Mine "), move |tick: TickContext<i32>| {
        let count = count.clone();
        async move {
            assert_eq!(tick.ticker().ticker.as_str(), "mine");
            assert_eq!((*tick.state(), tick.worker()), (7, "worker-1"));
            tick.manager().register_queue(QueueMeta::new("follow-up")).await?;
            count.add();
            Ok::<_, pgmill::QueueError>(())
        }
    })
    .await
    .unwrap();
    let running = Running::start(pool);
    ticked.reach(3).await;
    running.stop().await;
    assert!(fixture.manager.get_ticker("other").await.unwrap().timestamp.is_none());
    assert!(fixture.manager.get_queue("follow-up").await.is_ok());
}

async fn failing(fixture: &Fixture, log: bool, panics: bool) -> (WorkerPool, Counter) {
    let pool = WorkerPool::builder(&fixture.manager).log_ticker_errors(log).build().unwrap();
    let ticked = Counter::new();
    let count = ticked.clone();
    pool.register_ticker(often("t"), move |_: TickContext| {
        count.add();
        async move {
            assert!(!panics, "on purpose");
            Err::<(), _>("failed on purpose")
        }
    })
    .await
    .unwrap();
    (pool, ticked)
}

#[tokio::test]
async fn an_error_of_a_tickers_handler_ends_the_pool_and_is_returned() {
    let fixture = Fixture::new().await;
    for (panics, message) in [(false, "failed on purpose"), (true, "the handler panicked: on purpose")] {
        let (pool, _) = failing(&fixture, false, panics).await;
        let ended = pool.run(tokio_util::sync::CancellationToken::new()).await;
        let Err(RunError::Ticker(pgmill::TickerError::Handler { ticker, source })) = ended else {
            panic!("{ended:?}")
        };
        assert_eq!((ticker.as_str(), source.to_string().as_str()), ("t", message));
    }
}

#[tokio::test]
async fn an_error_of_a_tickers_handler_is_logged_where_that_is_chosen() {
    let fixture = Fixture::new().await;
    let (pool, ticked) = failing(&fixture, true, false).await;
    let running = Running::start(pool);
    ticked.reach(3).await;
    running.stop().await;
}

#[tokio::test]
async fn a_ticker_has_one_handler() {
    let fixture = Fixture::new().await;
    let pool = WorkerPool::builder(&fixture.manager).build().unwrap();
    let handler = |_: TickContext| async { Ok::<_, std::io::Error>(()) };
    pool.register_ticker(TickerMeta::new("t").interval(hours(1)), handler).await.unwrap();
    let again = pool.register_ticker(TickerMeta::new("T").interval(hours(2)), handler).await.unwrap_err();
    assert!(matches!(&again, RegisterError::RegisteredTicker { ticker } if ticker == "t"), "{again}");
    assert_eq!(fixture.manager.get_ticker("t").await.unwrap().interval, Some(hours(1)));
}

#[tokio::test]
async fn the_handler_of_a_ticker_is_asked_to_end_and_then_dropped() {
    for obeys in [true, false] {
        let fixture = Fixture::new().await;
        let builder = WorkerPool::builder(&fixture.manager).shutdown_grace(SHORT);
        let pool = builder.cancel_grace(if obeys { hours(1) } else { SHORT }).build().unwrap();
        let (started, ended) = (Counter::new(), Counter::new());
        let counters = (started.clone(), ended.clone());
        pool.register_ticker(often("t"), move |tick: TickContext| {
            let (started, ended) = counters.clone();
            async move {
                started.add();
                tick.cancellation().cancelled().await;
                if !obeys {
                    std::future::pending::<()>().await;
                }
                ended.add();
                Ok::<_, std::io::Error>(())
            }
        })
        .await
        .unwrap();
        let running = Running::start(pool);
        started.reach(1).await;
        running.stop().await;
        assert_eq!(ended.get(), usize::from(obeys));
    }
}
