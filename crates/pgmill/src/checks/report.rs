//! What is told of a check.

use std::fmt;
use std::time::Duration;

use pgmill_schema::format_duration;
use serde::Serialize;

/// What to think of what was seen. The worse, the greater; what was skipped is no better than what is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Verdict {
    /// It could not be looked at.
    Skipped,
    /// It is well.
    Ok,
    /// It goes on, but slower, later, or not for long.
    Warn,
    /// Tasks cannot be created or worked on, or what was acknowledged may be lost.
    Fail,
}

impl Verdict {
    /// The word for it: `ok`, `warn`, `fail` or `skipped`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// What it is called, such as `partitions`. Names stay the same from version to version.
    pub name: &'static str,
    /// What to think of it.
    pub verdict: Verdict,
    /// What was seen, in a line: without names of hosts, roles and queues, and without SQL.
    pub seen: String,
    /// Each thing by itself, with its names: for whoever may know them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// What to do, where it is not well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<&'static str>,
}

impl Check {
    pub(super) fn ok(name: &'static str, seen: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, seen: seen.into(), details: Vec::new(), advice: None }
    }

    pub(super) fn skipped(name: &'static str, why: impl Into<String>) -> Self {
        Self { verdict: Verdict::Skipped, ..Self::ok(name, why) }
    }

    pub(super) fn warn(name: &'static str, seen: impl Into<String>, advice: &'static str) -> Self {
        Self { verdict: Verdict::Warn, advice: Some(advice), ..Self::ok(name, seen) }
    }

    pub(super) fn fail(name: &'static str, seen: impl Into<String>, advice: &'static str) -> Self {
        Self { verdict: Verdict::Fail, ..Self::warn(name, seen, advice) }
    }

    /// The same where it is of less weight.
    pub(super) fn at_most_warn(self) -> Self {
        Self { verdict: self.verdict.min(Verdict::Warn), ..self }
    }

    pub(super) fn details(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(details);
        self
    }
}

/// A time in words, to the second.
pub(super) fn span(time: Duration) -> String {
    format_duration(Duration::from_secs(time.as_secs()))
}

/// All that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Checkup {
    /// The worst verdict: `ok` where all is well or could not be looked at.
    pub verdict: Verdict,
    /// The checks, in the order they were made.
    pub checks: Vec<Check>,
}

impl Checkup {
    pub(super) fn of(checks: Vec<Check>) -> Self {
        let worst = checks.iter().map(|check| check.verdict).max();
        Self { verdict: worst.unwrap_or(Verdict::Ok).max(Verdict::Ok), checks }
    }

    /// The check of this name, if it was made.
    #[must_use]
    pub fn check(&self, name: &str) -> Option<&Check> {
        self.checks.iter().find(|check| check.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_verdict_is_that_of_the_whole_and_what_was_skipped_is_no_fault() {
        let (ok, skipped) = (Check::ok("a", ""), Check::skipped("b", ""));
        let (warn, fail) = (Check::warn("c", "", ""), Check::fail("d", "", ""));
        assert_eq!(Checkup::of(vec![skipped.clone()]).verdict, Verdict::Ok);
        assert_eq!(Checkup::of(vec![ok.clone(), skipped.clone()]).verdict, Verdict::Ok);
        assert_eq!(Checkup::of(vec![ok.clone(), warn.clone()]).verdict, Verdict::Warn);
        assert_eq!(Checkup::of(vec![warn, fail, ok]).verdict, Verdict::Fail);
    }
}
