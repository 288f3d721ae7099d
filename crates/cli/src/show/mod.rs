//! How answers look to people. To programs they are the JSON of the API.

mod health;
mod queue;
mod task;
mod ticker;
mod token;

use comfy_table::Row;
use pgmill::List;
use serde::Serialize;

pub(crate) use self::queue::QueueView;
pub(crate) use self::task::Retained;
use crate::style;

/// An answer that can be printed.
pub(crate) trait Show: Serialize {
    /// For people, without a line break at its end.
    fn show(&self) -> String;
}

/// What is shown as a row of a table.
pub(crate) trait Listed: Serialize {
    /// The names of the columns.
    const HEAD: &'static [&'static str];

    fn row(&self) -> Row;
}

impl<T: Listed> Show for List<T> {
    fn show(&self) -> String {
        let mut table = style::table(T::HEAD);
        table.add_rows(self.body.iter().map(Listed::row));
        let shown = self.body.len() as u64;
        let table = table.trim_fmt();
        match self.count {
            0 => "none".to_owned(),
            count if count > shown => {
                format!("{table}\n{shown} of {count} are shown; --offset and --limit choose others")
            }
            _ => table,
        }
    }
}

impl Listed for String {
    const HEAD: &'static [&'static str] = &["NAMESPACE"];

    fn row(&self) -> Row {
        style::row([style::text(self)])
    }
}
