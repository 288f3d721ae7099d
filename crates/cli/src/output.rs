//! What people and scripts read: results on standard output, everything else on standard error.

use std::io::{self, Write};

use serde::Serialize;

/// Writes to standard output. Whoever closed it, as `head` does, wants no more, and that is no error.
pub(crate) fn text(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

pub(crate) fn line(line: &str) {
    text(&format!("{line}\n"));
}

/// One object on one line, for programs that read line by line.
pub(crate) fn json_line(value: &impl Serialize) {
    if let Ok(json) = serde_json::to_string(value) {
        line(&json);
    }
}

/// One object, indented by two spaces.
pub(crate) fn json_pretty(value: &impl Serialize) {
    if let Ok(json) = serde_json::to_string_pretty(value) {
        line(&json);
    }
}

/// A remark for whoever watches.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// What went wrong, followed by its causes.
pub(crate) fn error(error: &anyhow::Error) {
    let mut text = format!("Error: {error}");
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // Errors that show their source in their own message would be read twice.
        if !text.contains(&cause) {
            text.push_str("\n  because: ");
            text.push_str(&cause);
        }
    }
    note(&text);
}
