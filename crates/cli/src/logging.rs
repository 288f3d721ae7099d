//! Logs go to standard error. They are few unless asked for, but for those of a server, which has a line for each request.

use std::fmt::{self, Write};
use std::io::{self, IsTerminal};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::output;
use crate::traces::TraceLayer;

/// Whose logs they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voice {
    /// Of a command: what goes wrong.
    Command,
    /// Of a server: what it does, and as JSON unless somebody watches.
    Server,
}

/// Sends logs to standard error, and spans and logs to where traces go, if they go anywhere.
pub(crate) fn init(debug: bool, voice: Voice, traces: Option<TraceLayer>) {
    // That a pool replaces connections that broke is only news together with what came of it.
    let default = match (debug, voice) {
        (true, Voice::Command) => "warn,pgmill=debug,pgmill_store=debug",
        (true, Voice::Server) => "info,pgmill=debug,pgmill_store=debug,pgmill_server=debug",
        (false, Voice::Command) => "warn,deadpool.postgres=error",
        (false, Voice::Server) => "warn,deadpool.postgres=error,pgmill=info,pgmill_server=info",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let terminal = io::stderr().is_terminal();
    let as_json = voice == Voice::Server && !terminal;
    match traces {
        None => tracing_subscriber::registry().with(filter).with(lines(as_json, debug, terminal)).init(),
        // What is traced does not depend on what is logged.
        Some(traces) => {
            let lines = lines(as_json, debug, terminal).with_filter(filter);
            tracing_subscriber::registry().with(traces).with(lines).init();
        }
    }
}

fn lines<S>(as_json: bool, debug: bool, terminal: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    if as_json {
        return lines.event_format(JsonLines).boxed();
    }
    lines.with_target(debug).with_ansi(terminal && output::wants_colours()).boxed()
}

/// An event on a line, as `time`, `level`, `msg` and its fields.
#[derive(Debug)]
struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        // Put together by hand, for the sake of the order, and of a line for each request.
        let time = jiff::Timestamp::now();
        let (level, Fields { message, others }) = (event.metadata().level(), fields);
        writeln!(writer, r#"{{"time":"{time:.6}","level":"{level}","msg":{}{others}}}"#, text(&message))
    }
}

#[derive(Debug, Default)]
struct Fields {
    message: String,
    /// The other fields as JSON, each with a comma before it.
    others: String,
}

impl Fields {
    fn insert(&mut self, field: &Field, value: impl fmt::Display) {
        // Nothing is written to but memory.
        let _ = write!(self.others, ",{}:{value}", text(field.name()));
    }
}

/// A JSON string.
fn text(text: &str) -> impl fmt::Display {
    serde_json::to_string(text).unwrap_or_default()
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            _ => self.insert(field, text(&format!("{value:?}"))),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, text(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.insert(field, text(&value.to_string()));
    }
}
