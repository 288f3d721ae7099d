//! Requests that web pages make.
//!
//! A page of any site may have the browser of whoever looks at it send requests to a server that only this browser can reach, on
//! localhost for one. Browsers tell of it: by `Origin`, and by `Sec-Fetch-Site`. A page whose name its owner points at
//! 127.0.0.1 while it is looked at (DNS rebinding) seems to be of the server itself, but for its name in `Host`.

use std::net::{IpAddr, SocketAddr};

use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN, VARY,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version};
use axum::response::{IntoResponse, Response};

use crate::error::ApiError;

const METHODS: &str = "GET, POST, PUT, PATCH, DELETE";
const REQUEST_HEADERS: &str =
    "authorization, content-type, last-event-id, pgmill-namespace, traceparent, tracestate, x-request-id";
const RESPONSE_HEADERS: &str = "allow, retry-after, x-request-id";

/// Which pages may ask, and under which names the server is asked.
#[derive(Debug)]
pub(crate) struct Origins {
    /// Origins of other pages that may, in lower case.
    pub(crate) allowed: Vec<String>,
    /// The only names under which it may be asked, if it matters.
    pub(crate) names: Option<Names>,
    /// Whether to believe a proxy about the name that was asked for.
    pub(crate) trust_proxy: bool,
}

/// The names of a server that whoever reaches it may use.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) bound: SocketAddr,
    pub(crate) others: Vec<String>,
}

impl Origins {
    /// Whether a text is an origin as browsers send it.
    pub(crate) fn is_origin(text: &str) -> bool {
        text.parse::<Uri>().is_ok_and(|uri| {
            uri.scheme().is_some() && uri.authority().is_some() && !text.ends_with('/') && uri.path() == "/"
        })
    }

    /// The origin that the answer is to be shown to, if it is another one than the server's.
    ///
    /// # Errors
    /// 403 if the request is one that a page makes which may not; 400 if it does not tell which host it asks.
    pub(crate) fn judge(&self, request: &Request) -> Result<Option<HeaderValue>, ApiError> {
        let headers = request.headers();
        let host = asked_host(request)?;
        if let (Some(names), Some(host)) = (&self.names, &host)
            && !names.have(host.host())
        {
            return Err(refused("the server is not known under the name in the header Host"));
        }
        if let Some(origin) = headers.get(ORIGIN) {
            let text = origin.to_str().unwrap_or_default();
            if self.allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(text)) {
                return Ok(Some(origin.clone()));
            }
            let forwarded = self.trust_proxy.then(|| authority(headers.get("x-forwarded-host")?)).flatten();
            if ![host, forwarded].into_iter().flatten().any(|host| is_at(text, &host)) {
                return Err(refused("pages of this origin may not ask"));
            }
        }
        if headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site")
            && !is_navigation(request)
        {
            return Err(refused("pages of other sites may not ask"));
        }
        Ok(None)
    }
}

impl Names {
    fn have(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let is_local = host == "localhost" || host.ends_with(".localhost");
        let address = host.parse::<IpAddr>();
        is_local
            || address.is_ok_and(|address| address.is_loopback() || address == self.bound.ip())
            || self.others.iter().any(|name| name.eq_ignore_ascii_case(&host))
    }
}

fn refused(message: &'static str) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "cross_origin", message)
}

/// The host that was asked: HTTP/2 has it in the address. Older clients than those of HTTP/1.1 need not name it.
///
/// # Errors
/// 400 if it is not named where it must be, or more than once: whoever stands in between may go by another one.
fn asked_host(request: &Request) -> Result<Option<Authority>, ApiError> {
    let refused = |message| ApiError::bad("invalid_host", message);
    let mut named = request.headers().get_all(HOST).iter();
    let (first, second) = (named.next(), named.next());
    if second.is_some() {
        return Err(refused("there is more than one header Host"));
    }
    let given = first.map(|host| authority(host).ok_or_else(|| refused("the header Host names no host")));
    match (given.transpose()?, request.uri().authority()) {
        (_, Some(address)) if port(address, 0).is_none() => Err(refused("the address names no port")),
        (_, Some(address)) => Ok(Some(address.clone())),
        (None, None) if request.version() > Version::HTTP_10 => Err(refused("there is no header Host")),
        (host, None) => Ok(host),
    }
}

fn authority(value: &HeaderValue) -> Option<Authority> {
    Authority::try_from(value.as_bytes()).ok().filter(|authority| port(authority, 0).is_some())
}

