//! Bodies of `multipart/form-data`: a part for each key, as text.

use axum::body::Bytes;
use serde::de::{self, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::object::Object;
use crate::error::ApiError;

/// One part: what it holds is text, whatever the key asks for.
#[derive(Debug)]
pub(crate) struct Text(String);

/// The parts of a form. Of several with one name the last wins.
pub(crate) async fn read(header: &str, body: Bytes) -> Result<Object<'static, Text>, ApiError> {
    let malformed = |error: multer::Error| ApiError::bad("invalid_body", format!("multipart: {error}"));
    let boundary = multer::parse_boundary(header).map_err(malformed)?;
    let whole = futures_util::stream::once(async move { Ok::<_, std::convert::Infallible>(body) });
    let mut parts = multer::Multipart::new(whole, boundary);
    let mut pairs = Vec::new();
    while let Some(part) = parts.next_field().await.map_err(malformed)? {
        let name = part.name().unwrap_or_default().to_owned();
        if part.file_name().is_some() {
            return Err(ApiError::bad("invalid_body", format!("field {name:?} not found or not writable")));
        }
        pairs.push((name, Text(part.text().await.map_err(malformed)?)));
    }
    Ok(pairs.into_iter().collect())
}

impl<'de> IntoDeserializer<'de, serde_json::Error> for Text {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Text {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self.0.parse() {
            Ok(number) => visitor.visit_i64(number),
            Err(_) => visitor.visit_string(self.0),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_string(self.0)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_string(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        let value = self.0.parse().map_err(|_| de::Error::custom("want true or false"))?;
        visitor.visit_bool(value)
    }

    /// JSON as a value has no form as text: it could not be told from a string.
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        match name {
            "$serde_json::private::RawValue" => Err(de::Error::custom("unsupported kind (\"slice\")")),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}
