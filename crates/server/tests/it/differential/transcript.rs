//! The captures, read.

use super::curl::Request;
use crate::http::Reply;

/// One request of a capture and what the reference answered.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    /// The name of its file.
    pub(crate) file: &'static str,
    /// Its number in the file, from 1.
    pub(crate) at: usize,
    pub(crate) request: Request,
    pub(crate) reply: Reply,
}

/// The captures in the order in which they were made: each goes on in the database that the one before it left.
pub(crate) const FILES: &[(&str, &str)] = &[
    ("gold1", include_str!("../../transcripts/gold1.txt")),
    ("gold2", include_str!("../../transcripts/gold2.txt")),
    ("gold3", include_str!("../../transcripts/gold3.txt")),
    ("gold4", include_str!("../../transcripts/gold4.txt")),
    ("gold5", include_str!("../../transcripts/gold5.txt")),
    ("gold6", include_str!("../../transcripts/gold6.txt")),
    ("gold6b", include_str!("../../transcripts/gold6b.txt")),
];

/// What is changed in the captures: a task must be retained before its ttl is over. The third of a second that it has there
/// may be too short on a busy machine.
const LONGER: &[(&str, &str)] = &[
    (r#""ttl":300000000}"#, r#""ttl":2300000000}"#),
    (r#""ttl": 300000000,"#, r#""ttl": 2300000000,"#),
    ("2026-11-22T16:59:27.668426Z", "2026-11-22T16:59:29.668426Z"),
];

/// All exchanges of a capture.
pub(crate) fn exchanges(file: &'static str, text: &str) -> Vec<Exchange> {
    let text = LONGER.iter().fold(text.replace('\r', ""), |text, (from, to)| text.replace(from, to));
    let blocks = format!("\n{text}");
    let requests = blocks.split("\n--- ").skip(1).enumerate();
    requests.map(|(at, block)| exchange(file, at + 1, block)).collect()
}

fn exchange(file: &'static str, at: usize, block: &str) -> Exchange {
    // Captions, and what was printed by commands between two requests, follow the answer.
    let block = block.split("\n== ").next().unwrap_or_default();
    let block = block.split("\n=== ").next().unwrap_or_default();
    let (line, answer) = block.split_once('\n').expect("a request is followed by its answer");
    let (mut head, mut body) = answer.split_once("\n\n").unwrap_or((answer.trim_end(), ""));
    // An interim answer comes before the one that counts.
    if head.starts_with("HTTP/1.1 100 ") {
        (head, body) = body.split_once("\n\n").expect("an interim answer is followed by another");
    }
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status").parse().unwrap();
    let headers = lines.map(|line| line.split_once(": ").expect("a header"));
    let headers: Vec<_> =
        headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let body = match length {
        Some((_, length)) => body.get(..length.parse().unwrap()).expect("the body has its length"),
        None if body.starts_with('{') => body.find("\n}").map_or(body, |end| &body[..end + 3]),
        None => body,
    };
    Exchange {
        file,
        at,
        request: Request::parse(line),
        reply: Reply { status, headers, body: body.to_owned() },
    }
}

#[test]
fn every_request_of_the_captures_is_read() {
    let counts: Vec<usize> = FILES.iter().map(|(file, text)| exchanges(file, text).len()).collect();
    let marks: Vec<usize> =
        FILES.iter().map(|(_, text)| text.lines().filter(|line| line.starts_with("--- ")).count()).collect();
    assert_eq!(counts, marks);
    let empty = &exchanges("gold1", FILES[0].1)[16];
    assert_eq!((empty.reply.status, empty.reply.body.as_str()), (200, ""));
    let moved = &exchanges("gold1", FILES[0].1)[17];
    assert_eq!(moved.reply.body, "<a href=\"/api/queue\">Moved Permanently</a>.\n\n");
    assert_eq!(moved.reply.header("location"), Some("/api/queue"));
}