/// The port of an authority, which takes any text for one; where there is none, the usual one.
fn port(authority: &Authority, usual: u16) -> Option<u16> {
    let (_, place) = authority.as_str().rsplit_once('@').unwrap_or(("", authority.as_str()));
    match place.strip_prefix(authority.host())? {
        "" | ":" => Some(usual),
        port => port.strip_prefix(':')?.parse().ok(),
    }
}

/// Whether an origin is that of this host: which of the schemes, a proxy may have decided.
fn is_at(origin: &str, host: &Authority) -> bool {
    let Ok(origin) = origin.parse::<Uri>() else { return false };
    let (Some(scheme), Some(at)) = (origin.scheme_str(), origin.authority()) else { return false };
    let usual = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    let at_port = port(at, usual);
    at.host().eq_ignore_ascii_case(host.host()) && at_port.is_some() && at_port == port(host, usual)
}

/// Whether somebody follows a link: the page that has it sees nothing of the answer.
fn is_navigation(request: &Request) -> bool {
    let is = |name: &str, value: &str| request.headers().get(name).is_some_and(|it| it == value);
    request.method() == Method::GET && is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document")
}

/// The answer to a browser that asks whether it may ask.
pub(super) fn preflight(request: &Request, origin: Option<&HeaderValue>) -> Option<Response> {
    let asks = request.method() == Method::OPTIONS
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
        && origin.is_some();
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS),
        (ACCESS_CONTROL_MAX_AGE, "600"),
        (HeaderName::from_static("access-control-allow-private-network"), "true"),
    ];
    asks.then(|| (StatusCode::NO_CONTENT, headers).into_response())
}

/// Lets a page of this origin see the answer.
pub(super) fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(RESPONSE_HEADERS));
    headers.append(VARY, HeaderValue::from_static("Origin"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn origins() -> Origins {
        let bound = "127.0.0.1:8080".parse().unwrap();
        Origins {
            allowed: vec!["https://app.example".to_owned()],
            names: Some(Names { bound, others: vec!["queue.internal".to_owned()] }),
            trust_proxy: false,
        }
    }

    fn asked(method: &str, headers: &[(&str, &str)]) -> Result<Option<HeaderValue>, ApiError> {
        let mut request = Request::builder().method(method).uri("/api/queue");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        origins().judge(&request.body(Body::empty()).unwrap())
    }

    #[test]
    fn what_no_page_sends_passes() {
        for host in
            ["localhost:8080", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080", "queue.internal", "A.LocalHost"]
        {
            assert!(asked("GET", &[("host", host)]).is_ok(), "{host}");
        }
    }

    #[test]
    fn a_request_tells_which_host_it_asks_and_only_one() {
        let own = ("host", "localhost:8080");
        for headers in [
            &[][..],
            &[own, own],
            &[("host", "")],
            &[("host", "a b")],
            &[("host", "localhost:8080:1")],
            &[("host", "localhost:80&0")],
        ] {
            let refused = asked("GET", headers).unwrap_err();
            assert_eq!(refused.into_response().status(), StatusCode::BAD_REQUEST, "{headers:?}");
        }
    }

    #[test]
    fn a_name_that_somebody_pointed_at_this_machine_is_refused() {
        for host in ["evil.example:8080", "localhost.evil.example", "10.0.0.1", "127.0.0.1.evil.example"] {
            assert!(asked("GET", &[("host", host)]).is_err(), "{host}");
        }
    }

    #[test]
    fn a_page_may_ask_if_it_is_of_the_server_or_allowed() {
        let own = ("host", "localhost:8080");
        assert!(asked("POST", &[own, ("origin", "http://localhost:8080")]).unwrap().is_none());
        assert!(asked("POST", &[own, ("origin", "https://app.example")]).unwrap().is_some());
        for origin in [
            "http://localhost:3000",
            "http://localhost:808g0",
            "http://localhost",
            "null",
            "https://evil.example",
            "file://",
            "",
        ] {
            assert!(asked("POST", &[own, ("origin", origin)]).is_err(), "{origin}");
        }
    }

    #[test]
    fn requests_without_an_origin_are_known_by_their_site() {
        let own = ("host", "localhost:8080");
        for site in ["cross-site", "same-site"] {
            assert!(asked("GET", &[own, ("sec-fetch-site", site)]).is_err(), "{site}");
        }
        for site in ["same-origin", "none"] {
            assert!(asked("GET", &[own, ("sec-fetch-site", site)]).is_ok(), "{site}");
        }
        let link = [
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
            ("sec-fetch-site", "cross-site"),
        ];
        assert!(asked("GET", &[&[own], &link[..]].concat()).is_ok());
        assert!(asked("POST", &[&[own], &link[..]].concat()).is_err());
    }
}
