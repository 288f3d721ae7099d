//! Clocks, percentiles and medians.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::series::{Kind, Series};

/// A thousandth of them is ten.
const ENOUGH_FOR_P999: usize = 10_000;
const ENOUGH_FOR_CURVE: usize = 100;

/// One of several that call at the same time, each waiting for its answer before it calls again.
pub(crate) trait Caller: Send + 'static {
    /// One call, until it is answered.
    fn call(&mut self) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// When callers stop: after so many calls in all or so much time, whichever comes first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Until {
    pub(crate) calls: u64,
    pub(crate) window: Duration,
}

/// What callers got done.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) n: u64,
    pub(crate) took: Duration,
    pub(crate) latencies: Latencies,
}

impl Calls {
    pub(crate) fn per_second(&self) -> f64 {
        per_second(self.n, self.took)
    }

    /// Several windows as one.
    pub(crate) fn together(windows: Vec<Self>) -> Self {
        let (mut n, mut took, mut latencies) = (0, Duration::ZERO, Vec::new());
        for window in windows {
            n += window.n;
            took += window.took;
            latencies.extend(window.latencies.sorted);
        }
        Self { n, took, latencies: Latencies::new(latencies) }
    }
}

/// Lets callers call until they stop, from the start of the first call to the answer to the last.
pub(crate) async fn closed_loop<C: Caller>(callers: Vec<C>, until: Until) -> anyhow::Result<Calls> {
    let tickets = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let running: Vec<_> = callers
        .into_iter()
        .map(|mut caller| {
            let tickets = Arc::clone(&tickets);
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                let mut called = Instant::now();
                while called.duration_since(started) < until.window
                    && tickets.fetch_add(1, Ordering::Relaxed) < until.calls
                {
                    caller.call().await?;
                    let answered = Instant::now();
                    latencies.push(answered - called);
                    called = answered;
                }
                anyhow::Ok((latencies, called))
            })
        })
        .collect();
    let mut latencies = Vec::new();
    let mut ended = started;
    for caller in running {
        let (of_caller, last) = caller.await??;
        latencies.extend(of_caller);
        ended = ended.max(last);
    }
    ensure!(!latencies.is_empty(), "no call was made: the window is too short");
    Ok(Calls { n: latencies.len() as u64, took: ended - started, latencies: Latencies::new(latencies) })
}

/// Times that calls took.
#[derive(Debug)]
pub(crate) struct Latencies {
    sorted: Vec<Duration>,
}

impl Latencies {
    pub(crate) fn new(mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        Self { sorted: latencies }
    }

    pub(crate) fn count(&self) -> u64 {
        self.sorted.len() as u64
    }

    /// The time, in milliseconds, that so many of a hundred calls did not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> Option<f64> {
        self.quantile(percent, 100)
    }

    /// The same for 999 of a thousand, where enough were measured that it is not chance.
    pub(crate) fn p999(&self) -> Option<f64> {
        (self.sorted.len() >= ENOUGH_FOR_P999).then(|| self.quantile(999, 1_000)).flatten()
    }

    /// All of them: the time over the share of calls that did not exceed it. `None` of too few.
    pub(crate) fn curve(&self) -> Option<Series> {
        if self.sorted.len() < ENOUGH_FOR_CURVE {
            return None;
        }
        // Finer towards the end, where it matters.
        let shares = (1..=49).map(|half| half * 20).chain(981..=999);
        let points = shares.filter_map(|share| Some((share as f64 / 10.0, self.quantile(share, 1_000)?)));
        Some(Series::new(Kind::Latency, points.collect()))
    }

    fn quantile(&self, share: usize, of: usize) -> Option<f64> {
        let rank = (self.sorted.len() * share).div_ceil(of).max(1);
        self.sorted.get(rank - 1).map(|latency| latency.as_secs_f64() * 1e3)
    }
}

pub(crate) fn per_second(n: u64, took: Duration) -> f64 {
    n as f64 / took.as_secs_f64().max(1e-9)
}

/// The middle one by this number; of an even count, the lower of the two.
pub(crate) fn median_by<T>(mut items: Vec<T>, number: impl Fn(&T) -> f64) -> Option<T> {
    items.sort_by(|a, b| number(a).total_cmp(&number(b)));
    let middle = items.len().checked_sub(1)? / 2;
    items.into_iter().nth(middle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let latencies = Latencies::new((1..=200).rev().map(Duration::from_millis).collect());
        assert_eq!(latencies.percentile(50), Some(100.0));
        assert_eq!(latencies.percentile(99), Some(198.0));
        assert_eq!(Latencies::new(vec![Duration::from_millis(7)]).percentile(99), Some(7.0));
        assert_eq!(Latencies::new(Vec::new()).percentile(50), None);
    }

    #[test]
    fn the_tail_is_told_of_enough_samples_only() {
        let of = |n: u64| Latencies::new((1..=n).map(Duration::from_millis).collect());
        assert_eq!((of(9_999).p999(), of(10_000).p999()), (None, Some(9_990.0)));
        let curve = of(1_000).curve().expect("a curve");
        assert!(curve.points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1));
        assert_eq!(curve.points.last(), Some(&(99.9, 999.0)));
        assert_eq!(of(99).curve(), None);
    }

    #[test]
    fn the_median_is_the_middle_round() {
        assert_eq!(median_by(vec![3.0, 1.0, 2.0], |x| *x), Some(2.0));
        assert_eq!(median_by(vec![4.0, 1.0, 3.0, 2.0], |x| *x), Some(2.0));
        assert_eq!(median_by(Vec::<f64>::new(), |x| *x), None);
    }

    struct Count(Arc<AtomicU64>);

    impl Caller for Count {
        async fn call(&mut self) -> anyhow::Result<()> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }

    #[tokio::test]
    async fn callers_stop_after_the_calls_they_have_together() {
        let made = Arc::new(AtomicU64::new(0));
        let callers = (0..3).map(|_| Count(Arc::clone(&made))).collect();
        let calls = closed_loop(callers, Until { calls: 10, window: Duration::MAX }).await.expect("calls");
        assert_eq!((calls.n, made.load(Ordering::Relaxed)), (10, 10));
    }
}
