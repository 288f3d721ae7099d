//! Small serde rules that several objects of the wire share.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serializer};

use crate::Json;

/// `null` counts as not given.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A value that is given is a value, `null` too; serde alone would read `null` as `None`.
pub(crate) fn given_json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}

/// A result of `null` is left out, as one that is absent.
pub(crate) fn is_absent_or_null(result: &Option<Json>) -> bool {
    result.as_ref().is_none_or(Json::is_null)
}

/// Times are RFC 3339 in UTC, to the microsecond, without trailing zeros. What is read is as exact, for no more of it is kept.
pub(crate) mod time {
    use super::{Deserialize, Deserializer, Serializer, Timestamp};

    pub(crate) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&to_the_microsecond(*time).map_err(serde::ser::Error::custom)?)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        to_the_microsecond(Timestamp::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }

    fn to_the_microsecond(time: Timestamp) -> Result<Timestamp, jiff::Error> {
        Timestamp::from_microsecond(time.as_microsecond())
    }

    pub(crate) mod option {
        use super::{Deserialize, Deserializer, Serializer, Timestamp};

        pub(crate) fn serialize<S: Serializer>(
            time: &Option<Timestamp>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match time {
                Some(time) => super::serialize(time, serializer),
                None => serializer.serialize_none(),
            }
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Timestamp>, D::Error> {
            let time: Option<Timestamp> = Option::deserialize(deserializer)?;
            time.map(super::to_the_microsecond).transpose().map_err(serde::de::Error::custom)
        }
    }
}
