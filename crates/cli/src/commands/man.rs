//! `pgmill man`

use std::path::PathBuf;

use anyhow::Context;

use crate::{args, output};

/// Print the manual page of pgmill, or write those of all commands into a folder.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder, which must exist: pgmill.1 is written there, and a page such as pgmill-run.1 for each command.
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(folder) = &args.folder {
        return clap_mangen::generate_to(args::command(), folder)
            .with_context(|| format!("the manual pages cannot be written to {}", folder.display()));
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(args::command()).render(&mut page)?;
    output::text(&String::from_utf8(page)?);
    Ok(())
}
