//! The columns of the tables.

use crate::figure::Figure;

use super::entry::Entry;

/// One column of a table of results.
pub(crate) struct Column {
    pub(crate) title: &'static str,
    pub(crate) is_number: bool,
    pub(crate) text: fn(&Entry) -> String,
}

const COLUMNS: [Column; 19] = [
    text("workload", |it| it.figure.workload.name()),
    text("", |it| it.figure.config.clone()),
    numbers("n", |it| it.figure.n.to_string()),
    numbers("per second", |it| number(it.figure.per_second, 0)),
    numbers("ratio", |it| number(it.figure.ratio, 2)),
    numbers("p50 ms", |it| number(it.figure.p50_ms, 2)),
    numbers("p99 ms", |it| number(it.figure.p99_ms, 2)),
    numbers("p99.9 ms", |it| number(it.figure.p999_ms, 2)),
    numbers("WAL B/task", |it| number(it.figure.wal_bytes_per_task, 0)),
    numbers("commits/task", |it| number(it.figure.commits_per_task, 3)),
    numbers("dead/task", |it| number(it.figure.dead_per_task, 2)),
    numbers("HOT %", |it| number(it.figure.hot_share.map(|share| share * 100.0), 0)),
    numbers("server s/M", |it| number(it.figure.server_cpu_s_per_million, 1)),
    numbers("client s/M", |it| number(it.figure.client_cpu_s_per_million, 1)),
    numbers("pgmill CPU %", |it| number(it.figure.server_cpu_percent, 0)),
    numbers("B/connection", |it| number(it.figure.bytes_per_connection, 0)),
    text("limit", |it| limit(&it.figure)),
    text("bar", bar),
    text("waits", |it| waits(&it.figure)),
];
/// How many of the waits are shown, those that are the most.
const WAITS: usize = 3;

const fn text(title: &'static str, text: fn(&Entry) -> String) -> Column {
    Column { title, is_number: false, text }
}

const fn numbers(title: &'static str, text: fn(&Entry) -> String) -> Column {
    Column { title, is_number: true, text }
}

/// Those that are not empty for all of these.
pub(crate) fn columns(entries: &[&Entry]) -> Vec<Column> {
    COLUMNS
        .into_iter()
        .filter(|column| entries.iter().any(|entry| !(column.text)(entry).is_empty()))
        .collect()
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or(String::new(), |value| format!("{value:.digits$}"))
}

fn waits(figure: &Figure) -> String {
    let mut waits: Vec<(&String, &f64)> = figure.waits.iter().flatten().collect();
    waits.sort_by(|a, b| b.1.total_cmp(a.1));
    let short = |wait: &str| wait.rsplit(':').next().unwrap_or(wait).to_owned();
    let share = |(wait, share): &(&String, &f64)| format!("{} {:.0}%", short(wait), **share * 100.0);
    waits.iter().take(WAITS).map(share).collect::<Vec<_>>().join(", ")
}

pub(super) fn limit(figure: &Figure) -> String {
    figure.limit.as_ref().map_or(String::new(), |limit| format!("{:.0}/s {}", limit.per_second, limit.name))
}

fn bar(entry: &Entry) -> String {
    match (&entry.bar, entry.met) {
        (Some(bar), Some(true)) => format!("met: {bar}"),
        (Some(bar), _) => format!("NOT MET: {bar}"),
        (None, _) => String::new(),
    }
}
