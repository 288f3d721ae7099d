use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{duration_nanos, parse_duration};

const NEVER: &str = "never";

/// How long a task has to be done, from its creation, or from when it is due if it was delayed.
///
/// In JSON: an integer number of nanoseconds or a text such as `"1h30m"`, or the text `"never"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ttl {
    /// The task never expires.
    Never,
    /// The task expires after this time.
    After(Duration),
}

impl Ttl {
    /// The time after which the task expires, if it does.
    #[must_use]
    pub const fn duration(self) -> Option<Duration> {
        match self {
            Ttl::Never => None,
            Ttl::After(duration) => Some(duration),
        }
    }

    pub(crate) const fn is_never(&self) -> bool {
        matches!(self, Ttl::Never)
    }

    pub(crate) const fn never() -> Ttl {
        Ttl::Never
    }
}

impl From<Duration> for Ttl {
    fn from(duration: Duration) -> Ttl {
        Ttl::After(duration)
    }
}

impl Serialize for Ttl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Ttl::Never => serializer.serialize_str(NEVER),
            Ttl::After(duration) => duration_nanos::serialize(duration, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Ttl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Ttl, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "a ttl is from 1000 to 9223372036854775807 nanoseconds, a text such as \"1h30m\", or \"never\""
        )]
        enum Given {
            Text(String),
            Nanos(#[serde(with = "duration_nanos")] Duration),
        }

        match Given::deserialize(deserializer)? {
            Given::Text(text) if text == NEVER => Ok(Ttl::Never),
            Given::Text(text) => parse_duration(&text).map(Ttl::After).map_err(de::Error::custom),
            Given::Nanos(duration) => Ok(Ttl::After(duration)),
        }
    }
}
