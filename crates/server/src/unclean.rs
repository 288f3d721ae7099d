//! Paths with empty, `.` or `..` segments are redirected to the path without.

use axum::extract::{OriginalUri, Request};
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};

/// Answers 301 for a path that is not clean, whatever the method, before any route sees it.
pub(crate) async fn redirect(OriginalUri(uri): OriginalUri, request: Request, next: Next) -> Response {
    let path = uri.path();
    let Some(clean) = cleaned(path) else { return next.run(request).await };
    let target = uri.query().map_or_else(|| clean.clone(), |query| format!("{clean}?{query}"));
    let Ok(location) = HeaderValue::from_str(&target) else { return next.run(request).await };
    let moved = (StatusCode::MOVED_PERMANENTLY, [(LOCATION, location)]);
    match *request.method() {
        // Whoever looks with a browser that does not follow sees where to go.
        Method::GET | Method::HEAD => (moved.0, moved.1, Html(link(&target))).into_response(),
        _ => moved.into_response(),
    }
}

fn link(target: &str) -> String {
    let mut escaped = String::with_capacity(target.len());
    for c in target.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    format!("<a href=\"{escaped}\">Moved Permanently</a>.\n\n")
}

/// The path without empty, `.` and `..` segments, if it has any. A slash at its end stays.
fn cleaned(path: &str) -> Option<String> {
    let segments = path.strip_prefix('/')?;
    let last_is_open = segments.is_empty() || segments.ends_with('/');
    let inner = segments.strip_suffix('/').unwrap_or(segments);
    let is_clean = |segment: &str| !matches!(segment, "" | "." | "..");
    if segments.is_empty() || inner.split('/').all(is_clean) {
        return None;
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in inner.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    let end = if last_is_open && !kept.is_empty() { "/" } else { "" };
    Some(format!("/{}{end}", kept.join("/")))
}

#[cfg(test)]
mod tests {
    use super::{cleaned, link};

    #[test]
    fn a_target_cannot_leave_its_link() {
        let shown = link("/a?b=\"><script>'&c");
        assert_eq!(shown, "<a href=\"/a?b=&#34;&gt;&lt;script&gt;&#39;&amp;c\">Moved Permanently</a>.\n\n");
    }

    #[test]
    fn a_clean_path_stays() {
        for path in ["/", "/api", "/api/", "/api/queue/a%2F%2Fb", "/api/queue/..a"] {
            assert_eq!(cleaned(path), None, "{path}");
        }
    }

    #[test]
    fn segments_that_lead_nowhere_are_removed() {
        let cases = [
            ("//api/queue", "/api/queue"),
            ("/api//queue/", "/api/queue/"),
            ("/api/./queue", "/api/queue"),
            ("/api/queue/..", "/api"),
            ("/api/../../queue", "/queue"),
            ("/..", "/"),
            ("//", "/"),
        ];
        for (path, clean) in cases {
            assert_eq!(cleaned(path).as_deref(), Some(clean), "{path}");
        }
    }
}
