//! JSON objects as Go reads them: the names of keys may be in any case, the last of several wins, unknown keys and whatever
//! comes after the object are ignored, and `null` stands for an object without keys.

use std::borrow::Cow;

use serde::de::value::MapDeserializer;
use serde::de::{self, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::value::RawValue;

/// The keys of an object with what they hold, in the order in which they came.
#[derive(Debug)]
pub(crate) struct Object<'a, V = &'a RawValue>(Vec<(Cow<'a, str>, V)>);

/// Reads a type from the first JSON value of a text.
///
/// # Errors
/// [`serde_json::Error`] if the text does not begin with an object or `null`, or the object is not one of this type.
pub(crate) fn from_slice<'de, T: Deserialize<'de>>(text: &'de [u8]) -> Result<T, serde_json::Error> {
    T::deserialize(object(text)?)
}

/// The first JSON value of a text, which must be an object or `null`.
pub(crate) fn object(text: &[u8]) -> Result<Object<'_>, serde_json::Error> {
    let mut first = serde_json::Deserializer::from_slice(text).into_iter::<Option<Object<'_>>>();
    let object = first.next().transpose()?;
    object
        .map(|object| object.unwrap_or(Object(Vec::new())))
        .ok_or_else(|| de::Error::custom("unexpected EOF"))
}

impl<V> Object<'_, V> {
    /// What the last key of this name holds, in any case, which is removed.
    pub(crate) fn take(&mut self, name: &str) -> Option<V> {
        let taken = self.0.extract_if(.., |(key, _)| key.eq_ignore_ascii_case(name));
        taken.last().map(|(_, value)| value)
    }
}

impl<'a, V> FromIterator<(String, V)> for Object<'a, V> {
    fn from_iter<I: IntoIterator<Item = (String, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(key, value)| (Cow::Owned(key), value)).collect())
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Pairs)
    }
}

struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut pairs = Vec::new();
        while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
            pairs.push((key, value));
        }
        Ok(Object(pairs))
    }
}

/// A key, borrowed where it holds no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de, E> Deserializer<'de> for Object<'de, E>
where
    E: IntoDeserializer<'de, serde_json::Error>,
{
    type Error = serde_json::Error;

    fn deserialize_any<T: Visitor<'de>>(self, visitor: T) -> Result<T::Value, Self::Error> {
        visitor.visit_map(MapDeserializer::new(self.0.into_iter()))
    }

    fn deserialize_struct<T: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: T,
    ) -> Result<T::Value, Self::Error> {
        let mut known: Vec<Option<E>> = fields.iter().map(|_| None).collect();
        for (key, value) in self.0 {
            if let Some(field) = fields.iter().position(|field| key.eq_ignore_ascii_case(field)) {
                known[field] = Some(value);
            }
        }
        let given = fields.iter().zip(known).filter_map(|(field, value)| Some((*field, value?)));
        visitor.visit_map(MapDeserializer::new(given))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use pgmill::{QueueMeta, TaskMeta, seconds};

    use super::from_slice;

    fn queue(text: &str) -> Result<QueueMeta, serde_json::Error> {
        from_slice(text.as_bytes())
    }

    #[test]
    fn keys_may_be_in_any_case_and_the_last_of_several_wins() {
        let meta = queue(r#"{"QUEUE":"a","Retries":1,"retries":2,"RETRY_DELAY":1000000000}"#).unwrap();
        assert_eq!(meta, QueueMeta::new("a").retries(2).retry_delay(seconds(1)));
    }

    #[test]
    fn null_and_unknown_keys_and_what_follows_the_object_count_for_nothing() {
        let meta = QueueMeta::new("a");
        assert_eq!(queue(r#"{"queue":"a","ttl":null,"x":{"queue":"b"}} garbage"#).unwrap(), meta);
        assert_eq!(queue("null").unwrap(), QueueMeta::patch());
    }

    #[test]
    fn escaped_keys_are_keys() {
        assert_eq!(queue(r#"{"\u0071ueue":"a"}"#).unwrap(), QueueMeta::new("a"));
    }

    #[test]
    fn a_payload_is_handed_through_digit_by_digit() {
        let meta: TaskMeta = from_slice(br#"{"Payload":[12345678901234567890, 1.50]}"#).unwrap();
        assert_eq!(meta.payload.unwrap().as_str(), "[12345678901234567890, 1.50]");
        let null: TaskMeta = from_slice(br#"{"payload":null}"#).unwrap();
        assert!(null.payload.unwrap().is_null());
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in ["", "[]", "\"a\"", "1", "{", "{\"queue\":1}", "{\"retries\":1.5}", "{\"retries\":1e2}"] {
            assert!(queue(text).is_err(), "{text}");
        }
    }
}
