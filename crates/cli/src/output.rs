//! What people and scripts read: results on standard output, everything else on standard error.

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use serde::Serialize;

use crate::failure;

const HTML: [(char, &str); 5] =
    [('<', "\\u003c"), ('>', "\\u003e"), ('&', "\\u0026"), ('\u{2028}', "\\u2028"), ('\u{2029}', "\\u2029")];

/// Whether standard output takes no more.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Why not, unless it was closed.
static FAILURE: OnceLock<io::Error> = OnceLock::new();

/// Writes to standard output. Whoever closed it, as `head` does, wants no more, and that is no error. Anything else is, at the
/// [end](unprinted) of the program.
pub(crate) fn text(text: &str) {
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        CLOSED.store(true, Ordering::Relaxed);
        if error.kind() != io::ErrorKind::BrokenPipe {
            // The first is the one to tell.
            let _ = FAILURE.set(error);
        }
    }
}

/// Why not all that was to be printed could be, as on a full disk.
pub(crate) fn unprinted() -> Option<&'static io::Error> {
    FAILURE.get()
}

/// Whether nobody reads any more: a reason to end for what would go on for ever.
pub(crate) fn is_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
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

/// One object as the API has it: indented by two spaces, with the characters escaped that HTML would take for its own.
pub(crate) fn object(value: &impl Serialize) -> anyhow::Result<()> {
    let json = serde_json::to_vec(value).context("the answer cannot be printed")?;
    let mut json =
        String::from_utf8(pgmill_server::indented(&json)).context("the answer cannot be printed")?;
    // They occur in strings only.
    for (character, escape) in HTML {
        json = json.replace(character, escape);
    }
    text(&json);
    Ok(())
}

/// Whether people read what is printed.
pub(crate) fn is_for_people() -> bool {
    io::stdout().is_terminal()
}

/// Whether standard output is shown in colours.
pub(crate) fn has_colours() -> bool {
    is_for_people() && wants_colours()
}

/// Whether colours are wanted where they can be shown: <https://no-color.org>.
pub(crate) fn wants_colours() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// A remark for whoever watches.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// What went wrong, followed by its causes.
pub(crate) fn error(error: &anyhow::Error) {
    // What a request failed with, unless the command has said more about it.
    if let Some(refused) = error.chain().next().and_then(|error| error.downcast_ref()) {
        note(&failure::text(refused, io::stderr().is_terminal()));
        return;
    }
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
