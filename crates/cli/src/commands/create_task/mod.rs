//! `pgmill create-task`

mod bulk;
mod lines;

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use pgmill::TaskMeta;
use serde::Serialize;

use self::bulk::Bulk;
use crate::remote::RemoteArgs;
use crate::show::Show;
use crate::{args, payload};

/// Create a task, or many from a file.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The queue.
    queue: String,
    /// What the worker receives, as JSON.
    #[arg(long, value_name = "JSON", allow_negative_numbers = true)]
    payload: Option<String>,
    /// Create a task for each line of this file, or of standard input if it is `-`: the payload, as JSON.
    ///
    /// Up to 1,000 tasks are created at a time, all or none. The first line that cannot be used ends it; the error says
    /// which it is, and that the tasks of all lines before it have been created.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["payload", "key"])]
    file: Option<PathBuf>,
    /// Each line of the file is a whole task: an object with `payload` and, if wanted, `queue`, `delayed_at`, `delay`,
    /// `priority`, `key`, `traceparent`.
    #[arg(long, requires = "file", conflicts_with_all = ["payload", "key", "delayed_at", "delay", "priority"])]
    task: bool,
    /// Not to run before this time, such as 2030-01-31T08:00:00+01:00.
    #[arg(long, value_name = "TIME", value_parser = args::time)]
    delayed_at: Option<Timestamp>,
    /// Not to run before this much time has passed, such as 10m.
    #[arg(long, value_name = "DURATION", value_parser = args::duration, conflicts_with = "delayed_at")]
    delay: Option<Duration>,
    /// From 0, which goes first, to 9. Default 5.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=9))]
    priority: Option<u8>,
    /// The idempotency key: if there is a task with this key, none is created, and that one is shown.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// What is printed for a file.
#[derive(Debug, Serialize)]
struct Created {
    count: u64,
}

impl Show for Created {
    fn show(&self) -> String {
        format!("{} tasks were created", self.count)
    }
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = args.remote.client()?;
    let mut meta = TaskMeta {
        payload: args.payload.map(|text| payload::json(&text, "payload")).transpose()?,
        delayed_at: args.delayed_at,
        delay: args.delay,
        key: args.key,
        ..TaskMeta::default()
    };
    if let Some(priority) = args.priority {
        meta.priority = priority;
    }
    let Some(file) = args.file else {
        return args.remote.print(&client.create_task(&args.queue, &meta).await?);
    };
    let bulk = Bulk { client, queue: args.queue, common: meta, whole: args.task };
    args.remote.print(&Created { count: bulk.run(&file).await? })
}
