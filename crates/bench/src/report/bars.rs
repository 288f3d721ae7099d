//! What results say of the bars, as a table in Markdown.

use std::fmt::Write;

use super::columns::limit;
use super::entry::Entry;

/// One row for each result that has a bar, in the order of the results.
pub(crate) fn markdown(entries: &[Entry]) -> String {
    let mut text = "| what | limit | figure | ratio | bar | met |\n|---|---|---|---|---|---|\n".to_owned();
    for entry in entries {
        let Some(bar) = &entry.bar else { continue };
        let figure = &entry.figure;
        let what = format!("`{}`: {}", figure.workload.name(), figure.config);
        let ratio = figure.ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
        let judged = entry.judged.as_deref().unwrap_or_default();
        let met = if entry.met == Some(true) { "yes" } else { "**no**" };
        let cells = [what, limit(figure), judged.to_owned(), ratio, bar.clone(), met.to_owned()];
        let cells = cells.map(|cell| cell.replace('|', "\\|")).join(" | ");
        let _ = writeln!(text, "| {cells} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Workload;
    use crate::figure::{Bar, Figure, Limit};
    use crate::machine::Origin;

    #[test]
    fn figures_with_a_bar_are_rows() {
        let limit = Limit { name: "a|b".to_owned(), per_second: 100.0 };
        let fast = Figure { per_second: Some(150.0), ..Figure::new(Workload::Drain, "x", 1) }.against(limit);
        let heavy = Figure { wal_bytes_per_task: Some(1_001.0), ..Figure::new(Workload::Drain, "y", 1) };
        let unmeasured = Figure::new(Workload::Latency, "z", 1);
        let figures = [
            fast.clone(),
            fast.with_bar(Bar::Ratio(0.8)),
            heavy.with_bar(Bar::Wal(1_000.0)),
            unmeasured.with_bar(Bar::Late(1.0)),
        ];
        let origin = Origin { machine: String::new(), date: String::new() };
        let entries = figures.map(|figure| Entry::new(figure, origin.clone()));
        let expected = "\
            | what | limit | figure | ratio | bar | met |\n\
            |---|---|---|---|---|---|\n\
            | `drain`: x | 100/s a\\|b | 150/s | 1.50 | at least 0.8x | yes |\n\
            | `drain`: y |  | 1001 B |  | at most 1000 B | **no** |\n\
            | `latency`: z |  | nothing |  | p99 at most 1 ms | **no** |\n";
        assert_eq!(markdown(&entries), expected);
    }
}
