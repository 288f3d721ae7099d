//! Values over time, or over shares of a hundred: what a report plots.

use serde::{Deserialize, Serialize};

/// As many points as a plot can show.
const POINTS: usize = 240;

/// A line of a plot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Series {
    pub(crate) kind: Kind,
    /// What tells it from others of the same plot; empty where it stands alone.
    #[serde(default)]
    pub(crate) name: String,
    /// In the order of the first.
    pub(crate) points: Vec<(f64, f64)>,
}

/// What a series is of, and so which others it can be plotted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Tasks a second, over seconds.
    Rate,
    /// Dead versions of rows that the tables hold, over seconds.
    Dead,
    /// Tasks that wait, over seconds.
    Depth,
    /// Milliseconds, over the share of what took no longer.
    Latency,
    /// Milliseconds, over the size of something that grows: tasks waiting, queues, bytes.
    Growth,
    /// Milliseconds, over seconds.
    Delay,
    /// Tasks a second, over the size of something that grows.
    Capacity,
    /// Bytes of WAL for each task, over the size of something that grows.
    Weight,
}

impl Series {
    /// A series of as many points as a plot can show, evenly chosen, the last among them.
    pub(crate) fn new(kind: Kind, points: Vec<(f64, f64)>) -> Self {
        let step = points.len().div_ceil(POINTS).max(1);
        let last = points.len().saturating_sub(1);
        let points = points.into_iter().enumerate();
        let chosen = points.filter(|(index, _)| index % step == 0 || *index == last);
        let points = chosen.map(|(_, (x, y))| (rounded(x), rounded(y))).collect();
        Self { kind, name: String::new(), points }
    }

    pub(crate) fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The rates between the counts at some times.
    pub(crate) fn rates(counts: &[(f64, u64)]) -> Self {
        let rate = |pair: &[(f64, u64)]| {
            let ((from, before), (to, after)) = (pair[0], pair[1]);
            (to, after.saturating_sub(before) as f64 / (to - from).max(1e-3))
        };
        Self::new(Kind::Rate, counts.windows(2).map(rate).collect())
    }
}

/// Six digits: more than any plot shows.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let digits = 5 - value.abs().log10().floor() as i32;
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_differences_over_time() {
        let series = Series::rates(&[(0.0, 0), (0.5, 100), (1.0, 100), (2.0, 300)]);
        assert_eq!(series.points, [(0.5, 200.0), (1.0, 0.0), (2.0, 200.0)]);
    }

    #[test]
    fn a_long_series_is_thinned_and_keeps_its_ends() {
        let series = Series::new(Kind::Dead, (0..10_000).map(|x| (f64::from(x), 1.0 / 3.0)).collect());
        assert!(series.points.len() <= POINTS + 1, "{}", series.points.len());
        assert_eq!(series.points.first(), Some(&(0.0, 0.333_333)));
        assert_eq!(series.points.last().map(|point| point.0), Some(9_999.0));
    }
}
