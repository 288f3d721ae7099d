//! What was measured, and what it is held against.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::args::Workload;
use crate::costs::Costs;
use crate::measure::{Latencies, median_by};
use crate::series::Series;

/// A result: of one round, or the median of all.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) workload: Workload,
    pub(crate) config: String,
    /// How many tasks.
    pub(crate) n: u64,
    pub(crate) seconds: Option<f64>,
    pub(crate) per_second: Option<f64>,
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    /// Where there are enough samples for it.
    pub(crate) p999_ms: Option<f64>,
    pub(crate) wal_bytes_per_task: Option<f64>,
    /// Transactions that wrote.
    pub(crate) commits_per_task: Option<f64>,
    /// Versions of rows that were updated or deleted.
    pub(crate) dead_per_task: Option<f64>,
    /// What part of the updates touched no index.
    pub(crate) hot_share: Option<f64>,
    /// How many seconds all processes of PostgreSQL together were at work for a million tasks.
    pub(crate) server_cpu_s_per_million: Option<f64>,
    /// The same of this program and those that it has started.
    pub(crate) client_cpu_s_per_million: Option<f64>,
    /// What connections at work waited for, as shares of what was seen; `CPU` is for nothing.
    pub(crate) waits: Option<BTreeMap<String, f64>>,
    /// How much of one core the server's process was at work.
    pub(crate) server_cpu_percent: Option<f64>,
    /// What the server's process has in memory for each connection.
    pub(crate) bytes_per_connection: Option<f64>,
    pub(crate) limit: Option<Limit>,
    /// How many times the limit `per_second` is.
    pub(crate) ratio: Option<f64>,
    /// What can be plotted.
    #[serde(default)]
    pub(crate) series: Vec<Series>,
    #[serde(skip)]
    pub(crate) bar: Option<Bar>,
}

/// What the server does by itself, without pgmill.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Limit {
    pub(crate) name: String,
    pub(crate) per_second: f64,
}

/// What a result should reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bar {
    /// At least so many times the limit.
    Ratio(f64),
    /// At most so many a second.
    Rate(f64),
    /// At most so many milliseconds for 99 of 100.
    Late(f64),
    /// At most so many bytes of WAL for each task.
    Wal(f64),
    /// At most so many milliseconds in the median, and for 99 of 100.
    Latency { p50: f64, p99: f64 },
}

impl Figure {
    pub(crate) fn new(workload: Workload, config: impl Into<String>, n: u64) -> Self {
        Self {
            workload,
            config: config.into(),
            n,
            seconds: None,
            per_second: None,
            p50_ms: None,
            p99_ms: None,
            p999_ms: None,
            commits_per_task: None,
            dead_per_task: None,
            hot_share: None,
            server_cpu_s_per_million: None,
            client_cpu_s_per_million: None,
            waits: None,
            series: Vec::new(),
            wal_bytes_per_task: None,
            server_cpu_percent: None,
            bytes_per_connection: None,
            limit: None,
            ratio: None,
            bar: None,
        }
    }

    pub(crate) fn against(mut self, limit: Limit) -> Self {
        self.ratio = self.per_second.map(|per_second| per_second / limit.per_second);
        self.limit = Some(limit);
        self
    }

    /// With what its tasks cost.
    pub(crate) fn costing(mut self, costs: Costs) -> Self {
        self.wal_bytes_per_task = costs.wal_bytes_per_task;
        self.commits_per_task = costs.commits_per_task;
        self.dead_per_task = costs.dead_per_task;
        self.hot_share = costs.hot_share;
        self.server_cpu_s_per_million = costs.server_cpu_s_per_million;
        self.client_cpu_s_per_million = costs.client_cpu_s_per_million;
        self.waits = costs.waits;
        self.series.extend(costs.series);
        self
    }

    /// With the times that its calls took.
    pub(crate) fn timing(mut self, latencies: &Latencies) -> Self {
        self.p50_ms = latencies.percentile(50);
        self.p99_ms = latencies.percentile(99);
        self.p999_ms = latencies.p999();
        self.series.extend(latencies.curve());
        self
    }

    /// With lines to be plotted.
    pub(crate) fn with_series(mut self, series: impl IntoIterator<Item = Series>) -> Self {
        self.series.extend(series);
        self
    }

    pub(crate) fn with_bar(mut self, bar: Bar) -> Self {
        self.bar = Some(bar);
        self
    }

