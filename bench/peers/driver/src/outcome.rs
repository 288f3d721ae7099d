//! What a driver answers, in one line of JSON.

use serde::{Deserialize, Serialize};

/// What was measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// How many tasks were created or drained.
    pub n: u64,
    /// For how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// The median of the calls or of the waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<f64>,
    /// What 99 of a hundred of them did not exceed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<f64>,
}

impl Outcome {
    /// Tasks a second.
    pub fn per_second(&self) -> Option<f64> {
        self.seconds.filter(|seconds| *seconds > 0.0).map(|seconds| self.n as f64 / seconds)
    }
}

/// What a system is, and how it was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// The name of the system.
    pub system: String,
    /// The version that is driven.
    pub version: String,
    /// What becomes of a task that is done.
    pub history: History,
    /// What was set, and why, in a sentence.
    pub configuration: String,
}

/// What becomes of a task that is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum History {
    /// Its row is gone.
    Deleted,
    /// Its row stays, with what became of it.
    Kept,
    /// Its row goes to another table.
    Archived,
}

impl History {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Kept => "kept",
            Self::Archived => "archived",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_absent() {
        let outcome = Outcome { n: 5, seconds: Some(2.0), ..Outcome::default() };
        let line = serde_json::to_string(&outcome).unwrap();
        assert_eq!(line, r#"{"n":5,"seconds":2.0}"#);
        assert_eq!(serde_json::from_str::<Outcome>(&line).unwrap(), outcome);
        assert_eq!(outcome.per_second(), Some(2.5));
    }

    #[test]
    fn the_history_of_a_system_is_one_of_three_words() {
        let info = r#"{"system":"a","version":"1","history":"archived","configuration":"c"}"#;
        assert_eq!(serde_json::from_str::<Info>(info).unwrap().history, History::Archived);
        assert!(serde_json::from_str::<Info>(&info.replace("archived", "lost")).is_err());
    }
}
