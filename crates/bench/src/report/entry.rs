//! A result as it is written and read: one JSON object a line.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::figure::Figure;
use crate::machine::Origin;

/// A result, what it should reach, and where it comes from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    #[serde(flatten)]
    pub(crate) figure: Figure,
    pub(crate) bar: Option<String>,
    /// What of the figure is held against the bar.
    pub(crate) judged: Option<String>,
    pub(crate) met: Option<bool>,
    #[serde(flatten)]
    pub(crate) origin: Origin,
}

impl Entry {
    pub(crate) fn new(figure: Figure, origin: Origin) -> Self {
        let (bar, judged, met) = (figure.bar.map(|bar| bar.to_string()), figure.judged(), figure.meets_bar());
        Self { figure, bar, judged, met, origin }
    }
}

/// One object a line.
pub(crate) fn write(mut out: impl Write, entries: &[Entry]) -> anyhow::Result<()> {
    for entry in entries {
        writeln!(out, "{}", serde_json::to_string(entry)?)?;
    }
    Ok(())
}

/// The results in some files, in their order.
pub(crate) fn read(files: &[PathBuf]) -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for file in files {
        let name = file.display();
        let text = fs::read_to_string(file).with_context(|| format!("{name} cannot be read"))?;
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let entry = serde_json::from_str(line);
            entries.push(entry.with_context(|| format!("line {} of {name} is no result", number + 1))?);
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Workload;
    use crate::figure::Bar;
    use crate::series::Series;

    #[test]
    fn what_is_written_is_read_again() {
        let figure = Figure { p99_ms: Some(7.25), ..Figure::new(Workload::Tickers, "a", 3) };
        let figure = figure.with_bar(Bar::Late(5.0)).with_series([Series::rates(&[(0.0, 0), (2.0, 5)])]);
        let origin = Origin { machine: "2 cores".to_owned(), date: "today".to_owned() };
        let mut text = Vec::new();
        write(&mut text, &[Entry::new(figure, origin.clone())]).expect("written");
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), &text).expect("written");
        let read = read(&[file.path().to_owned()]).expect("read");
        let [entry] = &read[..] else { panic!("{read:?}") };
        assert_eq!((entry.figure.p99_ms, entry.figure.series.len(), entry.met), (Some(7.25), 1, Some(false)));
        assert_eq!((entry.judged.as_deref(), &entry.origin), (Some("p99 7.2 ms"), &origin));
        let mut again = Vec::new();
        write(&mut again, &read).expect("written");
        assert_eq!(again, text);
    }
}