    /// Whether it reaches its bar; `None` where it has none.
    pub(crate) fn meets_bar(&self) -> Option<bool> {
        let at_most = |value: Option<f64>, bound: f64| value.is_some_and(|value| value <= bound);
        Some(match self.bar? {
            Bar::Ratio(bound) => self.ratio.is_some_and(|ratio| ratio >= bound),
            Bar::Rate(bound) => at_most(self.per_second, bound),
            Bar::Late(bound) => at_most(self.p99_ms, bound),
            Bar::Wal(bound) => at_most(self.wal_bytes_per_task, bound),
            Bar::Latency { p50, p99 } => at_most(self.p50_ms, p50) && at_most(self.p99_ms, p99),
        })
    }

    /// What of it is held against its bar; `None` where it has none.
    pub(crate) fn judged(&self) -> Option<String> {
        let or_nothing = |value: Option<String>| value.unwrap_or_else(|| "nothing".to_owned());
        Some(or_nothing(match self.bar? {
            Bar::Ratio(_) | Bar::Rate(_) => self.per_second.map(|it| format!("{it:.0}/s")),
            Bar::Late(_) => self.p99_ms.map(|it| format!("p99 {it:.1} ms")),
            Bar::Wal(_) => self.wal_bytes_per_task.map(|it| format!("{it:.0} B")),
            Bar::Latency { .. } => {
                self.p50_ms.zip(self.p99_ms).map(|(p50, p99)| format!("p50 {p50:.2} ms, p99 {p99:.1} ms"))
            }
        }))
    }

    /// The number that rounds are compared by.
    fn rank(&self) -> f64 {
        self.per_second.or(self.p50_ms).or(self.wal_bytes_per_task).unwrap_or_default()
    }

    /// The middle one of the rounds of one configuration, against the middle one of the limits beside them.
    fn median(rounds: Vec<Self>) -> Option<Self> {
        let limits = rounds.iter().filter_map(|round| round.limit.clone()).collect();
        let limit = median_by(limits, |limit: &Limit| limit.per_second);
        let figure = median_by(rounds, Self::rank)?;
        Some(match limit {
            Some(limit) => figure.against(limit),
            None => figure,
        })
    }
}

/// The medians over rounds, by workload and configuration, in the order of their first round.
pub(crate) fn medians(rounds: Vec<Figure>) -> Vec<Figure> {
    let mut groups: Vec<Vec<Figure>> = Vec::new();
    for figure in rounds {
        let same = |group: &&mut Vec<Figure>| {
            group
                .first()
                .is_some_and(|first| (first.workload, &first.config) == (figure.workload, &figure.config))
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(figure),
            None => groups.push(vec![figure]),
        }
    }
    groups.into_iter().filter_map(Figure::median).collect()
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ratio(bound) => write!(f, "at least {bound}x"),
            Self::Rate(bound) => write!(f, "at most {bound:.0} a second"),
            Self::Late(bound) => write!(f, "p99 at most {bound:.0} ms"),
            Self::Wal(bound) => write!(f, "at most {bound:.0} B"),
            Self::Latency { p50, p99 } => write!(f, "p50 at most {p50:.0} ms, p99 {p99:.0} ms"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(per_second: f64, limit: f64) -> Figure {
        let limit = Limit { name: format!("limit of {limit}"), per_second: limit };
        Figure { per_second: Some(per_second), ..Figure::new(Workload::Drain, "a", 1) }.against(limit)
    }

    #[test]
    fn the_median_of_the_figure_is_held_against_the_median_of_the_limit() {
        let other = Figure::new(Workload::Drain, "b", 1);
        let medians = medians(vec![round(10.0, 100.0), other, round(30.0, 50.0), round(20.0, 80.0)]);
        assert_eq!(medians.iter().map(|figure| figure.config.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((medians[0].per_second, medians[0].ratio), (Some(20.0), Some(0.25)));
        assert_eq!(medians[0].limit.as_ref().map(|limit| limit.per_second), Some(80.0));
    }

    #[test]
    fn a_bar_is_met_from_its_bound_on() {
        assert_eq!(round(70.0, 100.0).with_bar(Bar::Ratio(0.7)).meets_bar(), Some(true));
        assert_eq!(round(69.0, 100.0).with_bar(Bar::Ratio(0.7)).meets_bar(), Some(false));
        assert_eq!(round(69.0, 100.0).meets_bar(), None);
        let slow_tail = Figure { p50_ms: Some(0.5), p99_ms: Some(6.0), ..round(1.0, 1.0) };
        assert_eq!(slow_tail.with_bar(Bar::Latency { p50: 1.0, p99: 5.0 }).meets_bar(), Some(false));
        let lean = Figure { wal_bytes_per_task: Some(1_000.0), ..round(1.0, 1.0) };
        assert_eq!(lean.with_bar(Bar::Wal(1_000.0)).meets_bar(), Some(true));
    }
}
