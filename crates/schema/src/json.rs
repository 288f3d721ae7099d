use std::str::FromStr;
use std::sync::Arc;

use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// How deep arrays and objects may be nested.
const MAX_DEPTH: usize = 512;
/// The exponents allowed in numbers. PostgreSQL stores `1e100000` in a few bytes but prints it with 100,001 digits,
/// so a small payload could become gigabytes; a 64-bit float needs no more than 324.
const MAX_EXPONENT: usize = 400;
/// The digits allowed before the point of a number. PostgreSQL's `numeric` holds 131,072; the exponent may add some.
const MAX_WHOLE_DIGITS: usize = 130_000;
/// The digits allowed after the point of a number. PostgreSQL's `numeric` holds 16,383; the exponent may add some.
const MAX_FRACTION_DIGITS: usize = 15_000;

/// A JSON value as text: a task's payload or result.
///
/// The text is kept as it came, so that every digit of a number survives, and it is known to be valid JSON that
/// PostgreSQL can store as `jsonb`. Cloning is cheap. Two values are equal if their texts are.
///
/// serde hands the raw text on only directly: a `Json` cannot be read within `#[serde(flatten)]` or
/// `#[serde(untagged)]`, and passing through [`serde_json::Value`] rounds large numbers.
///
/// ```
/// use pgmill_schema::Json;
///
/// let json = Json::from_text("[12345678901234567890, 1.50]")?;
/// assert_eq!(json.as_str(), "[12345678901234567890, 1.50]");
/// assert_eq!(Json::encode(&[1, 2])?.decode::<Vec<u8>>()?, [1, 2]);
/// # Ok::<(), pgmill_schema::JsonError>(())
/// ```
#[derive(Clone)]
pub struct Json(Arc<RawValue>);

/// A text that is not JSON, that PostgreSQL could not store, or that does not fit the type asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The text is not exactly one JSON value.
    #[error("invalid JSON: {0}")]
    Syntax(String),
    /// A string or a key holds the character U+0000.
    #[error("invalid JSON: \\u0000 cannot be stored, in strings and keys every other character can")]
    Nul,
    /// A string or a key holds one half of a surrogate pair.
    #[error("invalid JSON: \\ud800 to \\udfff are allowed only as a pair of a high and a low surrogate")]
    Surrogate,
    /// Arrays and objects are nested too deep.
    #[error("invalid JSON: nested too deep, at most {MAX_DEPTH} levels are allowed")]
    Depth,
    /// A number is too large or has too many digits.
    #[error(
        "invalid JSON: a number is out of range, allowed are exponents from -{MAX_EXPONENT} to {MAX_EXPONENT}, \
         {MAX_WHOLE_DIGITS} digits before the point and {MAX_FRACTION_DIGITS} after it"
    )]
    Number,
    /// A Rust value has no JSON form.
    #[error("cannot encode as JSON: {0}")]
    Encode(String),
    /// The JSON value does not fit the Rust type.
    #[error("cannot decode JSON: {0}")]
    Decode(String),
}

impl Json {
    /// Takes a text that is exactly one JSON value. White space around it is removed.
    ///
    /// # Errors
    ///
    /// [`JsonError`] if the text is not one JSON value, or is one that PostgreSQL's `jsonb` would refuse: with
    /// `\u0000` or half a surrogate pair in a string, nested deeper than 512 levels, or with a number out of range.
    pub fn from_text(text: impl AsRef<str>) -> Result<Json, JsonError> {
        let raw: Box<RawValue> =
            serde_json::from_str(text.as_ref()).map_err(|error| JsonError::Syntax(error.to_string()))?;
        Json::from_raw(raw)
    }

    /// Takes a text that PostgreSQL stores as `json`. What other programs wrote by themselves may go beyond the limits
    /// of [`from_text`](Json::from_text), and must still reach the worker.
    ///
    /// # Errors
    ///
    /// [`JsonError::Syntax`] if the text is not one JSON value.
    pub fn from_stored(text: impl Into<String>) -> Result<Json, JsonError> {
        let raw = RawValue::from_string(text.into()).map_err(|error| JsonError::Syntax(error.to_string()))?;
        Ok(Json(raw.into()))
    }

    /// Writes a value as JSON.
    ///
    /// # Errors
    ///
    /// [`JsonError::Encode`] if the value has no JSON form (a map whose keys are not strings, for one), and the
    /// errors of [`from_text`](Json::from_text) if PostgreSQL could not store it.
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Json, JsonError> {
        let raw =
            serde_json::value::to_raw_value(value).map_err(|error| JsonError::Encode(error.to_string()))?;
        Json::from_raw(raw)
    }

