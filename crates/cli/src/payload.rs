//! JSON in arguments.

use anyhow::anyhow;
use pgmill::Json;

/// Reads an argument that has to be JSON. `what` names it.
pub(crate) fn json(text: &str, what: &str) -> anyhow::Result<Json> {
    Json::from_text(text).map_err(|error| anyhow!("invalid {what} JSON: {}", reason(&error.to_string())))
}

/// The reason without the words that say that it is JSON.
fn reason(text: &str) -> &str {
    text.strip_prefix("invalid JSON: ").unwrap_or(text)
}
