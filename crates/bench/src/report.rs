//! What people and programs read: results on standard output, everything else on standard error.

use std::io::{self, Write};

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::figure::Figure;

const HEADER: [&str; 12] = [
    "workload",
    "",
    "n",
    "per second",
    "p50 ms",
    "p99 ms",
    "WAL B/task",
    "server CPU %",
    "B/connection",
    "limit",
    "ratio",
    "bar",
];
const NUMBERS: [usize; 8] = [2, 3, 4, 5, 6, 7, 8, 10];

/// A remark for whoever watches.
pub(crate) fn note(text: &str) {
    // Nobody may be there to read it.
    let _ = writeln!(io::stderr(), "{text}");
}

/// What went wrong, with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    note(&format!("Error: {error:#}"));
}

/// A result, and what it should reach.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    figure: &'a Figure,
    bar: Option<String>,
    met: Option<bool>,
}

/// One object a line.
pub(crate) fn json(figures: &[Figure]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    for figure in figures {
        let bar = figure.bar.map(|bar| bar.to_string());
        let line = Line { figure, bar, met: figure.meets_bar() };
        writeln!(out, "{}", serde_json::to_string(&line)?)?;
    }
    Ok(())
}

/// The machine, and a table.
pub(crate) fn table(machine: &str, figures: &[Figure]) -> anyhow::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(HEADER);
    for index in NUMBERS {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for figure in figures {
        table.add_row(row(figure));
    }
    writeln!(io::stdout().lock(), "{machine}\n\n{table}")?;
    Ok(())
}

fn row(figure: &Figure) -> [String; 12] {
    let number =
        |value: Option<f64>, digits: usize| value.map_or(String::new(), |value| format!("{value:.digits$}"));
    let limit = figure
        .limit
        .as_ref()
        .map_or(String::new(), |limit| format!("{:.0} {}", limit.per_second, limit.name));
    let bar = match (figure.bar, figure.meets_bar()) {
        (Some(bar), Some(true)) => format!("met: {bar}"),
        (Some(bar), _) => format!("NOT MET: {bar}"),
        (None, _) => String::new(),
    };
    [
        serde_json::to_value(figure.workload)
            .ok()
            .and_then(|name| name.as_str().map(str::to_owned))
            .unwrap_or_default(),
        figure.config.clone(),
        figure.n.to_string(),
        number(figure.per_second, 0),
        number(figure.p50_ms, 2),
        number(figure.p99_ms, 2),
        number(figure.wal_bytes_per_task, 0),
        number(figure.server_cpu_percent, 0),
        number(figure.bytes_per_connection, 0),
        limit,
        number(figure.ratio, 2),
        bar,
    ]
}
