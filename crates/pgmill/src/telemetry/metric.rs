//! A metric: its name, its labels, and what it means.

use metrics::{Counter, Gauge, Histogram, Label, Unit};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

#[derive(Debug)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) unit: Unit,
    pub(super) labels: &'static [&'static str],
    pub(super) meaning: &'static str,
}

impl Metric {
    /// Tells the recorder what it means.
    pub(super) fn describe(&self) {
        let Self { name, kind, unit, meaning, .. } = *self;
        match kind {
            Kind::Counter => metrics::describe_counter!(name, unit, meaning),
            Kind::Gauge => metrics::describe_gauge!(name, unit, meaning),
            Kind::Histogram => metrics::describe_histogram!(name, unit, meaning),
        }
    }

    /// The counter with these labels, in the order of their names.
    pub(super) fn counter(&self, labels: &[&str]) -> Counter {
        metrics::counter!(self.name, self.labelled(labels))
    }

    pub(super) fn gauge(&self, labels: &[&str]) -> Gauge {
        metrics::gauge!(self.name, self.labelled(labels))
    }

    pub(super) fn histogram(&self, labels: &[&str]) -> Histogram {
        metrics::histogram!(self.name, self.labelled(labels))
    }

    fn labelled(&self, values: &[&str]) -> Vec<Label> {
        let labels = self.labels.iter().zip(values);
        labels.map(|(name, value)| Label::new(*name, (*value).to_owned())).collect()
    }
}
