//! What objects have here beyond the contract.

use std::collections::HashSet;

use super::json::Json;

/// The first key of an object, and one that is ours.
pub(crate) type Key = (&'static str, &'static str);

/// Keys that objects have here beyond the contract, by the first key of the object, each with its number.
pub(crate) const ADDED: &[(&str, &[(&str, &str)])] = &[
    (
        "queue",
        &[
            ("backoff", "D11"),
            ("max_retry_delay", "D11"),
            ("retention", "B31"),
            ("retention_failed", "B31"),
            ("lease", "B9"),
        ],
    ),
    (
        "id",
        &[("status", "B58"), ("priority", "ADD"), ("attempt", "B9"), ("lease_until", "B9"), ("lease", "B9")],
    ),
    ("ticker", &[("next_at", "B32")]),
    ("code", &[("error", "ADD")]),
];

/// Takes away the keys that the table allows and the captured answer does not have, and notes them.
pub(crate) fn without_ours(found: &mut Json, expected: &mut Json, seen: &mut HashSet<Key>) {
    let expected = expected.subjects();
    for (at, subject) in found.subjects().into_iter().enumerate() {
        let Json::Object(pairs) = subject else { continue };
        let Some((first, _)) = pairs.first() else { continue };
        let Some((kind, keys)) = ADDED.iter().find(|(kind, _)| kind == first) else { continue };
        let captured = expected.get(at);
        pairs.retain(|(key, _)| {
            let Some((key, _)) = keys.iter().find(|(it, _)| it == key) else { return true };
            let is_captured = captured.is_some_and(|captured| captured.get(key).is_some());
            if !is_captured {
                seen.insert((kind, key));
            }
            is_captured
        });
    }
}
