//! What holds of whatever comes in, for the targets of `fuzz/` and for the tests: nothing panics, and what is taken is written
//! as it is read.

use std::fmt::{Debug, Display};
use std::str::FromStr;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{
    Backoff, Json, Key, NameError, Namespace, QueueMeta, QueueName, Role, Status, TaskMeta, TickPolicy,
    TickerMeta, TickerName, TokenMeta, TokenName, TokenSecret, WorkerName, duration_nanos, format_duration,
    parse_duration,
};

/// The most bytes of a payload, as far as this is concerned.
const MAX_PAYLOAD: usize = 1 << 20;

/// Names of all kinds, and words.
///
/// # Panics
/// If something does not hold.
pub fn names(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    name::<Namespace>(text, 50);
    name::<QueueName>(text, 64);
    name::<TickerName>(text, 64);
    name::<TokenName>(text, 64);
    name::<WorkerName>(text, 255);
    name::<Key>(text, 255);
    word::<Status>(text);
    word::<Role>(text);
    word::<Backoff>(text);
    word::<TickPolicy>(text);
    if let Ok(secret) = TokenSecret::parse(text) {
        assert_eq!(secret.expose(), text, "a secret is kept as it is");
        assert!(!format!("{secret:?}").contains(secret.digits()), "a secret is never shown");
    }
}

/// A name that is taken is taken again as it is, and is short and without NUL, which PostgreSQL has not.
fn name<N>(text: &str, longest: usize)
where
    N: FromStr<Err = NameError> + AsRef<str> + PartialEq + Debug + Serialize + DeserializeOwned,
{
    match text.parse::<N>() {
        Ok(name) => {
            let own = name.as_ref();
            assert!((1..=longest).contains(&own.chars().count()) && !own.contains('\0'), "{own:?}");
            assert_eq!(own.parse::<N>().as_ref(), Ok(&name));
            same_in_json(&name);
        }
        Err(error) => assert!(!error.to_string().is_empty() && !error.allowed().is_empty()),
    }
}

fn word<W: FromStr + Display>(text: &str) {
    if let Ok(word) = text.parse::<W>() {
        assert_eq!(word.to_string(), text);
    }
}

#[track_caller]
fn same_in_json<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let text = serde_json::to_string(value).expect("what was read can be written");
    let read: T = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(&read, value, "{text}");
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Lasting(#[serde(with = "duration_nanos")] Duration);

/// Durations.
///
/// # Panics
/// If something does not hold.
pub fn durations(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(duration) = parse_duration(text) {
        let written = format_duration(duration);
        assert_eq!(parse_duration(&written), Ok(duration), "{written}");
        same_in_json(&Lasting(duration));
    }
    if let Ok(lasting) = serde_json::from_str::<Lasting>(text) {
        same_in_json(&lasting);
    }
}

/// Payloads and results.
///
/// # Panics
/// If something does not hold.
pub fn payloads(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(json) = Json::from_text(text) else { return };
    assert_eq!(json.as_str(), text.trim_matches([' ', '\t', '\n', '\r']), "it is kept to the digit");
    assert_eq!(Json::from_text(json.as_str()).as_ref(), Ok(&json));
    assert_eq!(Json::from_stored(json.as_str()).as_ref(), Ok(&json));
    same_in_json(&json);
    assert!(format!("{json:?}").len() < 2_000, "a log is not flooded");
    let _ = json.decode::<serde_json::Value>();
    let meta = TaskMeta::raw(json);
    assert_eq!(meta.validate(MAX_PAYLOAD).is_ok(), text.trim().len() <= MAX_PAYLOAD);
}

/// What is to be created or changed.
///
/// # Panics
/// If something does not hold.
pub fn metas(input: &[u8]) {
    meta::<QueueMeta>(input, |meta| meta.validate().is_ok());
    meta::<TaskMeta>(input, |meta| meta.validate(MAX_PAYLOAD).is_ok());
    meta::<TickerMeta>(input, |meta| meta.validate(MAX_PAYLOAD).is_ok());
    meta::<TokenMeta>(input, |meta| meta.validate().is_ok());
}

fn meta<T: Serialize + DeserializeOwned + PartialEq + Debug>(input: &[u8], is_valid: impl Fn(&T) -> bool) {
    if let Ok(meta) = serde_json::from_slice::<T>(input)
        && is_valid(&meta)
    {
        same_in_json(&meta);
    }
}

#[cfg(test)]
#[path = "../../../fuzz/kept.rs"]
mod kept;

#[test]
fn names_hold() {
    kept::hold("names", names);
}

#[test]
fn durations_hold() {
    kept::hold("durations", durations);
}

#[test]
fn payloads_hold() {
    kept::hold("payloads", payloads);
}

#[test]
fn metas_hold() {
    kept::hold("metas", metas);
}
