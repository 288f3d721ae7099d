//! The workload `pinned`: a steady load, then the same beside a transaction that stays open, then without it again.
//!
//! ```text
//!   peak │ 800/s │ 800/s, pinned │ half of peak │ half of peak, pinned │ peak, pinned │ half of peak, until it is as before
//! ```
//!
//! While the transaction is open VACUUM removes nothing, and every claim passes what was claimed before it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use pgmill::Status;
use tokio_postgres::Client;

use super::sides::{WITHIN, against};
use super::traffic::{Second, Summary, Traffic};
use crate::args::Workload;
use crate::bench::Bench;
use crate::figure::{Figure, Limit};
use crate::measure::Latencies;
use crate::report;
use crate::series::{Kind, Series};

const QUEUE: &str = "pinned";
const PIN: &str = include_str!("../../../sql/pin.sql");
const UNPIN: &str = include_str!("../../../sql/unpin.sql");
const DEAD_BY_TABLE: &str = include_str!("../../../sql/dead_by_table.sql");
/// The other rate: of a queue that has little to do.
const SLOW: f64 = 800.0;
const SECOND: Duration = Duration::from_secs(1);
/// How much longer a retain may take than before to be as before, and for how many seconds.
const AS_BEFORE: (f64, usize) = (1.1, 3);
const WORKLOAD: Workload = Workload::Pinned;

pub(crate) async fn round(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    bench.queue(QUEUE).await?;
    bench.checkpoint().await;
    let mut run = Run::start(bench).await?;
    let pinned = bench.plan.pinned;
    let window = (pinned / 20).clamp(SECOND, 30 * SECOND);
    let at_peak = window.min(10 * SECOND);
    let peak = run.phase(None, at_peak).await?;
    let peak = run.of(peak);

    let slow_clean = run.phase(Some(SLOW), window).await?;
    run.pin().await?;
    let slow = run.phase(Some(SLOW), (pinned / 10).max(2 * SECOND)).await?;
    run.unpin().await?;
    let (slow_clean, slow) = (run.of(slow_clean), run.of(slow));

    let half = peak.per_second() / 2.0;
    let clean = run.phase(Some(half), window).await?;
    run.pin().await?;
    let held = run.phase(Some(half), pinned).await?;
    let behind = run.traffic.behind();
    let peak_held = run.phase(None, at_peak).await?;
    run.unpin().await?;
    let end = run.of(held.end - held.len().div_ceil(10)..held.end);
    let (clean, held, peak_held) = (run.of(clean), run.of(held), run.of(peak_held));
    let back = run.back_to(&clean, half, (window * 2).max(4 * SECOND)).await?;

    let Run { traffic, dead, .. } = run;
    let over_time = over_time(&traffic, dead);
    let released = traffic.stop().await?;
    bench.verify(QUEUE, Status::Released, released).await?;
    bench.clean().await?;

    let at = format!("half of peak, pinned for {} s", pinned.as_secs());
    let whole = rate(at.clone(), &held).against(limit("before", &clean)).with_bar(WITHIN);
    let left = late(format!("how far behind at the end of {at}"), held.released, Some(behind as f64 / half));
    let mut figures = vec![rate("peak".to_owned(), &peak), whole.with_series(over_time), left];
    figures.extend(latencies(&at, held, &clean));
    figures.extend(latencies(&format!("the last tenth of {at}"), end, &clean));
    let at = format!("{SLOW:.0} a second, pinned");
    figures.push(rate(at.clone(), &slow).against(limit("before", &slow_clean)).with_bar(WITHIN));
    figures.extend(latencies(&at, slow, &slow_clean));
    figures.push(rate("peak, pinned".to_owned(), &peak_held).against(limit("peak before", &peak)));
    figures.push(late("until retains are as before".to_owned(), released, back));
    Ok(figures)
}

/// The load, and who holds the transaction.
struct Run {
    traffic: Traffic,
    holder: Client,
    control: Client,
    /// By table, how many dead versions there were when.
    dead: BTreeMap<String, Vec<(f64, f64)>>,
}

impl Run {
    /// Starts the load, at peak.
    async fn start(bench: &Bench) -> anyhow::Result<Self> {
        let (holder, control) = (bench.connect().await?, bench.connect().await?);
        Ok(Self { traffic: Traffic::start(bench, QUEUE), holder, control, dead: BTreeMap::new() })
    }

    async fn pin(&self) -> anyhow::Result<()> {
        Ok(self.holder.batch_execute(PIN).await?)
    }

    async fn unpin(&self) -> anyhow::Result<()> {
        Ok(self.holder.batch_execute(UNPIN).await?)
    }

