//! What a recorder and a subscriber are told by the thread of a test.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use metrics::{LocalRecorderGuard, Unit};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// A metric with labels: its name, and each label with its value.
type Series = (String, Vec<(String, String)>);

/// What was recorded of a series.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorded {
    pub(crate) kind: &'static str,
    pub(crate) unit: Option<Unit>,
    pub(crate) description: String,
    /// The value of a counter or a gauge; the sum of a histogram.
    pub(crate) total: f64,
    /// How many values a histogram has.
    pub(crate) count: usize,
}

/// Records the metrics of this thread. To be made before the manager.
pub(crate) struct Recorder {
    snapshotter: Snapshotter,
    recorded: RefCell<BTreeMap<Series, Recorded>>,
    _guard: LocalRecorderGuard<'static>,
}

impl Recorder {
    pub(crate) fn install() -> Self {
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        let guard = metrics::set_default_local_recorder(Box::leak(Box::new(recorder)));
        Self { snapshotter, recorded: RefCell::default(), _guard: guard }
    }

    /// Everything since the beginning; a snapshot begins anew.
    pub(crate) fn all(&self) -> BTreeMap<Series, Recorded> {
        let mut recorded = self.recorded.borrow_mut();
        for (key, unit, description, value) in self.snapshotter.snapshot().into_vec() {
            let labels = key.key().labels().map(|label| (label.key().to_owned(), label.value().to_owned()));
            let series = (key.key().name().to_owned(), labels.collect());
            let all = recorded.entry(series).or_default();
            all.unit = unit;
            all.description = description.map(|text| text.to_string()).unwrap_or_default();
            (all.kind, all.count) = match value {
                DebugValue::Counter(more) => {
                    all.total += more as f64;
                    ("counter", 0)
                }
                DebugValue::Gauge(change) => {
                    all.total += change.into_inner();
                    ("gauge", 0)
                }
                DebugValue::Histogram(values) => {
                    all.total += values.iter().map(|value| value.into_inner()).sum::<f64>();
                    ("histogram", all.count + values.len())
                }
            };
        }
        recorded.clone()
    }

    /// The sum over all series of a metric that have these values of labels.
    fn sum(&self, name: &str, values: &[&str], of: impl Fn(&Recorded) -> f64) -> f64 {
        let all = self.all();
        let chosen = all.iter().filter(|((metric, labels), _)| {
            metric == name && values.iter().all(|value| labels.iter().any(|(_, found)| found == value))
        });
        chosen.map(|(_, recorded)| of(recorded)).sum()
    }

    pub(crate) fn total(&self, name: &str, values: &[&str]) -> f64 {
        self.sum(name, values, |recorded| recorded.total)
    }

    pub(crate) fn count(&self, name: &str, values: &[&str]) -> usize {
        self.sum(name, values, |recorded| recorded.count as f64) as usize
    }
}

/// What was told of a span.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    pub(crate) name: String,
    pub(crate) parent: Option<String>,
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) names: BTreeSet<String>,
    pub(crate) closed: bool,
}

impl Told {
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

/// Collects the spans of this thread, and the text of events.
#[derive(Clone, Default)]
pub(crate) struct Spans {
    spans: Arc<Mutex<BTreeMap<u64, Told>>>,
    events: Arc<Mutex<Vec<String>>>,
}

impl Spans {
    pub(crate) fn collect() -> (Self, DefaultGuard) {
        let spans = Self::default();
        let subscriber = tracing_subscriber::registry().with(spans.clone());
        (spans, tracing::subscriber::set_default(subscriber))
    }

    /// Those of this crate with this name, in the order of their beginning.
    pub(crate) fn named(&self, name: &str) -> Vec<Told> {
        let spans = self.spans.lock().unwrap();
        spans.values().filter(|span| span.name == name).cloned().collect()
    }

    pub(crate) fn all(&self) -> Vec<Told> {
        let spans = self.spans.lock().unwrap();
        spans.values().filter(|span| span.name.starts_with("pgmill.")).cloned().collect()
    }

    /// Everything that was told, as text.
    pub(crate) fn text(&self) -> String {
        format!("{:?} {:?}", self.spans.lock().unwrap(), self.events.lock().unwrap())
    }
}

struct Fields<'a>(&'a mut BTreeMap<String, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

/// A number that no other span of the test has, unlike its id, which is used again.
struct Number(u64);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let mut spans = self.spans.lock().unwrap();
        let number = spans.len() as u64;
        span.extensions_mut().insert(Number(number));
        let mut told = Told {
            name: attributes.metadata().name().to_owned(),
            parent: span.parent().map(|parent| parent.name().to_owned()),
            names: attributes.metadata().fields().iter().map(|field| field.name().to_owned()).collect(),
            ..Told::default()
        };
        attributes.record(&mut Fields(&mut told.fields));
        spans.insert(number, told);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.change(id, &context, |told| values.record(&mut Fields(&mut told.fields)));
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = BTreeMap::new();
        event.record(&mut Fields(&mut fields));
        if event.metadata().target().starts_with("pgmill") {
            self.events.lock().unwrap().push(format!("{fields:?}"));
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.change(&id, &context, |told| told.closed = true);
    }
}

impl Spans {
    fn change<S>(&self, id: &Id, context: &Context<'_, S>, change: impl FnOnce(&mut Told))
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let span = context.span(id).unwrap();
        let number = span.extensions().get::<Number>().map(|number| number.0);
        let mut spans = self.spans.lock().unwrap();
        if let Some(told) = number.and_then(|number| spans.get_mut(&number)) {
            change(told);
        }
    }
}
