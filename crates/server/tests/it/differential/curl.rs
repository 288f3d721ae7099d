//! What `curl` sends when it is called with the arguments of a capture.

const BOUNDARY: &str = "------------------------d74496d66958873e";

/// A request as a capture has it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// The port that the reference listened on; two servers are in the captures.
    pub(crate) port: u16,
    /// Path and query.
    pub(crate) target: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Option<String>,
}

impl Request {
    /// Reads the arguments, which a capture has without the quotes that a shell would need.
    pub(crate) fn parse(line: &str) -> Self {
        let mut method = None;
        let mut default = "GET";
        let mut url = String::new();
        let mut as_is = false;
        let mut headers = Vec::new();
        let mut body = None;
        let mut parts = Vec::new();
        let mut rest = line;
        while !rest.is_empty() {
            let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
            rest = after;
            match word {
                "-X" => method = Some(take(&mut rest, &[" "])),
                "-I" => default = "HEAD",
                "--path-as-is" => as_is = true,
                "--max-time" => drop(take(&mut rest, &[" "])),
                "-H" => headers.push(take(&mut rest, &[" -d ", " -H ", " --max-time "])),
                // The data is the last argument and may hold whatever it likes.
                "-d" => body = Some(std::mem::take(&mut rest).to_owned()),
                "-F" => parts.push(take(&mut rest, &[" -F "])),
                word if word.starts_with("http://") => url = word.to_owned(),
                word => panic!("an argument that is not known: {word:?} in {line:?}"),
            }
        }
        let (port, target) = address(&url);
        let target = if as_is { target } else { without_dots(&target) };
        let mut sent = vec![("Accept".to_owned(), "*/*".to_owned())];
        if body.is_some() {
            sent.push(("Content-Type".to_owned(), "application/x-www-form-urlencoded".to_owned()));
            default = "POST";
        }
        if !parts.is_empty() {
            sent.push(("Content-Type".to_owned(), format!("multipart/form-data; boundary={BOUNDARY}")));
            body = Some(form(&parts));
        }
        for header in headers {
            let (name, value) = header.split_once(':').expect("a header has a colon");
            sent.retain(|(it, _)| !it.eq_ignore_ascii_case(name));
            // A header without a value is one that curl leaves out.
            if !value.trim().is_empty() {
                sent.push((name.to_owned(), value.trim().to_owned()));
            }
        }
        let method = method.unwrap_or_else(|| default.to_owned());
        Self { method, port, target, headers: sent, body }
    }

    /// The bytes for the wire.
    pub(crate) fn bytes(&self, close: bool) -> Vec<u8> {
        let mut text =
            format!("{} {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n", self.method, self.target, self.port);
        text.push_str("User-Agent: curl/7.88.1\r\n");
        if close {
            text.push_str("Connection: close\r\n");
        }
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = &self.body {
            text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        } else {
            text.push_str("\r\n");
        }
        text.into_bytes()
    }

    /// Whether the answer is a stream that does not end.
    pub(crate) fn is_stream(&self) -> bool {
        let wanted = |value: &str| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let streams = |(name, value): &(String, String)| {
            name.eq_ignore_ascii_case("accept") && wanted(value) == "text/event-stream"
        };
        self.method == "GET" && self.headers.iter().any(streams)
    }
}

/// What comes before the first of these marks; the rest begins behind its blank.
fn take(rest: &mut &str, ends: &[&str]) -> String {
    let end = ends.iter().filter_map(|end| rest.find(end)).min();
    let (taken, after) = end.map_or((*rest, ""), |end| (&rest[..end], &rest[end + 1..]));
    *rest = after;
    taken.to_owned()
}

fn address(url: &str) -> (u16, String) {
    let rest = url.strip_prefix("http://127.0.0.1:").expect("the address of a capture");
    let at = rest.find('/').unwrap_or(rest.len());
    (rest[..at].parse().unwrap(), rest[at..].to_owned())
}

/// The target as curl sends it unless it is told not to: `.` and `..` are followed, empty segments are not touched.
fn without_dots(target: &str) -> String {
    let (path, query) = target.find('?').map_or((target, ""), |at| (&target[..at], &target[at..]));
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    format!("/{}{query}", kept.join("/"))
}

fn form(parts: &[String]) -> String {
    let mut text = String::new();
    for part in parts {
        let (name, value) = part.split_once('=').expect("a part has a name");
        text.push_str(&format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\""));
        match value.strip_prefix('@') {
            Some(path) => {
                let file = path.rsplit('/').next().unwrap_or_default();
                let head = "Content-Type: application/octet-stream\r\n\r\nhost\n\r\n";
                text.push_str(&format!("; filename=\"{file}\"\r\n{head}"));
            }
            None => text.push_str(&format!("\r\n\r\n{value}\r\n")),
        }
    }
    text.push_str(&format!("--{BOUNDARY}--\r\n"));
    text
}

#[test]
fn arguments_become_the_request_that_curl_sends() {
    let request = Request::parse(
        r#"-X POST http://127.0.0.1:18080/api/queue -H Content-Type: application/json; charset=utf-8 -d {"queue":"a - b -d c"}"#,
    );
    assert_eq!(
        (request.method.as_str(), request.port, request.target.as_str()),
        ("POST", 18080, "/api/queue")
    );
    assert_eq!(request.body.as_deref(), Some(r#"{"queue":"a - b -d c"}"#));
    assert_eq!(request.headers[1].1, "application/json; charset=utf-8");
    let bare = Request::parse("-X POST http://127.0.0.1:1/q -H Content-Type: -d x");
    assert_eq!(bare.headers, [("Accept".to_owned(), "*/*".to_owned())]);
    assert_eq!(Request::parse("http://127.0.0.1:1/a/../b//c?x=../y").target, "/b//c?x=../y");
    assert_eq!(Request::parse("--path-as-is http://127.0.0.1:1/a/../b").target, "/a/../b");
    assert_eq!(Request::parse("-I http://127.0.0.1:1/a").method, "HEAD");
}
