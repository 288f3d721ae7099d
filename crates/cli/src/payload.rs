//! JSON from arguments, and JSON for commands.

use anyhow::anyhow;
use pgmill::Json;

/// Reads an argument that has to be JSON. `what` names it.
pub(crate) fn json(text: &str, what: &str) -> anyhow::Result<Json> {
    Json::from_text(text).map_err(|error| anyhow!("invalid {what} JSON: {}", reason(&error.to_string())))
}

/// The reason without the words that say that it is JSON.
fn reason(text: &str) -> &str {
    text.strip_prefix("invalid JSON: ").unwrap_or(text)
}

/// The same value on one line, spaced as the database does it. A server sends payloads indented with its answers.
pub(crate) fn line(json: &Json) -> Json {
    let mut line = String::with_capacity(json.len());
    let (mut in_string, mut escaped) = (false, false);
    for character in json.as_str().chars() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if character.is_ascii_whitespace() {
            continue;
        } else {
            in_string = character == '"';
        }
        line.push(character);
        if !in_string && matches!(character, ':' | ',') {
            line.push(' ');
        }
    }
    Json::from_stored(line).unwrap_or_else(|_| json.clone())
}

#[cfg(test)]
mod tests {
    use pgmill::Json;

    use super::line;

    #[test]
    fn json_fits_on_one_line_and_keeps_its_strings_and_digits() {
        let json =
            Json::from_text("{\n  \"a\": [\n    1.50,\n    {}\n  ],\n  \"b:, \\\"c\\\\\": \"d , e\"\n}")
                .unwrap();
        assert_eq!(line(&json).as_str(), r#"{"a": [1.50, {}], "b:, \"c\\": "d , e"}"#);
        assert_eq!(line(&Json::null()).as_str(), "null");
    }
}
