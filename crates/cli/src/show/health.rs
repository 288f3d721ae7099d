use pgmill_client::{Check, Health};

use super::Show;
use crate::style::{parts, text};

impl Show for Health {
    fn show(&self) -> String {
        let checks = self.checks.iter().map(|(name, check)| (name.as_str(), text(words(check))));
        parts([("server", text(&self.status))].into_iter().chain(checks))
    }
}

fn words(Check { status, detail, .. }: &Check) -> String {
    detail.as_ref().map_or_else(|| status.clone(), |detail| format!("{status}: {detail}"))
}
