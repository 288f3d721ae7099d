//! How tables look: no lines, a bold head, statuses in colours.

use std::time::Duration;

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Row, Table, presets};
use jiff::Timestamp;
use pgmill::{Json, Status, format_duration};

use crate::{output, payload};

/// What stands where there is nothing.
const NOTHING: &str = "-";

/// A table with this head, as wide as the terminal at most: what is longer is cut.
pub(crate) fn table(head: &[&str]) -> Table {
    let mut table = bare();
    table.set_header(head.iter().map(|name| bold(name)));
    table
}

/// One object: its parts below each other.
pub(crate) fn parts<'a>(parts: impl IntoIterator<Item = (&'a str, Cell)>) -> String {
    let mut table = bare();
    for (name, value) in parts {
        table.add_row([bold(name), value]);
    }
    table.trim_fmt()
}

fn bare() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    // Terminals that nobody has told their size say 0, as those of containers and of `script` do.
    if table.width() == Some(0) {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    table
}

fn bold(text: &str) -> Cell {
    let cell = Cell::new(text);
    if output::has_colours() { cell.add_attribute(Attribute::Bold) } else { cell }
}

/// A row of one line.
pub(crate) fn row(cells: impl IntoIterator<Item = Cell>) -> Row {
    let mut row = Row::from(cells.into_iter().collect::<Vec<_>>());
    row.max_height(1);
    row
}

pub(crate) fn text(text: impl ToString) -> Cell {
    Cell::new(text)
}

pub(crate) fn number(number: u64) -> Cell {
    Cell::new(number).set_alignment(CellAlignment::Right)
}

/// The number of tasks with a status: none of them is nothing to look at.
pub(crate) fn count(status: Status, count: u64) -> Cell {
    let cell = number(count);
    match colour(status).filter(|_| count > 0 && output::has_colours()) {
        Some((colour, _)) => cell.fg(colour),
        None => cell,
    }
}

pub(crate) fn status(status: Option<Status>) -> Cell {
    let Some(status) = status else { return Cell::new(NOTHING) };
    match colour(status).filter(|_| output::has_colours()) {
        Some((colour, _)) => Cell::new(status).fg(colour),
        None => Cell::new(status),
    }
}

/// The same in a line of text.
pub(crate) fn painted(status: Status) -> String {
    match colour(status).filter(|_| output::has_colours()) {
        Some((_, code)) => format!("\x1b[{code}m{status}\x1b[0m"),
        None => status.to_string(),
    }
}

/// The colour of a status, and its code on a terminal.
fn colour(status: Status) -> Option<(Color, u8)> {
    match status {
        Status::New => None,
        Status::Retry => Some((Color::DarkYellow, 33)),
        Status::Retained => Some((Color::DarkCyan, 36)),
        Status::Released => Some((Color::DarkGreen, 32)),
        Status::Failed => Some((Color::DarkRed, 31)),
        Status::Expired => Some((Color::DarkMagenta, 35)),
        Status::Cancelled => Some((Color::DarkGrey, 90)),
    }
}

pub(crate) fn optional(value: Option<impl ToString>) -> Cell {
    Cell::new(value.map_or_else(|| NOTHING.to_owned(), |value| value.to_string()))
}

/// JSON on one line, of which a row shows as much as there is room for.
pub(crate) fn json(json: Option<&Json>) -> Cell {
    // Cut where the room ends, not where a word does.
    optional(json.map(|json| payload::line(json).as_str().to_owned())).set_delimiter('\u{1f}')
}

/// A time of the last and the next months, in UTC.
pub(crate) fn day_and_time(time: Option<Timestamp>) -> Cell {
    optional(time.map(|time| time.strftime("%m-%d %H:%M:%SZ").to_string()))
}

/// A time, to the second, in UTC.
pub(crate) fn time(time: Option<Timestamp>) -> Cell {
    optional(time.map(moment))
}

pub(crate) fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// A duration without the parts at its end that are zero.
pub(crate) fn duration(duration: Option<Duration>) -> Cell {
    optional(duration.map(short))
}

fn short(duration: Duration) -> String {
    let text = format_duration(duration);
    let text = text.strip_suffix("m0s").map(|rest| format!("{rest}m")).unwrap_or(text);
    text.strip_suffix("h0m").map(|rest| format!("{rest}h")).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use pgmill::{hours, minutes, seconds};

    use super::short;

    #[test]
    fn durations_end_with_what_is_not_zero() {
        let texts = [hours(24), minutes(90), minutes(10), seconds(30), seconds(3605), seconds(0)].map(short);
        assert_eq!(texts, ["24h", "1h30m", "10m", "30s", "1h0m5s", "0s"]);
    }
}
