//! Query strings.

use std::borrow::Cow;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use pgmill::{ListRequest, parse_duration};

use crate::error::ApiError;

/// The parameters of a request, in the order in which they came. Names are case-sensitive, unknown ones are ignored, and of
/// several with one name the first counts, unless all are asked for. Pairs that are malformed are left out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the part of an address behind its question mark.
    pub(crate) fn parse(query: &str) -> Self {
        let pairs = query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';'));
        Self(pairs.filter_map(pair).collect())
    }

    /// The first value under this name.
    pub(crate) fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All values under this name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A whole number, as decimal digits alone.
    ///
    /// # Errors
    /// 400 in the words of the contract.
    pub(crate) fn uint(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.first(name) else { return Ok(None) };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits => Ok(Some(number)),
            _ => Err(invalid(name, "Parse error (expected a uint value)")),
        }
    }

    /// A duration: a number of nanoseconds, or a text such as `1m30s`.
    ///
    /// # Errors
    /// 400 if it is neither.
    pub(crate) fn duration(&self, name: &str) -> Result<Option<Duration>, ApiError> {
        let Some(text) = self.first(name) else { return Ok(None) };
        if text.bytes().all(|byte| byte.is_ascii_digit())
            && let Ok(nanos) = text.parse()
        {
            return Ok(Some(Duration::from_nanos(nanos)));
        }
        parse_duration(text).map(Some).map_err(|error| invalid(name, &error.to_string()))
    }
}

/// A parameter that cannot be used.
pub(crate) fn invalid(name: &str, message: &str) -> ApiError {
    ApiError::bad("invalid_parameter", format!("{name:?}: {message}"))
}

fn pair(pair: &str) -> Option<(String, String)> {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    Some((decoded(name)?, decoded(value)?))
}

/// The text behind `+` and `%41`; none if an escape is malformed.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    Some(match String::from_utf8_lossy(&bytes) {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => text,
    })
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

/// `offset` and `limit`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page(pub(crate) ListRequest);

impl Page {
    /// # Errors
    /// 400 if one of them is no number, or the offset is beyond what can be counted.
    pub(crate) fn of(query: &Query) -> Result<Self, ApiError> {
        let page = ListRequest { offset: query.uint("offset")?.unwrap_or(0), limit: query.uint("limit")? };
        page.validate()?;
        Ok(Self(page))
    }
}

impl<S: Sync> FromRequestParts<S> for Page {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::of(&Query::parse(parts.uri.query().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Page, Query};
    use pgmill::{minutes, seconds};

    #[test]
    fn the_first_of_several_counts_and_malformed_pairs_are_left_out() {
        let query = Query::parse("a=1&a=2&b;c=3&d=%zz&e=%41+%2B&f&=g&Offset=7");
        assert_eq!(query.first("a"), Some("1"));
        assert_eq!(query.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(query.first("e"), Some("A +"));
        assert_eq!(query.first("f"), Some(""));
        assert_eq!((query.first("b"), query.first("d"), query.first("offset")), (None, None, None));
    }

    #[test]
    fn a_number_is_decimal_digits_alone() {
        for text in ["", "+1", "-1", "0x1", "1_0", "1.0", " 1", "18446744073709551616"] {
            let query = Query::parse(&format!("limit={}", text.replace('+', "%2B")));
            assert!(query.uint("limit").is_err(), "{text:?}");
        }
        assert_eq!(Query::parse("limit=007").uint("limit").unwrap(), Some(7));
        assert_eq!(Query::parse("x=1").uint("limit").unwrap(), None);
    }

    #[test]
    fn an_offset_beyond_counting_is_refused() {
        assert!(Page::of(&Query::parse("offset=9223372036854775808")).is_err());
        assert_eq!(Page::of(&Query::parse("limit=0")).unwrap().0.limit, Some(0));
    }

    #[test]
    fn a_duration_is_nanoseconds_or_has_units() {
        let query = Query::parse("a=30000000000&b=1m30s&c=5x&d=");
        assert_eq!(query.duration("a").unwrap(), Some(seconds(30)));
        assert_eq!(query.duration("b").unwrap(), Some(minutes(1) + seconds(30)));
        assert!(query.duration("c").is_err());
        assert!(query.duration("d").is_err());
    }
}
