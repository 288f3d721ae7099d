//! The server: the program `pgmill`, which lies beside this one.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, ensure};

use super::{NAMESPACE, RoleArgs};

/// Becomes `pgmill run`, so that it has the id of this process, and ends with whoever started it.
pub(super) fn become_it(args: &RoleArgs) -> anyhow::Result<()> {
    let program = std::env::current_exe()?.with_file_name("pgmill");
    ensure!(program.is_file(), "{} is not there: build it with cargo build -p pgmill-cli", program.display());
    let error = Command::new(program)
        .args(["run", "--http.addr", &args.server, "--namespace", NAMESPACE])
        .env("DATABASE_URL", &args.url)
        .env("RUST_LOG", "warn")
        .exec();
    Err(error).context("pgmill run could not be started")
}
