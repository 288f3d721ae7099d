use std::time::Duration;

/// The longest duration that JSON can carry: a signed 64-bit number of nanoseconds, about 292 years.
const MAX_NANOS: u128 = i64::MAX as u128;

/// This many seconds.
#[must_use]
pub const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// This many minutes. More than a [`Duration`] holds becomes the most whole seconds it holds.
#[must_use]
pub const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count.saturating_mul(60))
}

/// This many hours. More than a [`Duration`] holds becomes the most whole seconds it holds.
#[must_use]
pub const fn hours(count: u64) -> Duration {
    Duration::from_secs(count.saturating_mul(60 * 60))
}

/// This many days of 24 hours. More than a [`Duration`] holds becomes the most whole seconds it holds.
#[must_use]
pub const fn days(count: u64) -> Duration {
    Duration::from_secs(count.saturating_mul(24 * 60 * 60))
}

/// The number of whole microseconds, as durations are kept in the database: what is less than one is dropped, and
/// more than `i64` holds becomes [`i64::MAX`].
#[must_use]
pub fn to_micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The duration that [`to_micros`] stored. A negative number, which the database does not hold, becomes zero.
#[must_use]
pub fn from_micros(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DurationError {
    /// The text does not follow the syntax.
    #[error(
        "invalid duration {given:?}: want numbers with a unit of ns, us, ms, s, m or h, such as 1h30m or 1.5s"
    )]
    Syntax {
        /// The text as it was given.
        given: String,
    },
    /// The duration is below zero.
    #[error("invalid duration {given:?}: must not be negative")]
    Negative {
        /// The text as it was given.
        given: String,
    },
    /// The duration is longer than a signed 64-bit number of nanoseconds.
    #[error("invalid duration {given:?}: must be at most 2562047h47m16.854775807s (292 years)")]
    TooLong {
        /// The text as it was given.
        given: String,
    },
}

/// Reads a duration in the syntax of Go: decimal numbers with a unit each, such as `1h30m`, `1.5s`, `500ms`, `2us`
/// or `10ns`, or the bare `0`.
///
/// # Errors
///
/// [`DurationError`] if the text is anything else, negative, or longer than 292 years.
///
/// ```
/// use pgmill_schema::{minutes, parse_duration};
///
/// assert_eq!(parse_duration("1h30m"), Ok(minutes(90)));
/// assert!(parse_duration("1d").is_err());
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let given = || text.to_owned();
    if text.starts_with('-') {
        return Err(DurationError::Negative { given: given() });
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(DurationError::Syntax { given: given() });
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (nanos, tail) = part(rest).ok_or_else(|| DurationError::Syntax { given: given() })?;
        total = total.saturating_add(nanos);
        rest = tail;
    }
    if total > MAX_NANOS {
        return Err(DurationError::TooLong { given: given() });
    }
    Ok(Duration::from_nanos_u128(total))
}

