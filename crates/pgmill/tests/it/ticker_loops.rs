//! Loops of tickers.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_util::Stream;
use pgmill::{Clock, Manager, TickerError, TickerLoop, TickerMeta, Ticks, hours, seconds};
use pgmill_testkit::{StopMode, TestDatabase, TestServer};
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, SOON, json};
use crate::scene::{builder, number, rewrite};

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

async fn next(ticks: &mut Ticks) -> pgmill::Ticker {
    let tick = tokio::time::timeout(SOON, ticks.next()).await.expect("a tick soon");
    tick.expect("a loop that goes on").unwrap()
}

/// Lets the loop run until it has nothing more to do.
async fn settle(ticks: &mut Ticks) {
    let rested = tokio::time::timeout(ms(300), ticks.next()).await;
    assert!(rested.is_err(), "no tick: {rested:?}");
}

/// `Test_Ticker_RunTickerLoop`: ticks with its payload and namespace.
#[tokio::test]
async fn test_ticker_run_ticker_loop() {
    let fixture = Fixture::new().await;
    let meta = TickerMeta::new("t").interval(hours(1)).payload(json(r#"{"a": 1}"#));
    fixture.manager.register_ticker(meta).await.unwrap();
    let mut ticks = fixture.manager.run_ticker_loop(TickerLoop::new()).unwrap();
    let tick = next(&mut ticks).await;
    assert_eq!((tick.payload.as_str(), tick.namespace.as_str()), (r#"{"a": 1}"#, "app"));
}

/// `Test_Ticker_RunTickerLoop`: nothing comes after it is cancelled.
#[tokio::test]
async fn test_ticker_run_ticker_loop_nothing_after_cancel() {
    let fixture = Fixture::new().await;
    fixture.manager.register_ticker(TickerMeta::new("t").interval(ms(10))).await.unwrap();
    let cancel = CancellationToken::new();
    let mut ticks = fixture.manager.run_ticker_loop(TickerLoop::new().until(cancel.clone())).unwrap();
    next(&mut ticks).await;
    cancel.cancel();
    assert!(ticks.next().await.is_none());
    assert!(ticks.next().await.is_none(), "and it stays at its end");
}

/// `Test_Ticker_RunTickerLoop`: a ticker of 250 ms ticks 5 to 10 times in 2 s. By the grid: nine times, those of the ends
/// included.
#[tokio::test]
async fn test_ticker_run_ticker_loop_ticks_several_times() {
    let fixture = Fixture::new().await;
    fixture.manager.register_ticker(TickerMeta::new("t").interval(ms(250))).await.unwrap();
    let mut ticks = fixture.manager.run_ticker_loop(TickerLoop::new().period(ms(100))).unwrap();
    let first = next(&mut ticks).await.timestamp.unwrap();
    let mut stamps = Vec::new();
    while stamps.last().is_none_or(|stamp| *stamp < 2_000) {
        stamps.push(next(&mut ticks).await.timestamp.unwrap().duration_since(first).as_millis());
    }
    assert!(stamps.iter().all(|stamp| stamp % 250 == 0), "{stamps:?}");
    assert!(stamps.is_sorted_by(|a, b| a < b), "{stamps:?}");
}

#[tokio::test]
async fn a_loop_of_another_namespace_gets_its_ticks_only() {
    let fixture = Fixture::new().await;
    let other = fixture.manager.with_namespace("other").unwrap();
    other.register_ticker(TickerMeta::new("theirs").interval(hours(1))).await.unwrap();
    fixture.manager.register_ticker(TickerMeta::new("ours").interval(hours(1))).await.unwrap();
    let mut ticks = fixture.manager.run_ticker_loop_ns("other", TickerLoop::new()).unwrap();
    assert_eq!(next(&mut ticks).await.ticker.as_str(), "theirs");
    settle(&mut ticks).await;
    let error = fixture.manager.run_ticker_loop_ns("pgmill", TickerLoop::new()).unwrap_err();
    assert!(matches!(error, TickerError::Name(_)), "{error:?}");
}

#[tokio::test]
async fn a_period_below_a_millisecond_is_refused() {
    let fixture = Fixture::new().await;
    let error =
        fixture.manager.run_ticker_loop(TickerLoop::new().period(Duration::from_micros(999))).unwrap_err();
    assert_eq!(error.to_string(), "period must be at least 1ms, not 999µs");
    assert!(fixture.manager.run_ticker_loop(TickerLoop::new().period(ms(1))).is_ok());
}

#[tokio::test]
async fn a_loop_takes_the_ticks_it_is_named_for() {
    let fixture = Fixture::new().await;
    for name in ["a", "b"] {
        fixture.manager.register_ticker(TickerMeta::new(name).interval(hours(1))).await.unwrap();
    }
    let mut ticks = fixture.manager.run_ticker_loop(TickerLoop::new().names(["B"])).unwrap();
    assert_eq!(next(&mut ticks).await.ticker.as_str(), "b");
    settle(&mut ticks).await;
    assert_eq!(fixture.manager.next_ticker().await.unwrap().unwrap().ticker.as_str(), "a");
    assert!(matches!(
        fixture.manager.run_ticker_loop(TickerLoop::new().names(["a b"])),
        Err(TickerError::Name(_))
    ));
}

#[tokio::test]
async fn a_waiting_loop_notices_at_once_what_this_process_registers_or_changes() {
    let fixture = Fixture::new().await;
    let mut ticks = fixture.manager.run_ticker_loop(TickerLoop::new().period(hours(1))).unwrap();
    settle(&mut ticks).await;
    fixture.manager.register_ticker(TickerMeta::new("t").interval(hours(1))).await.unwrap();
    assert_eq!(next(&mut ticks).await.ticker.as_str(), "t");
    settle(&mut ticks).await;
    fixture.manager.update_ticker("t", TickerMeta::patch().interval(ms(1))).await.unwrap();
    assert_eq!(next(&mut ticks).await.ticker.as_str(), "t");
}

#[tokio::test]
async fn a_waiting_loop_notices_within_its_period_what_another_process_registers() {
    let fixture = Fixture::new().await;
    let mut ticks = fixture.manager.run_ticker_loop(TickerLoop::new().period(ms(50))).unwrap();
    settle(&mut ticks).await;
    let other = fixture.other_process().await;
    other.register_ticker(TickerMeta::new("t").interval(hours(1))).await.unwrap();
    next(&mut ticks).await;
}

#[tokio::test]
async fn b34_a_tick_goes_to_one_of_all_loops_and_none_is_lost_by_a_loop_that_is_dropped_while_it_waits() {
    let fixture = Fixture::new().await;
    let clock = Clock::manual("2026-01-01T00:00:00Z".parse().unwrap());
    let connect = async || {
        Manager::connect(fixture.database.url()).namespace("app").ticker_clock(clock.clone()).await.unwrap()
    };
    let (first, second) = (connect().await, connect().await);
    first.register_ticker(TickerMeta::new("t").interval(seconds(1))).await.unwrap();
    let mut loops = Vec::new();
    for manager in [&first, &first, &second, &second] {
        loops.push(manager.run_ticker_loop(TickerLoop::new()).unwrap());
    }
    let mut taken = Vec::new();
    for turn in 0..20 {
        let (tick, from) = tokio::time::timeout(SOON, any(&mut loops)).await.expect("a tick");
        taken.push(tick.timestamp.unwrap());
        // Everybody else finds nothing: dropping a loop loses no tick.
        for ticks in &mut loops {
            assert!(tokio::time::timeout(ms(20), ticks.next()).await.is_err());
        }
        if turn % 2 == 0 {
            drop(loops.remove(from));
            loops.push(second.run_ticker_loop(TickerLoop::new()).unwrap());
        }
        clock.advance(seconds(1));
    }
    let start = taken[0];
    let seconds: Vec<i64> = taken.iter().map(|stamp| stamp.duration_since(start).as_secs()).collect();
    assert_eq!(seconds, (0..20).collect::<Vec<_>>());
}

/// The first tick of any of these loops, and whose it is.
async fn any(loops: &mut [Ticks]) -> (pgmill::Ticker, usize) {
    poll_fn(|context| {
        for (index, ticks) in loops.iter_mut().enumerate() {
            if let Poll::Ready(tick) = Pin::new(ticks).poll_next(context) {
                return Poll::Ready((tick.unwrap().unwrap(), index));
            }
        }
        Poll::Pending
    })
    .await
}

#[tokio::test]
async fn a_call_for_the_next_tick_may_be_dropped_at_any_time() {
    let fixture = Fixture::new().await;
    let clock = Clock::manual("2026-01-01T00:00:00Z".parse().unwrap());
    let manager =
        Manager::connect(fixture.database.url()).namespace("app").ticker_clock(clock.clone()).await.unwrap();
    manager.register_ticker(TickerMeta::new("t").interval(seconds(1))).await.unwrap();
    let mut ticks = manager.run_ticker_loop(TickerLoop::new()).unwrap();
    let start = clock.now().unwrap();
    for second in 0..50 {
        // Dropped in the midst of the statement, mostly.
        let impatient = Duration::from_micros(100 * second);
        let tick = match tokio::time::timeout(impatient, ticks.next()).await {
            Ok(tick) => tick.unwrap().unwrap(),
            Err(_) => next(&mut ticks).await,
        };
        assert_eq!(tick.timestamp.unwrap().duration_since(start).as_secs(), second.cast_signed());
        clock.advance(seconds(1));
    }
}

#[tokio::test]
async fn a_handlers_error_ends_the_loop_and_is_returned() {
    let fixture = Fixture::new().await;
    fixture.manager.register_ticker(TickerMeta::new("t").interval(ms(10))).await.unwrap();
    let calls = AtomicUsize::new(0);
    let handled = fixture.manager.for_each_tick(CancellationToken::new(), TickerLoop::new(), |_| {
        let call = calls.fetch_add(1, Ordering::Relaxed);
        async move { if call < 2 { Ok(()) } else { Err("three is too much") } }
    });
    let error = tokio::time::timeout(SOON, handled).await.unwrap().unwrap_err();
    let TickerError::Handler { ticker, source } = error else { panic!("{error:?}") };
    assert_eq!((ticker.as_str(), source.to_string()), ("t", "three is too much".to_owned()));
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_handlers_error_is_logged_and_the_loop_goes_on_where_that_is_chosen() {
    let fixture = Fixture::new().await;
    fixture.manager.register_ticker(TickerMeta::new("t").interval(ms(10))).await.unwrap();
    let (calls, shutdown) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
    let handled = fixture.manager.for_each_tick(shutdown.clone(), TickerLoop::new().log_errors(true), |_| {
        let (calls, shutdown) = (Arc::clone(&calls), shutdown.clone());
        async move {
            if calls.fetch_add(1, Ordering::Relaxed) == 4 {
                shutdown.cancel();
            }
            Err::<(), _>("always")
        }
    });
    tokio::time::timeout(SOON, handled).await.unwrap().unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 5);
}

#[tokio::test]
async fn ticks_that_were_taken_are_handled_before_a_shutdown_is_over() {
    let fixture = Fixture::new().await;
    for index in 0..50 {
        let meta = TickerMeta::new(format!("t{index}")).interval(hours(1));
        fixture.manager.register_ticker(meta).await.unwrap();
    }
    let (handled, shutdown) = (AtomicUsize::new(0), CancellationToken::new());
    let handling = fixture.manager.for_each_tick(shutdown.clone(), TickerLoop::new(), |_| {
        if handled.fetch_add(1, Ordering::Relaxed) == 4 {
            shutdown.cancel();
        }
        async { Ok::<_, std::io::Error>(()) }
    });
    tokio::time::timeout(SOON, handling).await.unwrap().unwrap();
    let taken = number(&fixture.client, "SELECT sum(ticks)::bigint FROM pgmill.ticker").await;
    assert_eq!(handled.load(Ordering::Relaxed), usize::try_from(taken).unwrap());
    assert!(taken < 50, "and no more were taken");
}

#[tokio::test]
async fn b25_a_loop_survives_an_outage_of_the_database() {
    let server = TestServer::own();
    let database = TestDatabase::create_on(&server).await;
    let manager = builder(database.url()).await.unwrap();
    manager.register_ticker(TickerMeta::new("t").interval(ms(10))).await.unwrap();
    let mut ticks = manager.run_ticker_loop(TickerLoop::new()).unwrap();
    next(&mut ticks).await;
    server.halt(StopMode::Fast).await;
    let during =
        tokio::time::timeout(ms(500), async { while ticks.next().await.is_some_and(|tick| tick.is_ok()) {} });
    assert!(during.await.is_err(), "the loop has not ended");
    server.resume().await;
    next(&mut ticks).await;
}

#[tokio::test]
async fn a_loop_ends_when_its_connections_are_closed() {
    let fixture = Fixture::new().await;
    let mut ticks = fixture.manager.run_ticker_loop(TickerLoop::new().period(ms(10))).unwrap();
    fixture.manager.pool().close();
    let end = tokio::time::timeout(SOON, ticks.next()).await.unwrap();
    assert!(matches!(end, Some(Err(TickerError::Closed))), "{end:?}");
    assert!(ticks.next().await.is_none());
}

#[tokio::test]
async fn a_loop_asks_only_when_a_tick_is_due() {
    let fixture = Fixture::new().await;
    fixture.sql("CREATE SEQUENCE public.calls").await;
    rewrite(&fixture.client, "claim_ticks_v1", "BEGIN", "BEGIN\n    PERFORM nextval('public.calls');").await;
    fixture.manager.register_ticker(TickerMeta::new("t").interval(ms(400))).await.unwrap();
    let mut ticks = fixture.manager.run_ticker_loop(TickerLoop::new()).unwrap();
    let first = next(&mut ticks).await.timestamp.unwrap();
    let mut last = first;
    for _ in 0..4 {
        last = next(&mut ticks).await.timestamp.unwrap();
    }
    let points = last.duration_since(first).as_millis() / 400;
    let calls = number(&fixture.client, "SELECT last_value FROM public.calls").await;
    // One for each tick, and another where the loop woke up a moment too early, which may be so each time.
    assert!(i128::from(calls) <= 1 + 3 * points, "{calls} statements for {points} ticks");
}
