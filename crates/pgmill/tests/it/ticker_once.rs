//! Very many tickers, and several processes: every tick comes exactly once, on its grid.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt;
use jiff::Timestamp;
use pgmill::{Manager, TickerLoop, TickerMeta, seconds};
use tokio_util::sync::CancellationToken;

use crate::fixture::Fixture;
use crate::scene::{is_long, number};

const TICKERS: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_tickers_of_a_second_tick_exactly_once_a_second_over_three_managers() {
    let fixture = Fixture::new().await;
    let time = seconds(if is_long() { 60 } else { 10 });
    // Lateness is another matter: here, a machine that is busy must lose nothing.
    let meta = |index: usize| TickerMeta::new(format!("t{index}")).interval(seconds(1)).catch_up(1_000);
    futures_util::stream::iter(0..TICKERS)
        .map(|index| fixture.manager.register_ticker(meta(index)))
        .buffer_unordered(8)
        .for_each(|made| async { drop(made.unwrap()) })
        .await;
    let stop = CancellationToken::new();
    let mut loops = Vec::new();
    for _ in 0..3 {
        let manager = fixture.other_process().await;
        loops.push(tokio::spawn(collect(manager, stop.clone())));
    }
    tokio::time::sleep(time).await;
    stop.cancel();
    let mut taken: HashMap<String, Vec<Timestamp>> = HashMap::new();
    for ticks in loops {
        for (ticker, stamp) in ticks.await.unwrap() {
            taken.entry(ticker).or_default().push(stamp);
        }
    }
    let told = number(&fixture.client, "SELECT sum(ticks)::bigint FROM pgmill.ticker").await;
    let count: usize = taken.values().map(Vec::len).sum();
    assert_eq!(i64::try_from(count).unwrap(), told, "each tick was handed out, and to one only");
    assert_eq!(taken.len(), TICKERS);
    for (ticker, stamps) in &mut taken {
        stamps.sort_unstable();
        for pair in stamps.windows(2) {
            let step = pair[1].duration_since(pair[0]).as_micros();
            assert_eq!(step, 1_000_000, "{ticker} ticked at {} and then at {}", pair[0], pair[1]);
        }
    }
}

async fn collect(manager: Manager, stop: CancellationToken) -> Vec<(String, Timestamp)> {
    let options = TickerLoop::new().batch(100).until(stop).period(Duration::from_secs(1));
    let ticks = manager.run_ticker_loop(options).unwrap();
    let ticks =
        ticks.map(|tick| tick.unwrap()).map(|tick| (tick.ticker.to_string(), tick.timestamp.unwrap()));
    ticks.collect().await
}
