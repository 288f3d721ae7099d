//! Keys of bodies that exclude or need each other, which types do not tell.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};

/// A key, and what it has to hold to count as given.
#[derive(Clone, Copy)]
enum Given {
    Anything(&'static str),
    NotNull(&'static str),
    NotEmpty(&'static str),
    True(&'static str),
}

use Given::{Anything, NotEmpty, NotNull, True};

/// Schemas, with keys of which no two may be given.
static EXCLUDING: [(&str, &[Given]); 8] = [
    ("TaskMeta", &[NotNull("delay"), NotNull("delayed_at")]),
    ("TickerMeta", &[NotNull("interval"), NotNull("cron"), True("disabled")]),
    ("TickerMeta", &[NotNull("interval"), NotNull("time_zone")]),
    ("TickerMeta", &[True("disabled"), NotNull("time_zone")]),
    ("Release", &[True("fail"), True("give_back"), NotNull("snooze"), True("cancel")]),
    ("Release", &[True("discard"), NotNull("retry_in")]),
    ("Release", &[NotNull("result"), True("give_back")]),
    ("Release", &[NotNull("result"), NotNull("snooze")]),
];

/// Schemas, with a key that is given only with another.
static NEEDING: [(&str, Given, Given); 3] = [
    ("Release", True("discard"), True("fail")),
    ("Release", NotNull("retry_in"), True("fail")),
    ("NewTicker", NotNull("time_zone"), NotNull("cron")),
];

/// Schemas, with keys of which at least one has to be given: those of a creation are given a name.
static CHANGING: [(&str, &[Given]); 2] = [
    (
        "QueueMeta",
        &[
            NotEmpty("queue"),
            NotNull("ttl"),
            NotNull("retries"),
            NotNull("retry_delay"),
            NotNull("backoff"),
            NotNull("max_retry_delay"),
            NotNull("retention"),
            NotNull("retention_failed"),
            NotNull("lease"),
        ],
    ),
    (
        "TickerMeta",
        &[
            NotEmpty("ticker"),
            Anything("payload"),
            NotNull("interval"),
            NotNull("cron"),
            NotNull("time_zone"),
            True("disabled"),
            NotNull("queue"),
            NotNull("priority"),
            NotNull("policy"),
            NotNull("catch_up"),
        ],
    ),
];

/// Adds to each schema what its keys say about each other.
pub(super) fn add(schemas: &mut BTreeMap<String, RefOr<Schema>>) {
    for (name, schema) in schemas {
        let rules = rules(name);
        match schema {
            RefOr::T(Schema::AllOf(all)) => all.items.extend(rules.into_iter().map(rule)),
            RefOr::T(Schema::Object(object)) if !rules.is_empty() => {
                let rules: Vec<_> = rules.into_iter().map(|(word, rule)| json!({ word: rule })).collect();
                let all = Extensions::from_iter([("allOf", Value::Array(rules))]);
                object.extensions.get_or_insert_default().merge(all);
            }
            _ => {}
        }
    }
}

fn rule((word, rule): (&'static str, Value)) -> RefOr<Schema> {
    let extensions = Extensions::from_iter([(word, rule)]);
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).extensions(Some(extensions)).into()
}

/// Each of them as a word of JSON Schema and what follows it.
fn rules(schema: &str) -> Vec<(&'static str, Value)> {
    let excluding = EXCLUDING.iter().filter(|(it, _)| *it == schema).flat_map(|(_, keys)| pairs(keys));
    let excluding = excluding.map(|(one, other)| ("not", json!({ "allOf": [one.schema(), other.schema()] })));
    let needing = NEEDING.iter().filter(|(it, ..)| *it == schema);
    let needing = needing.map(|(_, key, other)| ("anyOf", json!([{ "not": key.schema() }, other.schema()])));
    let changing = CHANGING.iter().filter(|(it, _)| *it == schema);
    let changing =
        changing.map(|(_, keys)| ("anyOf", keys.iter().map(|key| key.schema()).collect::<Value>()));
    excluding.chain(needing).chain(changing).collect()
}

fn pairs(keys: &'static [Given]) -> impl Iterator<Item = (Given, Given)> {
    let others = |index: usize| &keys[index + 1..];
    keys.iter().enumerate().flat_map(move |(index, one)| others(index).iter().map(|other| (*one, *other)))
}

impl Given {
    /// Of objects in which it is given.
    fn schema(self) -> Value {
        let (key, value) = match self {
            Self::Anything(key) => return json!({ "required": [key] }),
            Self::NotNull(key) => (key, json!({ "not": { "type": "null" } })),
            Self::NotEmpty(key) => (key, json!({ "type": "string", "minLength": 1 })),
            Self::True(key) => (key, json!({ "const": true })),
        };
        json!({ "required": [key], "properties": { key: value } })
    }
}
