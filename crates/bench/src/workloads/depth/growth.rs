//! The workload `growth`: what operations take as something grows. Each result is a curve, and compares its two ends.

use anyhow::Context;

use super::{curves, spread};
use crate::args::Workload;
use crate::bench::Bench;
use crate::figure::{Figure, Limit};
use crate::series::{Kind, Series};

const WORKLOAD: Workload = Workload::Growth;

pub(crate) async fn round(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let mut figures = curves::backlog(bench).await?;
    figures.extend(curves::history(bench).await?);
    figures.extend(curves::queues(bench).await?);
    figures.push(spread::processes(bench).await?);
    figures.extend(spread::payloads(bench).await?);
    Ok(figures)
}

/// Values over the size of something.
pub(super) struct Curve {
    kind: Kind,
    /// What is measured, and over what.
    what: String,
    over: &'static str,
    points: Vec<(f64, f64)>,
}

impl Curve {
    pub(super) fn new(kind: Kind, what: impl Into<String>, over: &'static str) -> Self {
        Self { kind, what: what.into(), over, points: Vec::new() }
    }

    pub(super) fn add(&mut self, size: u32, value: f64) {
        self.points.push((size.into(), value));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// What it is at the end, against what it is at the start. Of times the rate is that of one caller.
    pub(super) fn figure(self) -> anyhow::Result<Figure> {
        let (first, last) = self.points.first().zip(self.points.last()).context("a curve without points")?;
        let config = format!("{}, {:.0} to {:.0} {}", self.what, first.0, last.0, self.over);
        let figure = Figure::new(WORKLOAD, config, last.0 as u64);
        let name = format!("{:.0} {}", first.0, self.over);
        let rate = |ms: f64| 1e3 / ms.max(1e-6);
        let figure = match self.kind {
            Kind::Weight => Figure { wal_bytes_per_task: Some(last.1), ..figure },
            Kind::Capacity => {
                let figure = Figure { per_second: Some(last.1), ..figure };
                figure.against(Limit { name, per_second: first.1 })
            }
            _ => {
                let figure = Figure { per_second: Some(rate(last.1)), p50_ms: Some(last.1), ..figure };
                figure.against(Limit { name, per_second: rate(first.1) })
            }
        };
        let series = Series::new(self.kind, self.points).named(format!("{}, over {}", self.what, self.over));
        Ok(figure.with_series([series]))
    }
}

/// 1,000 and its tenfolds, up to the most.
pub(super) fn decades(from: u32, most: u32) -> Vec<u32> {
    let tenfolds = std::iter::successors(Some(from), |size| size.checked_mul(10));
    let mut sizes: Vec<u32> = tenfolds.take_while(|size| *size < most).collect();
    sizes.push(most);
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decades_end_with_the_most() {
        assert_eq!(decades(1_000, 100_000), [1_000, 10_000, 100_000]);
        assert_eq!(decades(1, 30), [1, 10, 30]);
        assert_eq!(decades(1_000, 500), [500]);
    }

    #[test]
    fn a_curve_compares_its_ends() {
        let mut curve = Curve::new(Kind::Growth, "retain", "tasks waiting");
        curve.add(1_000, 2.0);
        curve.add(10_000, 4.0);
        let figure = curve.figure().expect("a figure");
        assert_eq!(figure.config, "retain, 1000 to 10000 tasks waiting");
        assert_eq!((figure.p50_ms, figure.ratio), (Some(4.0), Some(0.5)));
        assert_eq!(figure.series[0].points, [(1_000.0, 2.0), (10_000.0, 4.0)]);
        assert!(Curve::new(Kind::Weight, "WAL", "bytes").figure().is_err());
    }
}
