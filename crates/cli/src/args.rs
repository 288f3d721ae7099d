//! From the arguments to a command, or to what is wrong with them.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory, Parser};
use jiff::Timestamp;
use pgmill::{NameError, Namespace, QueueName, WorkerName};

use crate::commands::Command;
use crate::{output, version};

/// The exit code for arguments that cannot be understood.
const USAGE: u8 = 80;

/// Options that scripts put before the command; they are read as if they stood behind it. Each has a value.
const MOVABLE: [&str; 7] = [
    "--http.addr",
    "--http.prefix",
    "--token",
    "--namespace",
    "--otel.endpoint",
    "--otel.header",
    "--otel.name",
];

/// A task queue on PostgreSQL.
///
/// `pgmill run` starts a server; most other commands ask it. Those that use the database themselves (run, work, demo,
/// migrate, doctor) use an embedded PostgreSQL in the user's data folder where neither `--url` nor `DATABASE_URL` names another.
#[derive(Debug, Parser)]
#[command(
    name = "pgmill",
    version,
    propagate_version = true,
    disable_version_flag = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
struct Arguments {
    /// Show on standard error what is done and what the server is asked. `RUST_LOG` chooses more precisely.
    #[arg(long, global = true)]
    debug: bool,
    /// Print the version and how it was built, as JSON.
    #[arg(long, global = true, action = ArgAction::Version)]
    version: Option<bool>,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What was asked for.
pub(crate) struct Cli {
    pub(crate) debug: bool,
    pub(crate) command: Command,
}

/// Reads the arguments of the program. An `Err` is the exit code of one that has nothing more to do.
pub(crate) fn parse() -> Result<Cli, ExitCode> {
    let given = behind_the_command(std::env::args_os());
    let arguments = Arguments::try_parse_from(given).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp => {
            output::text(&error.render().to_string());
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayVersion => {
            output::json_pretty(&version::info());
            ExitCode::SUCCESS
        }
        _ => refuse(&error),
    })?;
    let Some(command) = arguments.command else {
        output::text(&Arguments::command().render_help().to_string());
        return Err(usage_error("a command is missing"));
    };
    Ok(Cli { debug: arguments.debug, command })
}

/// The whole of the command line, to describe it.
pub(crate) fn command() -> clap::Command {
    Arguments::command()
}

/// Moves the options of [`MOVABLE`] that stand before the command behind it.
fn behind_the_command(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments = arguments.peekable();
    let mut stay: Vec<OsString> = arguments.next().into_iter().collect();
    let mut moved = Vec::new();
    while let Some(option) = arguments.next_if(|argument| argument.as_encoded_bytes().starts_with(b"-")) {
        let text = option.to_string_lossy().into_owned();
        let (name, value) =
            text.split_once('=').map_or((text.as_str(), None), |(name, value)| (name, Some(value)));
        let to = if MOVABLE.contains(&name) { &mut moved } else { &mut stay };
        to.push(option);
        if MOVABLE.contains(&name) && value.is_none() {
            moved.extend(arguments.next());
        }
    }
    stay.extend(arguments.next());
    stay.into_iter().chain(moved).chain(arguments).collect()
}

fn refuse(error: &clap::Error) -> ExitCode {
    // Not the usage of the error, which counts what comes from variables as if it had to be given.
    let usage = usage_of(std::env::args_os());
    output::line(&format!("{}\n\nFor more information, try '--help'.", usage.trim()));
    let text = error.render().to_string();
    let end = ["\n\nUsage:", "\n\nFor more information"].iter().filter_map(|mark| text.find(mark)).min();
    let message = &text[..end.unwrap_or(text.len())];
    usage_error(message.strip_prefix("error: ").unwrap_or(message).trim())
}

fn usage_error(message: &str) -> ExitCode {
    eprintln!("pgmill: error: {message}");
    ExitCode::from(USAGE)
}

/// The usage of the command that the arguments name.
fn usage_of(arguments: impl Iterator<Item = OsString>) -> String {
    let mut named = Arguments::command();
    named.build();
    for argument in arguments {
        if let Some(below) = argument.to_str().and_then(|name| named.find_subcommand(name)) {
            named = below.clone();
        }
    }
    named.render_usage().to_string()
}

/// A duration such as `1h30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    pgmill::parse_duration(text).map_err(|error| error.to_string())
}

