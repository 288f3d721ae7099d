//! The id under which a request is in the log.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};

/// The header it comes and goes in.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST: usize = 128;

/// The id of a request: the one it came with, or a new one.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(Arc<str>);

impl RequestId {
    /// The id of this request, which the request knows from then on.
    pub(crate) fn of(request: &mut Request) -> Self {
        if let Some(id) = request.extensions().get::<Self>() {
            return id.clone();
        }
        let id = request.headers().get(HEADER).and_then(sane).map_or_else(made, Arc::from);
        let id = Self(id);
        request.extensions_mut().insert(id.clone());
        id
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

/// Ids end up in logs and answers: only what cannot do harm there.
fn sane(value: &HeaderValue) -> Option<&str> {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@~".contains(&byte);
    let id = value.to_str().ok()?;
    ((1..=LONGEST).contains(&id.len()) && id.bytes().all(harmless)).then_some(id)
}

fn made() -> Arc<str> {
    let mut random = [0; 16];
    // Without randomness ids are all the same, which is no reason to refuse a request.
    let _ = getrandom::fill(&mut random);
    format!("{:032x}", u128::from_ne_bytes(random)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(header: Option<&str>) -> String {
        let mut request = Request::new(axum::body::Body::empty());
        if let Some(header) = header {
            request.headers_mut().insert(HEADER, header.parse().unwrap());
        }
        RequestId::of(&mut request).as_str().to_owned()
    }

    #[test]
    fn an_id_that_can_do_no_harm_is_kept() {
        assert_eq!(of(Some("req-1.A:b/c")), "req-1.A:b/c");
        for header in ["", "a b", "a\"b", "<b>", "a%0a", &"x".repeat(129)] {
            assert_ne!(of(Some(header)), header);
        }
    }

    #[test]
    fn ids_that_are_made_differ() {
        let (one, other) = (of(None), of(None));
        assert_eq!(one.len(), 32);
        assert_ne!(one, other);
    }
}
