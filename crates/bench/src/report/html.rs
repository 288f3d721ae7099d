//! The report: one page that needs nothing besides itself.

use std::fmt::Write;

use super::columns::columns;
use super::entry::Entry;
use super::plot::{Line, plot};
use crate::series::Kind;

const CSS: &str = include_str!("report.css");
/// In the order in which they are shown.
const KINDS: [Kind; 8] = [
    Kind::Rate,
    Kind::Depth,
    Kind::Latency,
    Kind::Dead,
    Kind::Delay,
    Kind::Growth,
    Kind::Capacity,
    Kind::Weight,
];
/// Columns whose text may be long.
const WIDE: [&str; 4] = ["", "waits", "limit", "bar"];

/// The page: where the results come from, the bars, and for each workload a table and its plots.
pub(crate) fn html(entries: &[Entry]) -> String {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>pgmill-bench</title>\
         <style>{CSS}</style></head><body><h1>pgmill-bench</h1>"
    );
    for (machine, date) in origins(entries) {
        let _ = write!(page, "<p>{}: {}</p>", escape(date), escape(machine));
    }
    bars(&mut page, entries);
    for workload in workloads(entries) {
        let of_it: Vec<&Entry> =
            entries.iter().filter(|entry| entry.figure.workload.name() == workload).collect();
        let _ = write!(page, "<h2>{workload}</h2>");
        table(&mut page, &of_it);
        plots(&mut page, &of_it);
    }
    page + "</body></html>\n"
}

/// Each once, in the order of the results.
fn origins(entries: &[Entry]) -> Vec<(&str, &str)> {
    let mut origins = Vec::new();
    for entry in entries {
        let origin = (entry.origin.machine.as_str(), entry.origin.date.as_str());
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
    origins
}

fn workloads(entries: &[Entry]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in entries.iter().map(|entry| entry.figure.workload.name()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn bars(page: &mut String, entries: &[Entry]) {
    let barred: Vec<&Entry> = entries.iter().filter(|entry| entry.bar.is_some()).collect();
    if barred.is_empty() {
        return;
    }
    let met = barred.iter().filter(|entry| entry.met == Some(true)).count();
    let _ = write!(
        page,
        "<h2>bars</h2><p>{met} of {} are met.</p><div class=\"scroll\"><table>\
         <tr><th>what<th>figure<th class=\"number\">ratio<th>bar<th>met</tr>",
        barred.len()
    );
    for entry in barred {
        let ratio = entry.figure.ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
        let (class, met) = if entry.met == Some(true) { ("met", "yes") } else { ("missed", "no") };
        let _ = write!(
            page,
            "<tr><td class=\"wide\">{}: {}<td>{}<td class=\"number\">{ratio}<td>{}<td class=\"{class}\">{met}</tr>",
            entry.figure.workload.name(),
            escape(&entry.figure.config),
            escape(entry.judged.as_deref().unwrap_or_default()),
            escape(entry.bar.as_deref().unwrap_or_default()),
        );
    }
    page.push_str("</table></div>");
}

fn table(page: &mut String, entries: &[&Entry]) {
    let columns: Vec<_> = columns(entries).into_iter().filter(|column| column.title != "workload").collect();
    page.push_str("<div class=\"scroll\"><table><tr>");
    let class = |is_number: bool, title: &str| match (is_number, WIDE.contains(&title)) {
        (true, _) => " class=\"number\"",
        (false, true) => " class=\"wide\"",
        (false, false) => "",
    };
    for column in &columns {
        let _ = write!(page, "<th{}>{}", class(column.is_number, column.title), column.title);
    }
    for entry in entries {
        page.push_str("</tr><tr>");
        for column in &columns {
            let text = escape(&(column.text)(entry));
            let _ = write!(page, "<td{}>{text}", class(column.is_number, column.title));
        }
    }
    page.push_str("</tr></table></div>");
}

/// One plot for each kind that there is, with a line for each series of each result.
fn plots(page: &mut String, entries: &[&Entry]) {
    let dated = origins_differ(entries);
    page.push_str("<div class=\"plots\">");
    for kind in KINDS {
        let mut lines = Vec::new();
        for entry in entries {
            let of_kind = |series: &&crate::series::Series| series.kind == kind && series.points.len() > 1;
            for series in entry.figure.series.iter().filter(of_kind) {
                let date = if dated { entry.origin.date.as_str() } else { "" };
                let parts = [entry.figure.config.as_str(), &series.name, date];
                let name = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ");
                lines.push(Line { name, points: &series.points });
            }
        }
        if !lines.is_empty() {
            page.push_str(&plot(kind, &lines));
        }
    }
    page.push_str("</div>");
}

/// Whether the results of one configuration come from more than one run.
fn origins_differ(entries: &[&Entry]) -> bool {
    entries.windows(2).any(|pair| pair[0].origin != pair[1].origin)
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Workload;
    use crate::figure::{Bar, Figure};
    use crate::machine::Origin;
    use crate::series::Series;

    fn entry(config: &str, date: &str) -> Entry {
        let series = Series::new(Kind::Rate, vec![(0.0, 1.0), (1.0, 2.0)]);
        let figure = Figure { per_second: Some(1.0), ..Figure::new(Workload::Drain, config, 1) };
        let origin = Origin { machine: "2 <cores>".to_owned(), date: date.to_owned() };
        Entry::new(figure.with_series([series]).with_bar(Bar::Rate(2.0)), origin)
    }

    #[test]
    fn a_page_needs_nothing_besides_itself() {
        let page = html(&[entry("a & b", "monday")]);
        assert!(
            page.contains("2 &lt;cores&gt;") && page.contains("a &amp; b") && page.contains("1 of 1 are met")
        );
        for outside in ["<script", "http:", "https:", "src=", "href=", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn runs_are_told_apart_where_there_are_several() {
        let page = html(&[entry("a", "monday"), entry("a", "tuesday")]);
        assert!(page.contains("a · monday") && page.contains("a · tuesday"), "{page}");
        assert_eq!(page.matches("<figure>").count(), 1);
        assert!(!html(&[entry("a", "monday")]).contains("a · monday"));
    }
}