/// A number as Go writes it: decimal, or after `0x`, `0o` or `0b`.
pub(crate) fn uint(text: &str) -> Result<u64, String> {
    let (digits, radix) = match text.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => (&text[2..], 16),
        Some("0o") => (&text[2..], 8),
        Some("0b") => (&text[2..], 2),
        _ => (text, 10),
    };
    // A sign is no digit, although `from_str_radix` takes one.
    let unsigned = Some(digits).filter(|digits| !digits.starts_with('+'));
    let number = unsigned.and_then(|digits| u64::from_str_radix(digits, radix).ok());
    number.ok_or_else(|| "expected a whole number from 0 to 18446744073709551615".to_owned())
}

/// A time with its zone, as RFC 3339 has it.
pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "expected a time as in RFC 3339, such as 2030-01-31T08:00:00+01:00".to_owned())
}

/// A duration from 100 ms on.
pub(crate) fn interval(text: &str) -> Result<Duration, String> {
    let interval = Some(duration(text)?).filter(|interval| *interval >= Duration::from_millis(100));
    interval.ok_or_else(|| "must be at least 100ms".to_owned())
}

/// A duration of at least a second.
pub(crate) fn lease(text: &str) -> Result<Duration, String> {
    let lease = duration(text)?;
    if !(Duration::from_secs(1)..=pgmill::days(1)).contains(&lease) {
        return Err("must be from 1s to 24h".to_owned());
    }
    Ok(lease)
}

/// A duration above zero.
pub(crate) fn timeout(text: &str) -> Result<Duration, String> {
    Some(duration(text)?).filter(|timeout| !timeout.is_zero()).ok_or_else(|| "must be above 0".to_owned())
}

/// A share of 1.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.0..=1.0).contains(rate));
    rate.ok_or_else(|| "must be a number from 0 to 1".to_owned())
}

pub(crate) fn namespace(text: &str) -> Result<Namespace, String> {
    Namespace::new(text).map_err(|error| name(&error))
}

pub(crate) fn queue(text: &str) -> Result<QueueName, String> {
    QueueName::new(text).map_err(|error| name(&error))
}

pub(crate) fn worker(text: &str) -> Result<WorkerName, String> {
    WorkerName::new(text).map_err(|error| name(&error))
}

fn name(error: &NameError) -> String {
    format!("{error} (allowed: {})", error.allowed())
}

/// The number of tasks to run at once: one for each processor, unless told otherwise.
pub(crate) fn workers(given: Option<u16>) -> usize {
    given.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from)
}

/// This program, as a shell anywhere on this machine finds it.
pub(crate) fn program() -> String {
    let called = std::env::args().next().unwrap_or_else(|| env!("CARGO_BIN_NAME").to_owned());
    if !called.contains('/') {
        return called;
    }
    std::env::current_exe().map_or(called, |path| quoted(&path.to_string_lossy()))
}

/// A text as a shell reads it as one word.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:@".contains(&byte);
    if text.bytes().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_number_is_read_in_each_way_that_go_writes_it(number: u64) {
            for text in [format!("{number}"), format!("0x{number:x}"), format!("0X{number:X}"), format!("0o{number:o}"), format!("0b{number:b}")] {
                prop_assert_eq!(uint(&text), Ok(number), "{}", text);
            }
            for text in [format!("+{number}"), format!("-{number}"), format!("0x+{number:x}"), format!("{number} ")] {
                prop_assert!(uint(&text).is_err(), "{}", text);
            }
        }

        #[test]
        fn whatever_is_given_is_within_its_bounds_or_refused(
            text in prop_oneof!["\\PC{0,12}", "[0-9]{1,5}(ns|ms|s|m|h)", "-?[0-9]{0,3}[.]?[0-9]{0,3}(e[0-9])?|NaN|inf"],
        ) {
            prop_assert!(interval(&text).is_ok_and(|read| read >= Duration::from_millis(100)) || interval(&text).is_err());
            prop_assert!(lease(&text).is_ok_and(|read| read.as_secs() >= 1 && read <= pgmill::days(1)) || lease(&text).is_err());
            prop_assert!(timeout(&text).is_ok_and(|read| !read.is_zero()) || timeout(&text).is_err());
            prop_assert!(rate(&text).is_ok_and(|read| (0.0..=1.0).contains(&read)) || rate(&text).is_err());
            let _ = (time(&text), namespace(&text), queue(&text), worker(&text));
        }
    }
}
