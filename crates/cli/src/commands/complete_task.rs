//! `pgmill complete-task`

use std::time::Duration;

use pgmill::{Json, Outcome};
use pgmill_client::{Held, Lease};

use crate::remote::RemoteArgs;
use crate::{args, payload};

/// Complete a task that is retained: as done or, with `--error`, as failed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The number of the task.
    #[arg(value_parser = args::uint)]
    id: u64,
    /// What came of it, as JSON.
    #[arg(
        long,
        value_name = "JSON",
        allow_negative_numbers = true,
        conflicts_with_all = ["error", "discard", "retry_in"]
    )]
    result: Option<String>,
    /// It failed: what went wrong, as JSON. It is tried again if attempts are left. `null` alone is no error.
    #[arg(long, value_name = "JSON", allow_negative_numbers = true)]
    error: Option<String>,
    /// It failed for good: it is not tried again.
    #[arg(long, conflicts_with = "retry_in")]
    discard: bool,
    /// It failed: try it again after this time, such as 10m. Default what its queue says.
    #[arg(long, value_name = "DURATION", value_parser = args::duration)]
    retry_in: Option<Duration>,
    /// The `lease` that the retain printed, so that no other attempt can be meant. Needed if the retain had --lease.
    #[arg(long, value_name = "LEASE")]
    lease: Option<String>,
    #[command(flatten)]
    remote: RemoteArgs,
}

impl Args {
    fn outcome(&self) -> anyhow::Result<Outcome> {
        let read = |text: &Option<String>, what| {
            text.as_deref().map_or_else(|| Ok(Json::null()), |text| payload::json(text, what))
        };
        let error = read(&self.error, "error")?;
        Ok(match self.retry_in {
            _ if self.discard => Outcome::Failed(error),
            None if error.is_null() => Outcome::Done(read(&self.result, "result")?),
            after => Outcome::Retry { result: error, after },
        })
    }
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let outcome = args.outcome()?;
    let client = args.remote.client()?;
    let held = match &args.lease {
        Some(lease) => Held::from((args.id, Lease::new(lease))),
        None => Held::from(args.id),
    };
    args.remote.print(&client.release_task(held, &outcome).await?)
}