    /// The JSON value `null`.
    #[must_use]
    pub fn null() -> Json {
        Json(RawValue::NULL.to_owned().into())
    }

    /// Reads the value as a Rust type. Types that nest deeper than 127 levels are refused.
    ///
    /// # Errors
    ///
    /// [`JsonError::Decode`] if the value does not fit the type.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, JsonError> {
        serde_json::from_str(self.as_str()).map_err(|error| JsonError::Decode(error.to_string()))
    }

    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The length of the text in bytes: what limits on payloads and results count. It is never 0.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no JSON value is an empty text")]
    pub fn len(&self) -> usize {
        self.as_str().len()
    }

    /// Whether the value is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.as_str() == "null"
    }

    fn from_raw(raw: Box<RawValue>) -> Result<Json, JsonError> {
        check(raw.get())?;
        Ok(Json(raw.into()))
    }
}

impl FromStr for Json {
    type Err = JsonError;

    fn from_str(text: &str) -> Result<Json, JsonError> {
        Json::from_text(text)
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Json) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Json {}

impl std::fmt::Debug for Json {
    /// Prints the first 200 characters, so that a payload does not flood a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.as_str().char_indices().nth(200) {
            Some((end, _)) => write!(f, "Json({}…)", &self.as_str()[..end]),
            None => write!(f, "Json({})", self.as_str()),
        }
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        Json::from_raw(Box::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Finds what is valid JSON and yet cannot be stored. The text is known to be valid.
fn check(text: &str) -> Result<(), JsonError> {
    let mut depth = 0;
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = match first {
            b'"' => check_string(tail)?,
            b'-' | b'0'..=b'9' => check_number(rest)?,
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(JsonError::Depth);
                }
                tail
            }
            b']' | b'}' => {
                depth -= 1;
                tail
            }
            _ => tail,
        };
    }
    Ok(())
}

/// Checks a string whose opening quote has been read, and returns what follows the closing one.
fn check_string(mut rest: &[u8]) -> Result<&[u8], JsonError> {
    loop {
        rest = match rest {
            [b'\\', b'u', tail @ ..] => match code_unit(tail) {
                (0, _) => return Err(JsonError::Nul),
                (0xD800..=0xDBFF, [b'\\', b'u', tail @ ..]) => match code_unit(tail) {
                    (0xDC00..=0xDFFF, tail) => tail,
                    _ => return Err(JsonError::Surrogate),
                },
                (0xD800..=0xDFFF, _) => return Err(JsonError::Surrogate),
                (_, tail) => tail,
            },
            [b'"', tail @ ..] => return Ok(tail),
            // What is escaped goes with its backslash, so that the `u` in `\\u0000` starts no escape.
            [b'\\', _, tail @ ..] | [_, tail @ ..] => tail,
            [] => return Ok(rest),
        };
    }
}

/// Reads the four hexadecimal digits after `\u`.
fn code_unit(text: &[u8]) -> (u32, &[u8]) {
    let (digits, rest) = text.split_at(text.len().min(4));
    let unit = digits
        .iter()
        .filter_map(|digit| char::from(*digit).to_digit(16))
        .fold(0, |unit, digit| unit << 4 | digit);
    (unit, rest)
}

/// Checks the number that the text starts with, and returns what follows it.
fn check_number(text: &[u8]) -> Result<&[u8], JsonError> {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();

    let text = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(text);
    let (mut fraction, mut rest) = (0, &text[whole..]);
    if let [b'.', tail @ ..] = rest {
        fraction = digits(tail);
        rest = &tail[fraction..];
    }
    if let [b'e' | b'E', tail @ ..] = rest {
        let unsigned = tail.strip_prefix(b"+").or_else(|| tail.strip_prefix(b"-")).unwrap_or(tail);
        let (exponent, tail) = unsigned.split_at(digits(unsigned));
        let exponent = exponent
            .iter()
            .fold(0_usize, |value, digit| value.saturating_mul(10).saturating_add(usize::from(digit - b'0')));
        if exponent > MAX_EXPONENT {
            return Err(JsonError::Number);
        }
        rest = tail;
    }
    if whole > MAX_WHOLE_DIGITS || fraction > MAX_FRACTION_DIGITS {
        return Err(JsonError::Number);
    }
    Ok(rest)
}
