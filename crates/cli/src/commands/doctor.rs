//! `pgmill doctor`: looks at all that has to be well, and says what to do where it is not.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use pgmill::{CheckOptions, Checkup, Manager, Verdict};

use crate::database::{Database, DatabaseArgs};
use crate::remote::AccessArgs;
use crate::show::Show;
use crate::{args, output};

/// The exit code for warnings alone.
const WARNINGS: u8 = 3;

/// Look at all that has to be well, and say what to do where it is not.
///
/// Connection, server version and settings, privileges, schema and migrations, days of history, maintenance, VACUUM and who
/// holds it back, notices, and the queues of all namespaces. Nothing is changed, and what it costs does not depend on how many
/// tasks there are.
///
/// With `--http.addr` it asks a server for what that looks at to tell whether it is ready, which is a part of this; all of it needs
/// the database.
///
/// The exit code is 0 if all is well, 3 if there are warnings, and 1 if something fails.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Ask the server at this address, host:port or a URL, rather than a database.
    #[arg(long = "http.addr", value_name = "ADDRESS")]
    address: Option<String>,
    #[command(flatten)]
    access: AccessArgs,
    /// How long the database may take for each look.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = args::timeout)]
    timeout: Duration,
    /// From when on a transaction that holds back VACUUM is too old.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = args::duration)]
    old_transaction: Duration,
    /// For how long a task may be due, or its lease have lapsed.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = args::duration)]
    stuck_after: Duration,
    /// Count all tasks and all history too, and hold the counters against it. Takes as long as to read them, and no longer than
    /// --timeout says.
    #[arg(long)]
    recount: bool,
    /// Print JSON: `verdict`, and `checks`, each with `name`, `verdict`, `seen`, and `details` and `advice` where there are any.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match &args.address {
        Some(address) => of_server(&args, address).await,
        None => of_database(&args).await,
    }
}

async fn of_database(args: &Args) -> anyhow::Result<ExitCode> {
    let database = Database::open(&args.database).await?;
    let options = database.options().clone();
    let manager = Manager::connect_with(options).migrate(false).await;
    let manager = manager.context("the database cannot be used")?;
    let limits = CheckOptions::new()
        .limit(args.timeout)
        .old_transaction(args.old_transaction)
        .stuck_after(args.stuck_after)
        .recount(args.recount);
    let checkup = manager.check(&limits).await;
    print(args, &checkup);
    manager.close().await;
    manager.pool().close();
    database.close().await?;
    Ok(match checkup.verdict {
        Verdict::Fail => ExitCode::FAILURE,
        Verdict::Warn => ExitCode::from(WARNINGS),
        _ => ExitCode::SUCCESS,
    })
}

async fn of_server(args: &Args, address: &str) -> anyhow::Result<ExitCode> {
    let health = args.access.builder(address)?.build()?.health_ready().await?;
    print(args, &health);
    output::note(
        "pgmill: this is what the server looks at; all checks need the database: --url or DATABASE_URL",
    );
    let has_warning = health.checks.values().any(|check| check.status != "ok");
    Ok(match (health.is_ok(), has_warning) {
        (false, _) => ExitCode::FAILURE,
        (true, true) => ExitCode::from(WARNINGS),
        (true, false) => ExitCode::SUCCESS,
    })
}

fn print(args: &Args, answer: &impl Show) {
    if args.json {
        output::json_pretty(answer);
    } else {
        output::line(&answer.show());
    }
}

impl Show for Checkup {
    fn show(&self) -> String {
        let mut lines = Vec::new();
        for check in &self.checks {
            lines.push(format!("{:<7} {:<13} {}", check.verdict, check.name, check.seen));
            lines.extend(check.details.iter().map(|detail| format!("{:22}- {detail}", "")));
            lines.extend(check.advice.map(|advice| format!("{:22}=> {advice}", "")));
        }
        let count = |verdict| self.checks.iter().filter(|check| check.verdict == verdict).count();
        let (warnings, failures) = (count(Verdict::Warn), count(Verdict::Fail));
        lines.push(format!("{} checks: {failures} fail, {warnings} warn", self.checks.len()));
        lines.join("\n")
    }
}
