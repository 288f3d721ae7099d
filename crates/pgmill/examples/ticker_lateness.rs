//! How late ticks come: 1,000 tickers of a second over three managers with pools of their own, on one machine.
//!
//! ```sh
//! cargo run --release -p pgmill --example ticker_lateness -- 60 100
//! ```
//!
//! The arguments are for how many seconds, and how many ticks a statement takes. Prints JSON. Lateness is from the time of
//! the tick to when it is handed out, by the one clock of the machine; what was due before the loops began is left out.

use std::time::Duration;

use futures_util::StreamExt;
use jiff::Timestamp;
use pgmill::{Manager, TickerLoop, TickerMeta};
use pgmill_embedded::Embedded;
use tokio_util::sync::CancellationToken;

const TICKERS: usize = 1_000;
const MANAGERS: usize = 3;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let seconds: u64 = arguments.next().map_or(Ok(60), |text| text.parse())?;
    let batch: u32 = arguments.next().map_or(Ok(100), |text| text.parse())?;

    let server = tokio::task::spawn_blocking(|| Embedded::builder().ephemeral().start()).await??;
    let manager = Manager::connect(server.url()).await?;
    for index in 0..TICKERS {
        // A second of its own start for each, as tickers have that are registered one by one.
        manager
            .register_ticker(TickerMeta::new(format!("t{index}")).interval(Duration::from_secs(1)))
            .await?;
    }
    let stop = CancellationToken::new();
    let begun = Timestamp::now() + Duration::from_secs(1);
    let mut loops = Vec::new();
    for _ in 0..MANAGERS {
        let manager = Manager::connect(server.url()).await?;
        let ticks = manager.run_ticker_loop(TickerLoop::new().batch(batch).until(stop.clone()))?;
        let late = ticks.filter_map(move |tick| async move {
            let due = tick.ok()?.timestamp?;
            Some(Timestamp::now().duration_since(due).as_micros()).filter(|_| due > begun)
        });
        loops.push(tokio::spawn(late.collect::<Vec<i128>>()));
    }
    tokio::time::sleep(Duration::from_secs(seconds + 1)).await;
    stop.cancel();
    let mut late = Vec::new();
    for ticks in loops {
        late.extend(ticks.await?);
    }
    late.sort_unstable();
    let at = |per_mille: usize| {
        late.get(late.len() * per_mille / 1_000).map_or(0, |micros| micros / 10) as f64 / 100.0
    };
    println!(
        r#"{{"tickers": {TICKERS}, "managers": {MANAGERS}, "seconds": {seconds}, "batch": {batch}, "ticks": {}, "expected": {}, "lateness_ms": {{"p50": {}, "p99": {}, "p99.9": {}}}}}"#,
        late.len(),
        TICKERS as u64 * seconds,
        at(500),
        at(990),
        at(999),
    );
    drop(server);
    Ok(())
}