/// Reads one number and its unit, and returns it in nanoseconds with the text that follows.
fn part(text: &str) -> Option<(u128, &str)> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = rest.strip_prefix('.').map_or(("", rest), digits);
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let end = rest.find(|char: char| char == '.' || char.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(end);
    let unit: u128 = match unit {
        "ns" => 1,
        // The micro sign and the Greek letter mu.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 60 * 60 * 1_000_000_000,
        _ => return None,
    };
    let (fraction, scale) = fraction
        .bytes()
        // Of an hour, the longest unit, the 18th digit is already far below a nanosecond.
        .take(18)
        .fold((0, 1), |(value, scale), digit| (value * 10 + u128::from(digit - b'0'), scale * 10));
    // A number with too many digits saturates, and so is reported as too long by the caller.
    let whole = whole.bytes().fold(0, |value: u128, digit| {
        value.saturating_mul(10).saturating_add(u128::from(digit - b'0')).min(MAX_NANOS + 1)
    });
    Some((whole * unit + fraction * unit / scale, rest))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

/// Writes a duration as Go does: `1h30m0s`, `1.5s`, `500ms`, `2µs`, `10ns`, `0s`.
///
/// [`parse_duration`] reads every text this writes for durations of up to 292 years.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let nanos = duration.subsec_nanos();
    let all = duration.as_secs();
    if all == 0 {
        return match nanos {
            0 => "0s".to_owned(),
            1..1_000 => format!("{nanos}ns"),
            1_000..1_000_000 => decimal(u64::from(nanos), 1_000, 3, "µs"),
            _ => decimal(u64::from(nanos), 1_000_000, 6, "ms"),
        };
    }
    let (hours, minutes, seconds) = (all / 3600, all / 60 % 60, all % 60);
    let seconds = decimal(seconds * 1_000_000_000 + u64::from(nanos), 1_000_000_000, 9, "s");
    match (hours, minutes) {
        (0, 0) => seconds,
        (0, minutes) => format!("{minutes}m{seconds}"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
    }
}

/// Writes `value / unit` with at most `places` decimal places and no trailing zeros.
fn decimal(value: u64, unit: u64, places: usize, suffix: &str) -> String {
    let (whole, fraction) = (value / unit, value % unit);
    let fraction = format!("{fraction:0places$}");
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{whole}{suffix}") } else { format!("{whole}.{fraction}{suffix}") }
}

/// For `#[serde(with = "pgmill_schema::duration_nanos")]`: a duration is written as an integer number of
/// nanoseconds, and read from one or from a text in the syntax of [`parse_duration`].
///
/// Use [`duration_nanos::option`](self::duration_nanos::option) for an `Option<Duration>`, and add `#[serde(default)]`.
pub mod duration_nanos {
    use std::time::Duration;

    use serde::{Deserializer, Serializer, de, ser};

    use super::{MAX_NANOS, parse_duration};

    /// Writes a duration as an integer number of nanoseconds.
    ///
    /// # Errors
    ///
    /// If the duration is longer than 292 years, which a signed 64-bit number of nanoseconds cannot hold.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        let nanos = i64::try_from(duration.as_nanos())
            .map_err(|_| ser::Error::custom("duration is longer than 9223372036854775807 nanoseconds"))?;
        serializer.serialize_i64(nanos)
    }

    /// Reads a duration from an integer number of nanoseconds or from a text.
    ///
    /// # Errors
    ///
    /// If the value is neither, is negative, or is longer than 292 years.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        deserializer.deserialize_any(Visitor)
    }

    struct Visitor;

    impl de::Visitor<'_> for Visitor {
        type Value = Duration;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "a duration: from 0 to {MAX_NANOS} nanoseconds, or a text such as \"1h30m\"")
        }

        fn visit_u64<E: de::Error>(self, nanos: u64) -> Result<Duration, E> {
            if u128::from(nanos) > MAX_NANOS {
                return Err(E::invalid_value(de::Unexpected::Unsigned(nanos), &self));
            }
            Ok(Duration::from_nanos(nanos))
        }

        fn visit_i64<E: de::Error>(self, nanos: i64) -> Result<Duration, E> {
            let nanos =
                u64::try_from(nanos).map_err(|_| E::invalid_value(de::Unexpected::Signed(nanos), &self))?;
            self.visit_u64(nanos)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
            parse_duration(text).map_err(E::custom)
        }
    }

    /// The same for an `Option<Duration>`: `None` is `null`, and an absent key with `#[serde(default)]`.
    pub mod option {
        use std::time::Duration;

        use serde::{Deserialize, Deserializer, Serializer};

        /// Writes a duration as an integer number of nanoseconds, or `null`.
        ///
        /// # Errors
        ///
        /// If the duration is longer than 292 years.
        pub fn serialize<S: Serializer>(
            duration: &Option<Duration>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match duration {
                Some(duration) => super::serialize(duration, serializer),
                None => serializer.serialize_none(),
            }
        }

        /// Reads a duration from an integer number of nanoseconds or a text, or `None` from `null`.
        ///
        /// # Errors
        ///
        /// If the value is none of these, is negative, or is longer than 292 years.
        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
            #[derive(Deserialize)]
            struct Nanos(#[serde(with = "super")] Duration);

            Ok(Option::<Nanos>::deserialize(deserializer)?.map(|Nanos(duration)| duration))
        }
    }
}
