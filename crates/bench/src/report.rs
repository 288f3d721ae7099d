//! What people and programs read: results on standard output and in files, everything else on standard error.

mod axis;
mod bars;
mod columns;
mod entry;
mod html;
mod plot;

pub(crate) use bars::markdown as bars;
pub(crate) use entry::{Entry, read, write};
pub(crate) use html::html;

use std::io::{self, Write};

use comfy_table::{CellAlignment, Table, presets};

use columns::columns;

/// A remark for whoever watches.
pub(crate) fn note(text: &str) {
    // Nobody may be there to read it.
    let _ = writeln!(io::stderr(), "{text}");
}

/// What went wrong, with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    note(&format!("Error: {error:#}"));
}

/// The machine, and a table. Columns that are empty for all are left out.
pub(crate) fn table(machine: &str, entries: &[Entry]) -> anyhow::Result<()> {
    let columns = columns(&entries.iter().collect::<Vec<_>>());
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(columns.iter().map(|column| column.title));
    for (index, of) in columns.iter().enumerate() {
        if let (true, Some(column)) = (of.is_number, table.column_mut(index)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for entry in entries {
        table.add_row(columns.iter().map(|column| (column.text)(entry)));
    }
    writeln!(io::stdout().lock(), "{machine}\n\n{table}")?;
    Ok(())
}
