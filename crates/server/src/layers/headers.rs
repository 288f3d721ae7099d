//! Headers that keep browsers from doing more with an answer than it is meant for.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// For what is no page: nothing in it is to be run, loaded or shown in a frame.
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
/// For a page that brings all it needs, and asks this server alone.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// How many are added at most.
const MOST: usize = 6;

/// Adds them where the route has not set them itself.
pub(super) fn secure(headers: &mut HeaderMap, encrypted: bool) {
    // The map would grow twice otherwise, for each request.
    headers.reserve(MOST);
    let is_page = headers.get(CONTENT_TYPE).is_some_and(|it| it.as_bytes().starts_with(b"text/html"));
    let mut add = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    add(X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(CONTENT_SECURITY_POLICY, if is_page { PAGE_POLICY } else { DATA_POLICY });
    add(X_FRAME_OPTIONS, "DENY");
    add(REFERRER_POLICY, "no-referrer");
    add(CACHE_CONTROL, "no-store");
    if encrypted {
        add(STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
}
