//! What a program printed, as far as it is compared.

use std::collections::HashSet;

use super::added::{Key, without_ours};
use super::json::Json;
use super::normalise;

/// Text, with the first object in it read as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Printed {
    before: String,
    json: Option<Json>,
    after: String,
}

impl Printed {
    pub(crate) fn of(text: &str) -> Self {
        let text_only = || Self { before: text.to_owned(), json: None, after: String::new() };
        let object = text.find("{\n").or_else(|| text.find("{}"));
        let Some(start) = object else { return text_only() };
        let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Json>();
        // Only the start of an error may be what is wanted.
        let Some(Ok(json)) = values.next() else { return text_only() };
        let end = start + values.byte_offset();
        Self { before: text[..start].to_owned(), json: Some(json), after: text[end..].to_owned() }
    }

    /// Makes both the same in what two runs cannot have in common.
    pub(crate) fn normalise(
        found: &mut Self,
        captured: &mut Self,
        runs: &mut (normalise::Run, normalise::Run),
        seen: &mut HashSet<Key>,
    ) {
        if let (Some(found), Some(captured)) = (&mut found.json, &mut captured.json) {
            without_ours(found, captured, seen);
        }
        if let Some(json) = &mut captured.json {
            runs.0.normalise(json);
        }
        if let Some(json) = &mut found.json {
            runs.1.normalise(json);
        }
    }
}
