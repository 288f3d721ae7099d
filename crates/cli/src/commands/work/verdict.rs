//! What the end of a command says about its task.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::Signal;
use pgmill::{Json, Outcome, format_duration};

use super::process::{Reason, Run};

/// The longest result that is stored, in bytes of JSON.
pub(super) const RESULT_LIMIT: usize = 1024 * 1024;
/// `EX_DATAERR` of sysexits.h: the input is wrong, and will be next time.
const DATA_ERROR: i32 = 65;

/// What the end of an attempt says.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) outcome: Outcome,
    /// Why, in a few words, if it did not succeed.
    pub(super) note: Option<String>,
}

impl Verdict {
    /// The task has expired while its command ran, which was stopped for that.
    pub(super) fn expired() -> Self {
        let text = "stopped: the task expired while its command ran";
        // The database ends it as expired, for no attempt can come in time.
        Self { outcome: Outcome::Retry { result: text_json(text), after: None }, note: Some(text.to_owned()) }
    }
}

/// Decides about a run. `timeout` is the one it had.
pub(super) fn of(run: &Run, timeout: Option<Duration>) -> Verdict {
    let error = clean(without_torn_start(&run.stderr));
    let how = describe(run.status);
    match (run.reason, run.status.code()) {
        // A command that was asked to end, and ended well, has done its work.
        (Reason::Exited | Reason::Interrupted, Some(0)) => done(&run.stdout),
        (Reason::Interrupted, _) => {
            Verdict { outcome: Outcome::GiveBack, note: Some(format!("stopped: {how}")) }
        }
        (Reason::TimedOut, _) => {
            let after = timeout.map(format_duration).unwrap_or_default();
            let how = format!("timed out after {after}");
            let text = if error.is_empty() { how.clone() } else { format!("{how}\n{error}") };
            let outcome = Outcome::Retry { result: text_json(&text), after: None };
            Verdict { outcome, note: Some(note(&how, &error)) }
        }
        (Reason::Exited, code) => {
            let result = text_json(if error.is_empty() { &how } else { &error });
            let outcome = match code {
                Some(DATA_ERROR) => Outcome::Failed(result),
                _ => Outcome::Retry { result, after: None },
            };
            Verdict { outcome, note: Some(note(&how, &error)) }
        }
    }
}

fn done(stdout: &[u8]) -> Verdict {
    let result = if stdout.len() > RESULT_LIMIT { None } else { Some(result(stdout)) };
    match result.filter(|result| result.len() <= RESULT_LIMIT) {
        Some(result) => Verdict { outcome: Outcome::Done(result), note: None },
        None => {
            let text = format!(
                "the command succeeded, but its standard output is too long for a result: at most {RESULT_LIMIT} \
                 bytes are stored; write it to a file and print where"
            );
            Verdict { outcome: Outcome::Failed(text_json(&text)), note: Some(text) }
        }
    }
}

/// JSON if it is, else text without the line breaks at its end, as a shell would take it.
fn result(stdout: &[u8]) -> Json {
    let text = clean(stdout);
    let text = text.trim_end_matches(['\n', '\r']);
    if text.trim().is_empty() {
        return Json::null();
    }
    Json::from_text(text).unwrap_or_else(|_| text_json(text))
}

/// Text that PostgreSQL can store.
fn clean(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}")
}

fn text_json(text: &str) -> Json {
    Json::encode(text.trim_end()).unwrap_or_else(|_| Json::null())
}

/// Where the start was cut off, the first character may lack its first bytes.
fn without_torn_start(bytes: &[u8]) -> &[u8] {
    let torn = bytes.iter().take(3).take_while(|byte| **byte & 0b1100_0000 == 0b1000_0000).count();
    &bytes[torn..]
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(number)) => match Signal::try_from(number) {
            Ok(signal) => format!("killed by {signal}"),
            Err(_) => format!("killed by signal {number}"),
        },
        (None, None) => "ended in an unknown way".to_owned(),
    }
}

/// How it ended, and the last thing it said.
fn note(how: &str, error: &str) -> String {
    match error.lines().map(str::trim).rfind(|line| !line.is_empty()) {
        Some(last) => format!("{how}: {}", last.chars().take(200).collect::<String>()),
        None => how.to_owned(),
    }
}
