//! `pgmill events`

use pgmill::{EventFilter, QueueName, Status, TaskEvent};
use pgmill_client::Message;

use crate::remote::RemoteArgs;
use crate::settings::statuses;
use crate::{args, feed, output, style};

/// Follow the changes of tasks as they happen, until Ctrl-C.
///
/// Elsewhere than on a terminal each change is a line of JSON. It is not a log: what changes while there is no
/// connection is not told, and standard error says when that was.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only tasks of these queues.
    #[arg(value_name = "QUEUE", value_parser = args::queue)]
    queues: Vec<QueueName>,
    /// Only changes to this status; may be given more than once.
    #[arg(long, value_name = "STATUS", value_parser = statuses())]
    status: Vec<Status>,
    /// Only the task with this number; may be given up to 100 times.
    #[arg(long, value_name = "ID", value_parser = args::uint)]
    id: Vec<u64>,
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = args.remote.client()?;
    let filter = EventFilter { queues: args.queues, statuses: args.status, ids: args.id };
    let for_people = args.remote.is_for_people();
    feed::follow(client.events(&filter).into_signals(), feed::Loss::Remark, |message| {
        line(message, for_people)
    })
    .await
}

/// The line for a message, if it is one. That some were left out is a remark.
fn line(message: &Message, for_people: bool) -> Option<String> {
    match message.event.as_str() {
        "task" if for_people => serde_json::from_str(&message.data).ok().map(|event| words(&event)),
        "task" => Some(message.data.clone()),
        "lost" | "dropped" => {
            output::note(&format!("pgmill: changes were left out: {} {}", message.event, message.data));
            None
        }
        _ => None,
    }
}

fn words(event: &TaskEvent) -> String {
    let worker = event.worker.as_ref().map(|worker| format!(" by {worker}")).unwrap_or_default();
    let TaskEvent { id, queue, status, attempt, .. } = event;
    let status = style::painted(*status);
    format!("{} {queue} {id} {status} attempt={attempt}{worker}", style::moment(event.at))
}