    /// Goes on at a rate for so long. Returns which seconds these are, without that in which the rate changes.
    async fn phase(&mut self, rate: Option<f64>, long: Duration) -> anyhow::Result<Range<usize>> {
        self.traffic.set_rate(rate);
        let from = self.second() + 1;
        let to = from + usize::try_from(long.as_secs())?;
        self.pass(to).await?;
        Ok(from..to)
    }

    fn of(&self, seconds: Range<usize>) -> Summary {
        Summary::of(&self.traffic.seconds(seconds))
    }

    /// The present second of the load.
    fn second(&self) -> usize {
        self.traffic.elapsed() as usize
    }

    /// Waits until a second has begun, and counts dead versions meanwhile.
    async fn pass(&mut self, second: usize) -> anyhow::Result<()> {
        while self.second() < second {
            self.traffic.check()?;
            let at = self.traffic.elapsed();
            for row in self.control.query(DEAD_BY_TABLE, &[]).await? {
                let (name, dead): (String, i64) = (row.try_get("name")?, row.try_get("dead")?);
                self.dead.entry(name).or_default().push((at, dead as f64));
            }
            let next = 1.0 - at.fract();
            tokio::time::sleep(Duration::from_secs_f64(next)).await;
        }
        Ok(())
    }

    /// How many seconds it takes until a retain takes as long as before, and does so for some time; `None`: longer than it
    /// was waited.
    async fn back_to(&mut self, before: &Summary, rate: f64, most: Duration) -> anyhow::Result<Option<f64>> {
        self.traffic.set_rate(Some(rate));
        let (times, seconds) = AS_BEFORE;
        let bound = before.retain_p50().unwrap_or_default() * times;
        let released = self.second();
        let most = released + usize::try_from(most.as_secs())?;
        for second in released + seconds..most {
            self.pass(second).await?;
            let last = self.traffic.seconds(second - seconds..second);
            let is_back = |second: &Second| {
                Summary::of(std::slice::from_ref(second)).retain_p50().is_some_and(|p50| p50 <= bound)
            };
            if last.iter().all(is_back) {
                return Ok(Some((second - seconds - released) as f64));
            }
        }
        Ok(None)
    }
}

fn limit(name: &str, before: &Summary) -> Limit {
    Limit { name: name.to_owned(), per_second: before.per_second() }
}

fn rate(config: String, seconds: &Summary) -> Figure {
    Figure {
        seconds: Some(seconds.seconds as f64),
        per_second: Some(seconds.per_second()),
        ..Figure::new(WORKLOAD, config, seconds.released)
    }
}

/// A time that is longer than any of a task. `None`: longer than it was waited.
fn late(config: String, n: u64, seconds: Option<f64>) -> Figure {
    let said = seconds.map_or("longer than it was waited".to_owned(), |seconds| format!("{seconds:.2} s"));
    report::note(&format!("{config}: {said}"));
    Figure { seconds, ..Figure::new(WORKLOAD, config, n) }
}

/// Retains and releases against those before.
fn latencies(at: &str, held: Summary, before: &Summary) -> [Figure; 2] {
    let of = |what: &str, held: Vec<Duration>, before: &[Duration]| {
        against(WORKLOAD, format!("{what}, {at}"), held, ("before", before.to_vec())).with_bar(WITHIN)
    };
    [of("retain", held.retains, &before.retains), of("release", held.releases, &before.releases)]
}

/// What the whole run looked like.
fn over_time(traffic: &Traffic, dead: BTreeMap<String, Vec<(f64, f64)>>) -> Vec<Series> {
    let seconds = traffic.seconds(0..traffic.elapsed() as usize);
    let line = |kind: Kind, name: &str, value: &dyn Fn(&Second) -> Option<f64>| {
        let points = seconds.iter().enumerate().filter_map(|(at, second)| Some((at as f64, value(second)?)));
        Series::new(kind, points.collect()).named(name)
    };
    let percentile = |times: &[Duration], percent| Latencies::new(times.to_vec()).percentile(percent);
    let mut series = vec![
        line(Kind::Rate, "released", &|second| Some(second.released as f64)),
        line(Kind::Delay, "retain p50", &|second| percentile(&second.retains, 50)),
        line(Kind::Delay, "retain p99", &|second| percentile(&second.retains, 99)),
        line(Kind::Delay, "release p50", &|second| percentile(&second.releases, 50)),
        line(Kind::Delay, "release p99", &|second| percentile(&second.releases, 99)),
    ];
    let dead = dead.into_iter().filter(|(_, points)| points.iter().any(|(_, dead)| *dead > 0.0));
    series.extend(dead.map(|(table, points)| Series::new(Kind::Dead, points).named(table)));
    series
}
