//! Creates tasks: through the library, or over HTTP by the typed client.

use pgmill::{EnqueueError, Manager, TaskMeta};
use pgmill_client::Client;
use tokio_util::sync::CancellationToken;

use super::supply::{Goods, Maker, Supply};
use super::{APART, RoleArgs, client, manager};
use crate::check::ORDERED;
use crate::history::{Answer, Writer};

/// What the loops of a producer create, and how much of a hundred tasks each.
const BY_LIBRARY: [(Goods, u64); 7] = [
    (Goods::Single, 20),
    (Goods::Single, 10),
    (Goods::Mortal, 10),
    (Goods::Keyed, 20),
    (Goods::Bulk { most: 20, large: true }, 20),
    (Goods::Ordered, 10),
    (Goods::Ordered, 10),
];
const BY_HTTP: [(Goods, u64); 3] =
    [(Goods::Single, 40), (Goods::Keyed, 40), (Goods::Bulk { most: 5, large: false }, 20)];

pub(super) async fn produce(args: &RoleArgs, history: Writer, over: CancellationToken) -> anyhow::Result<()> {
    let manager = manager(args).await?;
    let library = Library { apart: manager.with_namespace(APART)?, shared: manager.clone() };
    supply(args, library, &BY_LIBRARY, history, over).await?;
    manager.close().await;
    Ok(())
}

pub(super) async fn call(args: &RoleArgs, history: Writer, over: CancellationToken) -> anyhow::Result<()> {
    supply(args, client(args)?, &BY_HTTP, history, over).await
}

async fn supply(
    args: &RoleArgs,
    maker: impl Maker,
    loops: &[(Goods, u64)],
    history: Writer,
    over: CancellationToken,
) -> anyhow::Result<()> {
    let supply = Supply::new(args, history, over);
    let running: Vec<_> = loops
        .iter()
        .enumerate()
        .map(|(number, (goods, share))| {
            let rate = (args.rate * share).div_ceil(100);
            tokio::spawn(supply.clone().run(maker.clone(), *goods, number, rate))
        })
        .collect();
    for one in running {
        one.await?;
    }
    Ok(())
}

/// The error, and what it came from.
fn causes(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}

/// The managers of both namespaces.
#[derive(Clone)]
struct Library {
    shared: Manager,
    apart: Manager,
}

impl Maker for Library {
    async fn create(&self, queue: &str, mut metas: Vec<TaskMeta>) -> Answer {
        let manager = if queue == ORDERED { &self.apart } else { &self.shared };
        let created = match (metas.len(), metas.pop()) {
            (1, Some(meta)) => manager.create_task(queue, meta).await.map(|task| vec![task]),
            (_, last) => manager.create_tasks(queue, metas.into_iter().chain(last)).await,
        };
        match created {
            Ok(tasks) => Answer::Created(tasks.iter().map(|task| task.id).collect()),
            Err(error @ EnqueueError::Unknown { .. }) => Answer::Unknown(causes(error)),
            Err(error) => Answer::Refused(causes(error)),
        }
    }
}

impl Maker for Client {
    async fn create(&self, queue: &str, metas: Vec<TaskMeta>) -> Answer {
        let created = match metas.as_slice() {
            [meta] => self.create_task(queue, meta).await.map(|task| vec![task]),
            several => self.create_tasks(several.iter().map(|meta| (queue, meta))).await,
        };
        match created {
            Ok(tasks) => Answer::Created(tasks.iter().map(|task| task.id).collect()),
            Err(error) if error.is_outcome_unknown() => Answer::Unknown(causes(error)),
            Err(error) => Answer::Refused(causes(error)),
        }
    }
}
