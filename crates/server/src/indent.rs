//! JSON as people read it.

/// How many times as long as the JSON the indented text may become, and how much longer in any case.
const GROWTH: usize = 4;
const SLACK: usize = 64 << 10;

/// Indents JSON by two spaces, as the contract has it. Payloads that came in as text are indented with the rest.
///
/// The text must be JSON. What is inside of its strings stays as it is. A long list deep inside of others would grow five
/// hundredfold, and one answer would take all memory there is: once the text is four times as long as the JSON, and 64 KiB,
/// the rest follows on one line.
pub fn indented(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() * 3 / 2 + 16);
    let most = json.len().saturating_mul(GROWTH).saturating_add(SLACK);
    let mut depth = 0;
    let mut bytes = json.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                out.push(byte);
                string(&mut bytes, &mut out);
            }
            b'{' | b'[' => {
                out.push(byte);
                while bytes.next_if(u8::is_ascii_whitespace).is_some() {}
                // An object or a list without anything inside stays on its line.
                match bytes.next_if(|next| *next == byte + 2) {
                    Some(close) => out.push(close),
                    None => {
                        depth += 1;
                        line(&mut out, depth, most);
                    }
                }
            }
            b'}' | b']' => {
                depth -= 1;
                line(&mut out, depth, most);
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                line(&mut out, depth, most);
            }
            b':' => out.extend(b": "),
            byte if byte.is_ascii_whitespace() => {}
            byte => out.push(byte),
        }
    }
    out.push(b'\n');
    out
}

/// JSON on one line, for events: payloads keep the line feeds with which they came. What is inside of strings stays.
pub(crate) fn compacted(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len());
    let mut bytes = json.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte == b'"' {
            out.push(byte);
            string(&mut bytes, &mut out);
        } else if !byte.is_ascii_whitespace() {
            out.push(byte);
        }
    }
    out
}

/// Copies a string up to and with the quote that ends it.
fn string(bytes: &mut impl Iterator<Item = u8>, out: &mut Vec<u8>) {
    let mut escaped = false;
    for byte in bytes {
        out.push(byte);
        if !escaped && byte == b'"' {
            return;
        }
        escaped = !escaped && byte == b'\\';
    }
}

/// Begins a line, unless the text is longer than `most`.
fn line(out: &mut Vec<u8>, depth: usize, most: usize) {
    if out.len() < most {
        out.push(b'\n');
        out.resize(out.len() + 2 * depth, b' ');
    }
}

#[cfg(test)]
mod tests {
    use super::{SLACK, compacted, indented};

    #[test]
    fn json_is_indented_by_two_spaces_and_ends_with_a_line_feed() {
        let compact = r#"{"a":[1,{"b":null}],"c":{},"d":[ ]}"#;
        let expected =
            "{\n  \"a\": [\n    1,\n    {\n      \"b\": null\n    }\n  ],\n  \"c\": {},\n  \"d\": []\n}\n";
        assert_eq!(String::from_utf8(indented(compact.as_bytes())).unwrap(), expected);
    }

    #[test]
    fn strings_stay_as_they_are() {
        let json = r#"["a\"{,\\","b: [ ]"]"#;
        let expected = "[\n  \"a\\\"{,\\\\\",\n  \"b: [ ]\"\n]\n";
        assert_eq!(String::from_utf8(indented(json.as_bytes())).unwrap(), expected);
    }

    #[test]
    fn a_long_list_deep_inside_of_others_does_not_grow_without_bound() {
        let json = format!("{}{}1{}", "[".repeat(500), "1,".repeat(100_000), "]".repeat(500));
        let text = indented(json.as_bytes());
        assert!(text.len() <= 5 * json.len() + SLACK + 1_000, "{} bytes of {}", text.len(), json.len());
        let kept: Vec<u8> = text.into_iter().filter(|byte| !byte.is_ascii_whitespace()).collect();
        assert!(kept == json.as_bytes(), "it is another text");
    }

    #[test]
    fn white_space_of_the_original_goes() {
        assert_eq!(indented(b"{ \"a\" :\n\t1 , \"b\":2 }"), b"{\n  \"a\": 1,\n  \"b\": 2\n}\n");
    }

    #[test]
    fn an_event_has_no_line_feeds() {
        assert_eq!(compacted(b"{ \"a b\":\n\t[1, \"\\\" :\"] }\n"), br#"{"a b":[1,"\" :"]}"#);
    }
}
