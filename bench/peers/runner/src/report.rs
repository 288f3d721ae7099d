//! The table, and the same as JSON.

use std::fmt::Write;

use serde::Serialize;

use crate::args::Plan;
use crate::figures::{CALLERS, Figures};
use crate::round::Row;

#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    machine: String,
    plan: Plan,
    systems: Vec<Reported<'a>>,
}

#[derive(Debug, Serialize)]
struct Reported<'a> {
    #[serde(flatten)]
    row: &'a Row,
    medians: Figures,
}

impl<'a> Report<'a> {
    pub(crate) fn new(plan: Plan, machine: String, rows: &'a [Row]) -> Self {
        let systems =
            rows.iter().map(|row| Reported { row, medians: Figures::medians(&row.rounds) }).collect();
        Self { machine, plan, systems }
    }

    /// In Markdown.
    pub(crate) fn table(&self) -> String {
        let mut text = String::from("| system | version | history |");
        for callers in CALLERS {
            let _ = write!(text, " single, {callers} at once /s |");
        }
        text += " bulk /s | drain /s | pickup p50 ms | p99 ms | WAL B/task | commits/1,000 | server CPU s/M | driver CPU s/M |\n";
        text += "|---|---|---|";
        text += &"---:|".repeat(CALLERS.len() + 8);
        text += "\n";
        for system in &self.systems {
            text += &system.line();
        }
        let _ = write!(text, "\n{}\n\n{}\n", self.machine, self.amount());
        for info in self.systems.iter().filter_map(|system| system.row.info.as_ref()) {
            let _ = write!(text, "\n- {} {}: {}", info.system, info.version, info.configuration);
        }
        for reason in self.systems.iter().flat_map(|system| system.row.reasons()) {
            let _ = write!(text, "\n- Not measured: {reason}");
        }
        text
    }

    fn amount(&self) -> String {
        let Plan { rounds, tasks, seconds, samples, payload, .. } = self.plan;
        format!(
            "Rounds: {rounds}, medians of each figure; {tasks} tasks in bulk and drained, {seconds} s of single calls, {samples} pickups, \
             payload {payload} B."
        )
    }
}

impl Reported<'_> {
    fn line(&self) -> String {
        let (history, version) = match &self.row.info {
            Some(info) => (info.history.name(), info.version.as_str()),
            None => ("", ""),
        };
        let figures = &self.medians;
        let mut cells = vec![self.row.name.to_owned(), version.to_owned()];
        if let Err(reason) = &self.row.driver {
            // The bar would end the cell.
            cells.push(format!("cannot be driven: {}", reason.replace('|', "/")));
        } else {
            cells.push(history.to_owned());
            let rates = [figures.bulk_per_second, figures.drain_per_second];
            cells.extend(figures.single_per_second.into_iter().chain(rates).map(|rate| cell(rate, 0)));
            cells.extend([figures.pickup_p50_ms, figures.pickup_p99_ms].map(|wait| cell(wait, 1)));
            cells.push(cell(figures.wal_bytes_per_task, 0));
            cells.push(cell(figures.commits_per_thousand, 1));
            let cpu = [figures.server_cpu_s_per_million, figures.driver_cpu_s_per_million];
            cells.extend(cpu.map(|seconds| cell(seconds, 1)));
        }
        format!("| {} |\n", cells.join(" | "))
    }
}

/// A figure with thousands set apart, or a dash.
fn cell(figure: Option<f64>, decimals: usize) -> String {
    let Some(figure) = figure else { return "–".to_owned() };
    let text = format!("{figure:.decimals$}");
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_their_thousands_set_apart() {
        assert_eq!(cell(Some(1_234_567.4), 0), "1,234,567");
        assert_eq!(cell(Some(999.96), 1), "1,000.0");
        assert_eq!(cell(Some(12.34), 1), "12.3");
        assert_eq!(cell(None, 1), "–");
    }

    #[test]
    fn a_system_that_cannot_be_driven_has_the_reason_in_its_row() {
        let row = Row {
            name: "a",
            info: None,
            driver: Err("no | compiler".to_owned()),
            rounds: Vec::new(),
            failures: Vec::new(),
        };
        let line = Reported { row: &row, medians: Figures::default() }.line();
        assert_eq!(line, "| a |  | cannot be driven: no / compiler |\n");
    }
}
