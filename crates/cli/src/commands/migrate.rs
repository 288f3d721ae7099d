//! `pgmill migrate`: brings a database to the schema that this version works with.

use std::process::ExitCode;

use anyhow::Context;
use pgmill::{Migrator, Store};
use serde::Serialize;

use crate::database::{Database, DatabaseArgs};
use crate::output;

/// Bring the database up to date.
///
/// Workers and the demo do the same when they start. Safe to run at any time, while workers run, and by several programs at
/// once: each step that is missing is applied in a transaction of its own, and what fails is gone on with next time.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Print one line of JSON: `from` (null for a new database), `to`, and `applied`, the names of the steps.
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    from: Option<i32>,
    to: i32,
    applied: Vec<&'static str>,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let database = Database::open(&args.database).await?;
    let store = Store::open(database.options()).context("the database cannot be used")?;
    let migrated = Migrator::new(&store).run().await.context("the database is not up to date")?;
    if args.json {
        let (from, to, applied) = (migrated.from, migrated.to, migrated.applied);
        output::json_line(&Report { from, to, applied });
    } else {
        match migrated.from {
            _ if migrated.applied.is_empty() => {
                output::line(&format!("up to date: version {}", migrated.to));
            }
            Some(from) => output::line(&format!("migrated from version {from} to {}", migrated.to)),
            None => output::line(&format!("created: version {}", migrated.to)),
        }
        for step in &migrated.applied {
            output::line(&format!("  {step}"));
        }
    }
    store.pool().close();
    database.close().await?;
    Ok(ExitCode::SUCCESS)
}
