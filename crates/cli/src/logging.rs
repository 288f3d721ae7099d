//! Logs go to standard error, and are few unless asked for.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

pub(crate) fn init(debug: bool) {
    // That a pool replaces connections that broke is only news together with what came of it.
    let default = if debug { "warn,pgmill=debug,pgmill_store=debug" } else { "warn,deadpool.postgres=error" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(debug)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
}
