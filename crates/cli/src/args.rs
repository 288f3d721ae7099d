//! From the arguments to a command, or to what is wrong with them.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::{ContextKind, ErrorKind};
use clap::{CommandFactory, Parser};
use pgmill::{NameError, Namespace, QueueName, WorkerName};

use crate::commands::Command;
use crate::{output, version};

/// The exit code for arguments that cannot be understood.
const USAGE: u8 = 80;

/// A task queue on PostgreSQL.
///
/// Without `--url` or `DATABASE_URL`, commands use an embedded PostgreSQL in the user's data folder, which they start
/// and stop by themselves.
#[derive(Debug, Parser)]
#[command(name = "pgmill", disable_help_subcommand = true, max_term_width = 100)]
struct Arguments {
    /// Log on standard error what is done. `RUST_LOG` chooses more precisely.
    #[arg(long, global = true)]
    debug: bool,
    /// Print the version and how it was built, as JSON.
    #[arg(long)]
    version: bool,
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
    let arguments = Arguments::try_parse().map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp => {
            output::text(&error.render().to_string());
            ExitCode::SUCCESS
        }
        _ => refuse(&error),
    })?;
    if arguments.version {
        output::json_pretty(&version::info());
        return Err(ExitCode::SUCCESS);
    }
    let Some(command) = arguments.command else {
        output::text(&Arguments::command().render_help().to_string());
        return Err(usage_error("a command is missing"));
    };
    Ok(Cli { debug: arguments.debug, command })
}

fn refuse(error: &clap::Error) -> ExitCode {
    let usage = match error.get(ContextKind::Usage) {
        Some(usage) => usage.to_string(),
        None => usage_of(std::env::args_os()),
    };
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
fn usage_of(mut arguments: impl Iterator<Item = OsString>) -> String {
    let mut root = Arguments::command();
    root.build();
    let named = arguments.find_map(|argument| {
        let name = argument.to_str()?;
        root.find_subcommand(name).cloned()
    });
    named.unwrap_or(root).render_usage().to_string()
}

/// A duration such as `1h30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    pgmill::parse_duration(text).map_err(|error| error.to_string())
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
