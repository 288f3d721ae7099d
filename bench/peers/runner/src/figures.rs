//! The figures of a system, and their medians over the rounds.

use serde::Serialize;

use crate::measure::Measured;

/// How many callers create tasks one by one.
pub(crate) const CALLERS: [u32; 3] = [1, 8, 64];

/// What one round of a system gave. What failed is absent.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Round {
    /// In the order of [`CALLERS`].
    pub(crate) single: [Option<Measured>; CALLERS.len()],
    pub(crate) bulk: Option<Measured>,
    pub(crate) seed: Option<Measured>,
    pub(crate) drain: Option<Measured>,
    pub(crate) latency: Option<Measured>,
}

/// The columns of the table.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(crate) struct Figures {
    pub(crate) single_per_second: [Option<f64>; CALLERS.len()],
    pub(crate) bulk_per_second: Option<f64>,
    pub(crate) drain_per_second: Option<f64>,
    pub(crate) pickup_p50_ms: Option<f64>,
    pub(crate) pickup_p99_ms: Option<f64>,
    /// From its creation in bulk until it is done, as all that follow.
    pub(crate) wal_bytes_per_task: Option<f64>,
    pub(crate) commits_per_thousand: Option<f64>,
    pub(crate) server_cpu_s_per_million: Option<f64>,
    pub(crate) driver_cpu_s_per_million: Option<f64>,
}

impl Figures {
    /// Each is the median of its own.
    pub(crate) fn medians(rounds: &[Round]) -> Self {
        let of = |figure: &dyn Fn(&Round) -> Option<f64>| median(rounds.iter().filter_map(figure).collect());
        let life = |total: fn(&Measured) -> f64, per: f64| {
            of(&|round| {
                let (seed, drain) = (round.seed.as_ref()?, round.drain.as_ref()?);
                Some((total(seed) + total(drain)) / drain.outcome.n as f64 * per)
            })
        };
        Self {
            single_per_second: std::array::from_fn(|callers| {
                of(&|round| round.single[callers].as_ref()?.outcome.per_second())
            }),
            bulk_per_second: of(&|round| round.bulk.as_ref()?.outcome.per_second()),
            drain_per_second: of(&|round| round.drain.as_ref()?.outcome.per_second()),
            pickup_p50_ms: of(&|round| round.latency.as_ref()?.outcome.p50_ms),
            pickup_p99_ms: of(&|round| round.latency.as_ref()?.outcome.p99_ms),
            wal_bytes_per_task: life(|measured| measured.wal_bytes, 1.0),
            commits_per_thousand: life(|measured| measured.commits, 1e3),
            server_cpu_s_per_million: life(|measured| measured.server_cpu_s, 1e6),
            driver_cpu_s_per_million: life(|measured| measured.driver_cpu_s, 1e6),
        }
    }
}

/// The middle one; of an even count, the lower of the two.
fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use peer_driver::Outcome;

    use super::*;

    fn measured(n: u64, seconds: f64, wal_bytes: f64) -> Option<Measured> {
        let outcome = Outcome { n, seconds: Some(seconds), ..Outcome::default() };
        Some(Measured { outcome, wal_bytes, ..Measured::default() })
    }

    #[test]
    fn the_median_is_the_middle_round() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), Some(2.0));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn a_task_costs_what_its_creation_and_its_drain_take() {
        let round = |wal: f64| Round {
            seed: measured(10, 1.0, 100.0),
            drain: measured(10, 2.0, wal),
            ..Round::default()
        };
        let figures = Figures::medians(&[round(900.0), round(700.0), round(800.0)]);
        assert_eq!(figures.wal_bytes_per_task, Some(90.0));
        assert_eq!(figures.drain_per_second, Some(5.0));
    }

    #[test]
    fn a_workload_that_failed_in_one_round_has_the_figures_of_the_others() {
        let round = Round { bulk: measured(10, 1.0, 0.0), ..Round::default() };
        let figures = Figures::medians(&[Round::default(), round]);
        assert_eq!(figures.bulk_per_second, Some(10.0));
        assert_eq!(figures.drain_per_second, None);
    }
}
