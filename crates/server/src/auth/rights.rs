use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, Method};
use pgmill::Role;

/// What a route needs: one row of the table that decides who may do what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Right {
    method: &'static str,
    path: &'static str,
    stream: bool,
    role: Option<Role>,
    everywhere: bool,
}

impl Right {
    /// The method.
    #[must_use]
    pub const fn method(&self) -> &'static str {
        self.method
    }

    /// The path below the prefix, with `{…}` for what names something.
    #[must_use]
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// Whether this is about requests that ask for a stream, `Accept: text/event-stream`, where the same route without needs
    /// something else.
    #[must_use]
    pub const fn is_stream(&self) -> bool {
        self.stream
    }

    /// The role that is needed; `None` if the route is open to everybody, without a token.
    #[must_use]
    pub const fn role(&self) -> Option<Role> {
        self.role
    }

    /// Whether it is about the whole database rather than one namespace, so that a token for some namespaces does not do.
    #[must_use]
    pub const fn is_everywhere(&self) -> bool {
        self.everywhere
    }
}

const fn open(method: &'static str, path: &'static str) -> Right {
    Right { method, path, stream: false, role: None, everywhere: false }
}

const fn needs(role: Role, method: &'static str, path: &'static str) -> Right {
    Right { method, path, stream: false, role: Some(role), everywhere: false }
}

const fn streams(role: Role, path: &'static str) -> Right {
    Right { stream: true, ..needs(role, "GET", path) }
}

/// Tokens and the audit are of all namespaces: an admin of one who could create tokens would be an admin of all.
const fn governs(method: &'static str, path: &'static str) -> Right {
    Right { everywhere: true, ..needs(Role::Admin, method, path) }
}

/// Who may do what. A route that is missing here is for admins of all namespaces only, and a test says that it is missing.
static RIGHTS: &[Right] = &[
    // For whatever watches over the process, which has no token.
    open("GET", "/health/live"),
    open("GET", "/health/ready"),
    // What it is about, for whoever is to use it.
    open("GET", "/openapi.json"),
    open("GET", "/docs"),
    open("GET", "/docs/style.css"),
    open("GET", "/docs/script.js"),
    needs(Role::Viewer, "GET", "/event"),
    needs(Role::Viewer, "GET", "/namespace"),
    needs(Role::Viewer, "GET", "/metrics"),
    needs(Role::Viewer, "GET", "/queue"),
    needs(Role::Operator, "POST", "/queue"),
    needs(Role::Viewer, "GET", "/queue/{name}"),
    needs(Role::Operator, "PATCH", "/queue/{name}"),
    needs(Role::Operator, "DELETE", "/queue/{name}"),
    needs(Role::Operator, "POST", "/queue/{name}/pause"),
    needs(Role::Operator, "POST", "/queue/{name}/resume"),
    needs(Role::Viewer, "GET", "/queue/{name}/status"),
    needs(Role::Viewer, "GET", "/status"),
    needs(Role::Viewer, "GET", "/task"),
    needs(Role::Producer, "POST", "/task"),
    needs(Role::Worker, "PUT", "/task"),
    needs(Role::Viewer, "GET", "/task/{id}"),
    needs(Role::Worker, "PUT", "/task/{id}"),
    needs(Role::Worker, "PATCH", "/task/{id}"),
    needs(Role::Operator, "DELETE", "/task/{id}"),
    needs(Role::Operator, "POST", "/task/{id}/retry"),
    needs(Role::Worker, "POST", "/task/{id}/heartbeat"),
    needs(Role::Viewer, "GET", "/ticker"),
    // It takes the ticks that it shows.
    streams(Role::Worker, "/ticker"),
    needs(Role::Operator, "POST", "/ticker"),
    needs(Role::Viewer, "GET", "/ticker/{name}"),
    needs(Role::Operator, "PATCH", "/ticker/{name}"),
    needs(Role::Operator, "DELETE", "/ticker/{name}"),
    governs("GET", "/token"),
    governs("POST", "/token"),
    governs("GET", "/token/{id}"),
    governs("DELETE", "/token/{id}"),
    governs("GET", "/audit"),
];

/// What each route needs, where [tokens are asked for](crate::Options::auth).
///
/// ```
/// use pgmill::Role;
///
/// let pause = pgmill_server::rights().iter().find(|right| right.path() == "/queue/{name}/pause");
/// assert_eq!(pause.and_then(|right| right.role()), Some(Role::Operator));
/// ```
#[must_use]
pub fn rights() -> &'static [Right] {
    RIGHTS
}

/// What a request for a route needs. A method that the route does not have is refused by the route, to those who may look.
pub(crate) fn needed(route: &str, method: &Method, headers: &HeaderMap) -> Right {
    let stream = method == Method::GET && asks_for_stream(headers);
    let mut of_route = RIGHTS.iter().filter(|right| right.path == route).peekable();
    if of_route.peek().is_none() {
        return governs("", "");
    }
    let of_method: Vec<&Right> = of_route.filter(|right| right.method == method.as_str()).collect();
    let exact = of_method.iter().find(|right| right.stream == stream).or_else(|| of_method.first());
    exact.map_or(needs(Role::Viewer, "", ""), |right| **right)
}

/// Whether a request may be one for a stream. What a route takes for one may be narrower, never wider.
fn asks_for_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter();
    accepted
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.to_ascii_lowercase().contains("text/event-stream"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::http::HeaderValue;

    use super::*;
    use crate::routes;

    #[test]
    fn the_table_has_every_route_and_no_other() {
        let routed: BTreeSet<(String, String)> = routes::all("/prefix").names().collect();
        let listed: BTreeSet<(String, String)> =
            RIGHTS.iter().map(|right| (right.path.to_owned(), right.method.to_owned())).collect();
        assert_eq!(routed, listed);
    }

    #[test]
    fn no_route_is_listed_twice() {
        let keys: BTreeSet<_> = RIGHTS.iter().map(|right| (right.path, right.method, right.stream)).collect();
        assert_eq!(keys.len(), RIGHTS.len());
    }

    #[test]
    fn what_is_not_in_the_table_is_for_admins_of_all_namespaces() {
        let right = needed("/new", &Method::GET, &HeaderMap::new());
        assert_eq!((right.role(), right.is_everywhere()), (Some(Role::Admin), true));
    }

    #[test]
    fn whoever_may_ask_for_a_stream_in_some_way_needs_what_the_stream_needs() {
        for (accept, role) in [
            ("application/json", Role::Viewer),
            ("*/*", Role::Viewer),
            ("text/event-stream", Role::Worker),
            ("Text/Event-Stream; charset=utf-8", Role::Worker),
            ("text/event-stream, */*", Role::Worker),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(needed("/ticker", &Method::GET, &headers).role(), Some(role), "{accept}");
            assert_eq!(needed("/queue", &Method::GET, &headers).role(), Some(Role::Viewer), "{accept}");
            assert_eq!(needed("/ticker", &Method::POST, &headers).role(), Some(Role::Operator), "{accept}");
        }
    }
}
