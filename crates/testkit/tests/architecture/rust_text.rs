//! Tells the code, the comments and the strings of a Rust file apart.

/// A stretch of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    pub(crate) kind: Kind,
    /// The line it starts on, from 1.
    pub(crate) line: usize,
    /// Without the marks around it.
    pub(crate) text: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Code,
    Comment,
    String,
}

/// The pieces of a file, in order.
pub(crate) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut at, mut code_from) = (0, 0);
    while at < text.len() {
        let rest = &text[at..];
        let Some((kind, before, length, after)) = opening(rest, text[..at].chars().next_back()) else {
            at += rest.chars().next().map_or(1, char::len_utf8);
            continue;
        };
        if code_from < at {
            pieces.push(Piece {
                kind: Kind::Code,
                line: line_of(text, code_from),
                text: &text[code_from..at],
            });
        }
        let (from, to) = (at + before, at + before + length);
        if let Some(kind) = kind {
            pieces.push(Piece { kind, line: line_of(text, from), text: &text[from..to] });
        }
        at = to + after;
        code_from = at;
    }
    if code_from < text.len() {
        pieces.push(Piece { kind: Kind::Code, line: line_of(text, code_from), text: &text[code_from..] });
    }
    pieces
}

/// What starts here, if it is not code: its kind (none for a character), and the lengths of the marks before it, of
/// itself, and of the marks after it.
fn opening(rest: &str, previous: Option<char>) -> Option<(Option<Kind>, usize, usize, usize)> {
    if rest.starts_with("//") {
        return Some((Some(Kind::Comment), 2, rest.find('\n').unwrap_or(rest.len()) - 2, 0));
    }
    if let Some(inside) = rest.strip_prefix("/*") {
        let length = block_comment(inside);
        return Some((Some(Kind::Comment), 2, length, 2.min(inside.len() - length)));
    }
    if let Some(inside) = rest.strip_prefix('"') {
        let length = quoted(inside, '"');
        return Some((Some(Kind::String), 1, length, 1.min(inside.len() - length)));
    }
    if let Some(inside) = rest.strip_prefix('\'') {
        // Without a second quote it is a lifetime.
        let is_character = inside.starts_with('\\') || inside.chars().nth(1) == Some('\'');
        let length = quoted(inside, '\'');
        return is_character.then_some((None, 1, length, 1.min(inside.len() - length)));
    }
    let raw = rest
        .strip_prefix('r')
        .filter(|_| !previous.is_some_and(|c| c.is_alphanumeric() && c != 'b' && c != 'c'))?;
    let hashes = raw.len() - raw.trim_start_matches('#').len();
    let inside = raw[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = inside.find(&end).unwrap_or(inside.len());
    Some((Some(Kind::String), hashes + 2, length, end.len().min(inside.len() - length)))
}

fn quoted(inside: &str, quote: char) -> usize {
    let mut escaped = false;
    let end = inside.find(|c| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    end.unwrap_or(inside.len())
}

fn block_comment(inside: &str) -> usize {
    let mut depth = 1;
    for (at, _) in inside.match_indices(['/', '*']) {
        if inside[at..].starts_with("/*") {
            depth += 1;
        } else if inside[at..].starts_with("*/") {
            depth -= 1;
        }
        if depth == 0 {
            return at;
        }
    }
    inside.len()
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text[..at].matches('\n').count()
}

#[test]
fn strings_comments_and_code_are_told_apart() {
    let text = "let a = \"x // \\\" y\"; // \"no\"\n/* 'b /* nested */ \" */ let c: &'a str = r#\"z \" z\"#;";
    let of =
        |wanted| pieces(text).into_iter().filter(|p| p.kind == wanted).map(|p| p.text).collect::<Vec<_>>();
    assert_eq!(of(Kind::String), ["x // \\\" y", "z \" z"]);
    assert_eq!(of(Kind::Comment), [" \"no\"", " 'b /* nested */ \" "]);
    assert_eq!(of(Kind::Code).concat(), "let a = ; \n let c: &'a str = ;");
}

#[test]
fn a_quote_character_opens_no_string() {
    let text = "let quote = '\"'; let other = '\\''; let s = b\"bytes\"; let four = four\"\";";
    let strings: Vec<_> =
        pieces(text).into_iter().filter(|p| p.kind == Kind::String).map(|p| p.text).collect();
    assert_eq!(strings, ["bytes", ""]);
}

#[test]
fn a_piece_knows_its_line() {
    let lines: Vec<_> = pieces("a\n// b\nc\n\"d\ne\" f").iter().map(|p| (p.kind, p.line)).collect();
    let expected = [(Kind::Code, 1), (Kind::Comment, 2), (Kind::Code, 2), (Kind::String, 4), (Kind::Code, 5)];
    assert_eq!(lines, expected);
}

#[test]
fn what_is_not_closed_ends_with_the_file() {
    for text in ["\"open", "r#\"open\"", "/* open", "// open", "'\\", "/*", "\""] {
        assert!(pieces(text).len() <= 1, "{text}");
    }
}
