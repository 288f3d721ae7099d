//! The workload `finished`: a queue with very many finished tasks and one without, in turn; then a steady drain while the
//! history is removed by its retention.

use std::time::{Duration, Instant};

use pgmill::{QueueMeta, Status};

use super::sides::{Side, Turns, WITHIN, drained};
use super::{fill, reads};
use crate::args::Workload;
use crate::bench::Bench;
use crate::costs::Costs;
use crate::figure::{Figure, Limit};
use crate::measure::{median_by, per_second};

const PAST_DAY: &str = include_str!("../../../sql/past_day.sql");
const SINCE_MIDNIGHT: &str = include_str!("../../../sql/since_midnight.sql");
const WITHOUT: &str = "finished-none";
const WITH: &str = "finished-many";
/// A queue of which a tenth of the history is, to be deleted row by row.
const SHORT: &str = "finished-short";
const WORKLOAD: Workload = Workload::Finished;
const DAY: Duration = Duration::from_secs(86_400);
const LONG: Duration = Duration::from_secs(30 * 86_400);
/// How many windows of a clean drain precede a removal.
const CLEAN: u32 = 5;

pub(crate) async fn round(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    for queue in [WITHOUT, WITH, SHORT] {
        let meta = QueueMeta::new(queue).retention(LONG).retention_failed(LONG);
        bench.manager.create_queue(meta).await?;
    }
    let (mut without, mut with) = (Side::of(bench, WITHOUT).await?, Side::of(bench, WITH).await?);
    let history = History::write(bench).await?;
    bench.settle().await?;
    let all = bench.plan.history;
    let what = format!("{all} finished");
    let mut figures = Turns::measure(bench, WORKLOAD, &mut without, &mut with).await?.figures(&what);
    figures.extend(reads::figures(WORKLOAD, &bench.manager, WITH, all, &what).await?);
    bench.verify(WITHOUT, Status::Released, without.released).await?;
    bench.verify_all(WITH, &history.written(with.released)).await?;
    bench.verify_all(SHORT, &counts(history.short, 0)).await?;

    let rewritten = format!("while a day with {} finished is written anew", history.past);
    let meta = QueueMeta::new("").retention(DAY);
    let dip = bench.unmaintained(Dip::measure(bench, &mut without, WITH, meta));
    figures.push(dip.await??.figure(&rewritten));
    let meta = QueueMeta::new("").retention(Duration::from_secs(1)).retention_failed(Duration::from_secs(1));
    let deleted = format!("while {} finished are deleted", history.short);
    let dip = bench.unmaintained(Dip::measure(bench, &mut without, SHORT, meta));
    figures.push(dip.await??.figure(&deleted));
    bench.verify(WITHOUT, Status::Released, without.released).await?;
    bench.verify_all(WITH, &history.left(with.released)).await?;
    bench.verify_all(SHORT, &[]).await?;

    without.close().await;
    with.close().await;
    bench.clean().await?;
    // The day that was made for it goes with its history.
    bench.manager.prune().await?;
    Ok(figures)
}

/// How many tasks have finished.
struct History {
    /// Three days ago, a past day to whoever keeps one day.
    past: u32,
    /// Within the last hours.
    recent: u32,
    /// The same, in the queue of short retention.
    short: u32,
}

impl History {
    async fn write(bench: &Bench) -> anyhow::Result<Self> {
        let client = bench.connect().await?;
        client.batch_execute(PAST_DAY).await?;
        let midnight: f64 = client.query_one(SINCE_MIDNIGHT, &[]).await?.try_get(0)?;
        let all = bench.plan.history;
        let history = Self { past: all / 2, recent: all - all / 2 - all / 10, short: all / 10 };
        // Well within that day, whatever the hour is.
        let past = (midnight + 2.9 * DAY.as_secs_f64(), midnight + 2.1 * DAY.as_secs_f64());
        fill::finished(bench, WITH, history.past, past).await?;
        fill::finished(bench, WITH, history.recent, (12.0 * 3_600.0, 60.0)).await?;
        fill::finished(bench, SHORT, history.short, (3_600.0, 60.0)).await?;
        Ok(history)
    }

    /// What is there before anything is removed.
    fn written(&self, released: u64) -> Vec<(Status, u64)> {
        let both = counts(self.past, 0).into_iter().zip(counts(self.recent, released));
        both.map(|(past, recent)| (past.0, past.1 + recent.1)).collect()
    }

    /// What is there once a day is kept of what is done, and more of what is not.
    fn left(&self, released: u64) -> Vec<(Status, u64)> {
        let gone = counts(self.past, 0)[0].1;
        let left = |(status, n)| (status, if status == Status::Released { n - gone } else { n });
        self.written(released).into_iter().map(left).collect()
    }
}

/// How many of so many that `finish_tasks.sql` writes are in each status, besides those that were released. It begins anew
/// with each statement, whose size a hundred divides but for the last.
fn counts(tasks: u32, released: u64) -> Vec<(Status, u64)> {
    let (hundreds, rest) = (u64::from(tasks / 100), u64::from(tasks % 100));
    let not_done = |nth: u64| hundreds + u64::from(rest >= nth);
    let (failed, expired, cancelled) = (not_done(97), not_done(98), not_done(99));
    vec![
        (Status::Released, u64::from(tasks) - failed - expired - cancelled + released),
        (Status::Failed, failed),
        (Status::Expired, expired),
        (Status::Cancelled, cancelled),
    ]
}

/// A drain, before history is removed and meanwhile.
struct Dip {
    tasks: u32,
    clean: Vec<(f64, Costs)>,
    dipped: Vec<(f64, Costs)>,
    removal: Duration,
}

impl Dip {
    /// Has the retention of a queue lapse by `meta`, and drains the other queue until what it keeps no longer is gone.
    async fn measure(bench: &Bench, side: &mut Side, queue: &str, meta: QueueMeta) -> anyhow::Result<Self> {
        let tasks = bench.plan.tasks.div_ceil(10);
        let mut clean = Vec::new();
        for _ in 0..CLEAN {
            fill::waiting(bench, side.queue, tasks).await?;
            clean.push(side.drain(bench, tasks).await?);
        }
        bench.manager.update_queue(queue, meta).await?;
        let manager = bench.another().await?;
        let removal = tokio::spawn(async move {
            let started = Instant::now();
            let pruned = manager.prune().await;
            let took = started.elapsed();
            manager.close().await;
            pruned.map(|_| took)
        });
        let mut dipped = Vec::new();
        while dipped.is_empty() || !removal.is_finished() {
            fill::waiting(bench, side.queue, tasks).await?;
            dipped.push(side.drain(bench, tasks).await?);
        }
        Ok(Self { tasks, clean, dipped, removal: removal.await?? })
    }

    fn figure(self, what: &str) -> Figure {
        let clean = median_by(self.clean, |(rate, _)| *rate).map_or(0.0, |(rate, _)| rate);
        // All of them together: a removal has parts that cost more than others.
        let n = u64::from(self.tasks) * self.dipped.len() as u64;
        let took: f64 = self.dipped.iter().map(|(rate, _)| f64::from(self.tasks) / rate).sum();
        let rate = per_second(n, Duration::from_secs_f64(took));
        let config = format!("drain {what}");
        let figure = drained(WORKLOAD, config, n, self.dipped);
        let limit = Limit { name: "before it".to_owned(), per_second: clean };
        Figure { per_second: Some(rate), seconds: Some(self.removal.as_secs_f64()), ..figure }
            .against(limit)
            .with_bar(WITHIN)
    }
}
