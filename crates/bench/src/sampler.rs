//! Looks at the server while it is measured: what its connections wait for, how many dead versions there are, how far it is.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tokio_postgres::{Client, Statement};
use tokio_util::sync::CancellationToken;

use crate::costs::Progress;
use crate::series::{Kind, Series};

const WAITS: &str = include_str!("../sql/waits.sql");
const DEAD_TUPLES: &str = include_str!("../sql/dead_tuples.sql");
const LOOK: Duration = Duration::from_millis(66);
/// Every so many looks, dead versions and progress are counted: connections report to the statistics once a second.
const COUNT: u32 = 8;

/// A task that looks on.
#[derive(Debug)]
pub(crate) struct Sampler {
    run: JoinHandle<anyhow::Result<Samples>>,
    over: CancellationToken,
}

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    pub(crate) waits: Waits,
    pub(crate) series: Vec<Series>,
}

/// How often a connection at work was seen waiting for something, or for nothing, which is `CPU`.
#[derive(Debug, Default)]
pub(crate) struct Waits(BTreeMap<String, i64>);

impl Sampler {
    pub(crate) fn start(client: Client, progress: Progress) -> Self {
        let over = CancellationToken::new();
        let run = tokio::spawn(look_on(client, progress, over.clone()));
        Self { run, over }
    }

    pub(crate) async fn stop(self) -> anyhow::Result<Samples> {
        self.over.cancel();
        self.run.await?.context("the server could not be looked at")
    }
}

async fn look_on(client: Client, progress: Progress, over: CancellationToken) -> anyhow::Result<Samples> {
    let (waits, dead_tuples) = (client.prepare(WAITS).await?, client.prepare(DEAD_TUPLES).await?);
    let started = Instant::now();
    let mut seen = Waits::default();
    let (mut dead, mut done) = (Vec::new(), vec![(0.0, progress.get())]);
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for look in 0_u32.. {
        tokio::select! {
            _ = looks.tick() => {}
            () = over.cancelled() => break,
        }
        seen.look(&client, &waits).await?;
        let at = started.elapsed().as_secs_f64();
        if look % COUNT == 0 {
            let count: i64 = client.query_one(&dead_tuples, &[]).await?.try_get(0)?;
            dead.push((at, count as f64));
        }
        if look % COUNT == COUNT - 1 {
            done.push((at, progress.get()));
        }
    }
    // The last part is counted too, unless it is so short that its rate would be chance.
    let at = started.elapsed();
    if done.last().is_some_and(|(before, _)| at.as_secs_f64() - before > LOOK.as_secs_f64() * 2.0) {
        done.push((at.as_secs_f64(), progress.get()));
    }
    let mut series = Vec::new();
    if progress.get() > 0 {
        series.push(Series::rates(&done));
    }
    if dead.len() > 2 {
        series.push(Series::new(Kind::Dead, dead));
    }
    Ok(Samples { waits: seen, series })
}

impl Waits {
    async fn look(&mut self, client: &Client, waits: &Statement) -> anyhow::Result<()> {
        for row in client.query(waits, &[]).await? {
            let (wait, count): (String, i64) = (row.try_get("wait")?, row.try_get("count")?);
            *self.0.entry(wait).or_default() += count;
        }
        Ok(())
    }

    /// The share of each; `None` where no connection was ever seen at work.
    pub(crate) fn mix(&self) -> Option<BTreeMap<String, f64>> {
        let all: i64 = self.0.values().sum();
        let share = |count: i64| (count as f64 * 1e3 / all as f64).round() / 1e3;
        (all > 0).then(|| self.0.iter().map(|(wait, count)| (wait.clone(), share(*count))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_is_shares_of_what_was_seen() {
        let seen = [("CPU".to_owned(), 2), ("IO:WALSync".to_owned(), 6)];
        let mix = Waits(BTreeMap::from(seen)).mix().expect("a mix");
        assert_eq!(mix, BTreeMap::from([("CPU".to_owned(), 0.25), ("IO:WALSync".to_owned(), 0.75)]));
        assert_eq!(Waits::default().mix(), None);
    }
}
