//! How late ticks come: tickers of a second, and three processes that take their ticks. Each tick must come to one of them,
//! and none be left out.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use pgmill::TickerMeta;

use crate::args::Workload;
use crate::bench::Bench;
use crate::child::{Role, now};
use crate::figure::{Bar, Figure};
use crate::measure::Latencies;
use crate::process::Process;

const INTERVAL: Duration = Duration::from_secs(1);
/// Ticks that were due while the processes were starting are not counted as late.
const SETTLED: Duration = Duration::from_secs(1);
const BAR: Bar = Bar::Late(50.0);

/// A tick that somebody took. Times are microseconds since 1970.
struct Tick {
    ticker: String,
    due: u64,
    taken: u64,
}

pub(super) async fn round(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let tickers = bench.plan.tickers;
    for number in 0..tickers {
        // Each has a start of its own. On a machine that is too slow nothing is left out, but comes late.
        let meta = TickerMeta::new(format!("t{number}")).interval(INTERVAL).catch_up(1_000);
        bench.manager.register_ticker(meta).await?;
    }
    let mut processes = Vec::new();
    for _ in 0..3 {
        processes.push(Process::start(bench, Role::Ticker).await?);
    }
    let settled = now() / 1_000 + u64::try_from(SETTLED.as_micros())?;
    // Read while they go on: a pipe that nobody reads would stop them.
    let readers: Vec<_> =
        processes.into_iter().map(|process| tokio::spawn(read(process, bench.plan.watch))).collect();
    let mut lines = Vec::new();
    for reader in readers {
        lines.extend(reader.await??);
    }
    bench.clean().await?;
    let ticks = lines.iter().map(|line| parse(line)).collect::<anyhow::Result<Vec<_>>>()?;
    verify(&ticks, tickers as usize)?;
    let late = ticks.iter().filter(|tick| tick.due >= settled);
    let late = late.map(|tick| Duration::from_micros(tick.taken.saturating_sub(tick.due))).collect();
    let late = Latencies::new(late);
    let figure = Figure {
        seconds: Some(bench.plan.watch.as_secs_f64()),
        ..Figure::new(Workload::Tickers, format!("{tickers} tickers of 1 s, 3 processes"), ticks.len() as u64)
    };
    Ok(vec![figure.timing(&late).with_bar(BAR)])
}

/// What a process says for a while, and until its end.
async fn read(mut process: Process, watch: Duration) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    let reading = async {
        loop {
            lines.push(process.line().await?);
        }
    };
    let read: Result<anyhow::Result<()>, _> = tokio::time::timeout(SETTLED + watch, reading).await;
    if let Ok(failed) = read {
        failed?;
    }
    lines.extend(process.end().await?);
    Ok(lines)
}

fn parse(line: &str) -> anyhow::Result<Tick> {
    let mut words = line.split(' ');
    let mut word = || words.next().with_context(|| format!("the other process said {line:?}"));
    let (ticker, due, taken) = (word()?.to_owned(), word()?.parse()?, word()?.parse::<u64>()?);
    Ok(Tick { ticker, due, taken: taken / 1_000 })
}

/// Fails unless each ticker ticked once each second, from its first tick to its last.
fn verify(ticks: &[Tick], tickers: usize) -> anyhow::Result<()> {
    let mut of_ticker: HashMap<&str, Vec<u64>> = HashMap::new();
    for tick in ticks {
        of_ticker.entry(&tick.ticker).or_default().push(tick.due);
    }
    ensure!(of_ticker.len() == tickers, "wrong count: {} of {tickers} tickers ticked", of_ticker.len());
    let interval = u64::try_from(INTERVAL.as_micros())?;
    for (ticker, mut due) in of_ticker {
        due.sort_unstable();
        let once = due.windows(2).all(|pair| pair[1] - pair[0] == interval);
        ensure!(once, "wrong count: ticker {ticker} did not tick exactly once a second");
    }
    Ok(())
}
