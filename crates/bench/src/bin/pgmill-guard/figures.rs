//! The figures, and how they are held against a reference.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::phase::Phase;

/// How far a figure may be from its reference, either way: one that shrinks is to be held at its new value.
const TOLERANCE: f64 = 0.05;

type ByPhase = BTreeMap<Phase, f64>;

/// What a task costs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Figures {
    /// By the client.
    pub(crate) instructions_per_task: ByPhase,
    pub(crate) wal_bytes_per_task: ByPhase,
    /// Transactions, in fact, with those that a client begins with.
    pub(crate) statements_per_1000_tasks: ByPhase,
}

/// One figure, by its name, in the reference and as it was measured: `None` where it is missing.
#[derive(Debug, Clone, PartialEq)]
struct Held {
    name: String,
    reference: Option<f64>,
    measured: Option<f64>,
}

/// All figures.
#[derive(Debug)]
pub(crate) struct Comparison(Vec<Held>);

impl Figures {
    /// With those of a release as what it adds to a retain, and rounded to what is worth keeping.
    pub(crate) fn with_release_alone(mut self) -> Self {
        for figures in [
            &mut self.instructions_per_task,
            &mut self.wal_bytes_per_task,
            &mut self.statements_per_1000_tasks,
        ] {
            let retain = figures.get(&Phase::Retain).copied().unwrap_or_default();
            if let Some(release) = figures.get_mut(&Phase::Release) {
                *release -= retain;
            }
            figures.values_mut().for_each(|figure| *figure = (*figure * 10.0).round() / 10.0);
        }
        self
    }

    /// Holds what was measured against this.
    pub(crate) fn compare(&self, measured: &Self) -> Comparison {
        let (reference, measured) = (self.named(), measured.named());
        let names: BTreeSet<&String> = reference.keys().chain(measured.keys()).collect();
        Comparison(
            names
                .into_iter()
                .map(|name| Held {
                    name: name.clone(),
                    reference: reference.get(name).copied(),
                    measured: measured.get(name).copied(),
                })
                .collect(),
        )
    }

    fn named(&self) -> BTreeMap<String, f64> {
        let kinds = [
            ("instructions_per_task", &self.instructions_per_task),
            ("wal_bytes_per_task", &self.wal_bytes_per_task),
            ("statements_per_1000_tasks", &self.statements_per_1000_tasks),
        ];
        let named = |(kind, figures): (&str, &ByPhase)| {
            let named = figures.iter().map(|(phase, figure)| (format!("{kind} {phase}"), *figure));
            named.collect::<Vec<_>>()
        };
        kinds.into_iter().flat_map(named).collect()
    }
}

impl Comparison {
    /// Whether each figure is within the tolerance, and none is new or missing.
    pub(crate) fn is_met(&self) -> bool {
        self.0.iter().all(Held::is_met)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for held in &self.0 {
            writeln!(f, "{held}")?;
        }
        Ok(())
    }
}

impl Held {
    /// By how much of the reference the figure has grown.
    fn growth(&self) -> Option<f64> {
        let reference = self.reference.filter(|reference| *reference > 0.0)?;
        Some((self.measured? - reference) / reference)
    }

    fn is_met(&self) -> bool {
        self.growth().is_some_and(|growth| growth.abs() <= TOLERANCE)
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figure = |figure: Option<f64>| figure.map_or_else(|| "none".to_owned(), |it| format!("{it:.1}"));
        let (reference, measured) = (figure(self.reference), figure(self.measured));
        write!(f, "{:<42} reference {reference:>9}, now {measured:>9}", self.name)?;
        let word = match self.growth() {
            Some(growth) if growth > TOLERANCE => "  GROWN",
            Some(growth) if growth < -TOLERANCE => "  SHRUNK: to be held at its new value",
            Some(_) => "",
            None if self.measured.is_none() => "  NOT MEASURED any more",
            None => "  NEW: it has no reference",
        };
        match self.growth() {
            Some(growth) => write!(f, "  {:>+6.1} %{word}", growth * 100.0),
            None => f.write_str(word),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(retain: f64) -> Figures {
        Figures { wal_bytes_per_task: BTreeMap::from([(Phase::Retain, retain)]), ..Figures::default() }
    }

    #[test]
    fn a_figure_within_five_percent_is_held() {
        for measured in [95.0, 100.0, 105.0] {
            assert!(figures(100.0).compare(&figures(measured)).is_met(), "{measured}");
        }
    }

    #[test]
    fn a_figure_that_grows_is_told_by_its_name_and_by_how_much() {
        let comparison = figures(100.0).compare(&figures(106.0));
        assert!(!comparison.is_met());
        let told = comparison.to_string();
        assert!(told.contains("wal_bytes_per_task retain"), "{told}");
        assert!(told.contains("+6.0 %  GROWN"), "{told}");
    }

    #[test]
    fn a_figure_that_shrinks_is_to_be_held_at_its_new_value() {
        let comparison = figures(100.0).compare(&figures(94.0));
        assert!(!comparison.is_met());
        assert!(comparison.to_string().contains("-6.0 %  SHRUNK"));
    }

    #[test]
    fn a_figure_without_its_counterpart_is_not_held() {
        let (none, one) = (Figures::default(), figures(100.0));
        assert!(!none.compare(&one).is_met());
        assert!(none.compare(&one).to_string().contains("NEW"));
        assert!(!one.compare(&none).is_met());
        assert!(one.compare(&none).to_string().contains("NOT MEASURED"));
    }

    #[test]
    fn a_reference_of_nothing_holds_nothing() {
        assert!(!figures(0.0).compare(&figures(0.0)).is_met());
    }

    #[test]
    fn a_release_is_what_it_adds_to_a_retain() {
        let both = BTreeMap::from([(Phase::Retain, 100.0), (Phase::Release, 250.04)]);
        let figures = Figures { wal_bytes_per_task: both, ..Figures::default() }.with_release_alone();
        assert_eq!(figures.wal_bytes_per_task[&Phase::Retain], 100.0);
        assert_eq!(figures.wal_bytes_per_task[&Phase::Release], 150.0);
    }
}
