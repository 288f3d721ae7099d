//! `pgmill completions`

use clap_complete::Shell;

use crate::{args, output};

/// Print what lets a shell complete the commands and options of pgmill.
///
/// For bash: pgmill completions bash > ~/.local/share/bash-completion/completions/pgmill
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::command(), "pgmill", &mut script);
    output::text(&String::from_utf8(script)?);
    Ok(())
}
