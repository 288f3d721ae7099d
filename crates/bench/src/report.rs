//! What people and programs read: results on standard output, everything else on standard error.

use std::io::{self, Write};

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::figure::Figure;

/// The title of a column, whether it holds numbers, and what a figure has there.
type Column = (&'static str, bool, fn(&Figure) -> String);

const COLUMNS: [Column; 19] = [
    ("workload", false, |it| it.workload.name()),
    ("", false, |it| it.config.clone()),
    ("n", true, |it| it.n.to_string()),
    ("per second", true, |it| number(it.per_second, 0)),
    ("p50 ms", true, |it| number(it.p50_ms, 2)),
    ("p99 ms", true, |it| number(it.p99_ms, 2)),
    ("p99.9 ms", true, |it| number(it.p999_ms, 2)),
    ("WAL B/task", true, |it| number(it.wal_bytes_per_task, 0)),
    ("commits/task", true, |it| number(it.commits_per_task, 3)),
    ("dead/task", true, |it| number(it.dead_per_task, 2)),
    ("HOT %", true, |it| number(it.hot_share.map(|share| share * 100.0), 0)),
    ("server CPU s/M", true, |it| number(it.server_cpu_s_per_million, 1)),
    ("client CPU s/M", true, |it| number(it.client_cpu_s_per_million, 1)),
    ("waits", false, waits),
    ("server CPU %", true, |it| number(it.server_cpu_percent, 0)),
    ("B/connection", true, |it| number(it.bytes_per_connection, 0)),
    ("limit", false, limit),
    ("ratio", true, |it| number(it.ratio, 2)),
    ("bar", false, bar),
];
/// How many of the waits a table shows, those that are the most.
const WAITS: usize = 3;

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

/// The machine, and a table. Columns that are empty for all are left out.
pub(crate) fn table(machine: &str, figures: &[Figure]) -> anyhow::Result<()> {
    let columns: Vec<&Column> =
        COLUMNS.iter().filter(|(.., text)| figures.iter().any(|figure| !text(figure).is_empty())).collect();
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(columns.iter().map(|(title, ..)| *title));
    for (index, (_, is_number, _)) in columns.iter().enumerate() {
        if let (true, Some(column)) = (is_number, table.column_mut(index)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for figure in figures {
        table.add_row(columns.iter().map(|(.., text)| text(figure)));
    }
    writeln!(io::stdout().lock(), "{machine}\n\n{table}")?;
    Ok(())
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or(String::new(), |value| format!("{value:.digits$}"))
}

fn waits(figure: &Figure) -> String {
    let mut waits: Vec<(&String, &f64)> = figure.waits.iter().flatten().collect();
    waits.sort_by(|a, b| b.1.total_cmp(a.1));
    let short = |wait: &str| wait.rsplit(':').next().unwrap_or(wait).to_owned();
    let shares =
        waits.iter().take(WAITS).map(|(wait, share)| format!("{} {:.0}%", short(wait), **share * 100.0));
    shares.collect::<Vec<_>>().join(", ")
}

fn limit(figure: &Figure) -> String {
    figure.limit.as_ref().map_or(String::new(), |limit| format!("{:.0} {}", limit.per_second, limit.name))
}

fn bar(figure: &Figure) -> String {
    match (figure.bar, figure.meets_bar()) {
        (Some(bar), Some(true)) => format!("met: {bar}"),
        (Some(bar), _) => format!("NOT MET: {bar}"),
        (None, _) => String::new(),
    }
}
