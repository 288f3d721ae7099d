//! What people and monitors look at: counts, lists and metrics.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use pgmill::{ListRequest, LookupError, Manager, QueueName, Status, TaskFilter, TaskPlace};
use tokio::time::timeout;

use crate::args::Workload;
use crate::figure::{Bar, Figure};
use crate::measure::Latencies;
use crate::report;

const SAMPLES: u32 = 20;
/// How long all samples of one look may take together.
const MOST: Duration = Duration::from_secs(4);
/// After how long a look is given up, and taken for one that took so long.
const GIVEN_UP: Duration = Duration::from_secs(10);
const BAR: Bar = Bar::Late(50.0);
/// How many ids are tried for a task in the middle.
const TRIED: usize = 10_000;

/// One way to look.
enum Look {
    QueueStatuses,
    QueueCounts,
    QueueStatus,
    OldestWaiting,
    Tasks(TaskFilter),
}

/// A look, its name, and whether it is held against the bar.
struct Looked {
    name: String,
    look: Look,
    bar: bool,
}

/// How long each look takes, at `tasks` tasks, most of them in `queue`; `what` they are.
pub(super) async fn figures(
    workload: Workload,
    manager: &Manager,
    queue: &str,
    tasks: u32,
    what: &str,
) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let middle = middle(manager, tasks).await?;
    for Looked { name, look, bar } in looks(queue, tasks, middle)? {
        let took = sample(manager, queue, &look).await;
        let slow = took.iter().any(|took| *took >= GIVEN_UP);
        if slow {
            report::note(&format!("{name} with {what} was given up after {} s", GIVEN_UP.as_secs()));
        }
        let figure = Figure::new(workload, format!("{name}, {what}"), took.len() as u64);
        let figure = figure.timing(&Latencies::new(took));
        figures.push(if bar { figure.with_bar(BAR) } else { figure });
    }
    Ok(figures)
}

/// A task with about as many before it as behind it.
async fn middle(manager: &Manager, tasks: u32) -> anyhow::Result<TaskPlace> {
    let first = manager.list_tasks(TaskFilter::new().limit(1)).await?.body;
    let first = first.first().context("there is no task")?.id;
    // Some of what a benchmark made is gone by now.
    for id in (first + u64::from(tasks / 2)..).take(TRIED) {
        match manager.get_task(id).await {
            Ok(task) => return Ok(TaskPlace::from(&task)),
            Err(LookupError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bail!("there is no task in the middle")
}

/// What is looked at. An offset is counted through, and is held against no bar: pages far from the first are for `after`.
fn looks(queue: &str, tasks: u32, middle: TaskPlace) -> anyhow::Result<Vec<Looked>> {
    let of_queue = || Ok::<_, pgmill::NameError>(TaskFilter::new().queue(QueueName::new(queue)?));
    let barred = |name: &str, look| Looked { name: name.to_owned(), look, bar: true };
    let deep = |name: &str, filter: TaskFilter| {
        let look = Look::Tasks(filter.offset(u64::from(tasks / 2)));
        Looked { name: format!("{name} by an offset of half of them"), look, bar: false }
    };
    let mut looks = vec![
        barred("list_queue_statuses", Look::QueueStatuses),
        barred("list_queue_counts", Look::QueueCounts),
        barred("queue_status", Look::QueueStatus),
        barred("oldest_waiting", Look::OldestWaiting),
        barred("list_tasks", Look::Tasks(TaskFilter::new())),
        barred("list_tasks of a queue", Look::Tasks(of_queue()?)),
        barred("list_tasks after one in the middle", Look::Tasks(TaskFilter::new().after(middle))),
        barred("list_tasks of a queue after one in the middle", Look::Tasks(of_queue()?.after(middle))),
        deep("list_tasks", TaskFilter::new()),
        deep("list_tasks of a queue", of_queue()?),
    ];
    for status in [Status::New, Status::Retained, Status::Released, Status::Failed] {
        let filter = TaskFilter::new().status(status);
        looks.push(barred(&format!("list_tasks that are {status}"), Look::Tasks(filter)));
    }
    for status in [Status::New, Status::Released, Status::Failed] {
        let filter = of_queue()?.status(status);
        looks.push(barred(&format!("list_tasks of a queue that are {status}"), Look::Tasks(filter)));
    }
    Ok(looks)
}

async fn sample(manager: &Manager, queue: &str, look: &Look) -> Vec<Duration> {
    let mut took = Vec::new();
    let began = Instant::now();
    for _ in 0..SAMPLES {
        let started = Instant::now();
        let answered = timeout(GIVEN_UP, look.once(manager, queue)).await;
        // The store gives up by itself as well.
        let given_up = !matches!(answered, Ok(Ok(())));
        took.push(if given_up { GIVEN_UP.max(started.elapsed()) } else { started.elapsed() });
        if given_up || began.elapsed() > MOST {
            break;
        }
    }
    took
}

impl Look {
    async fn once(&self, manager: &Manager, queue: &str) -> anyhow::Result<()> {
        match self {
            Self::QueueStatuses => drop(manager.list_queue_statuses().await?),
            Self::QueueCounts => drop(manager.list_queue_counts(ListRequest::new()).await?),
            Self::QueueStatus => drop(manager.queue_status(queue).await?),
            Self::OldestWaiting => drop(manager.oldest_waiting().await?),
            Self::Tasks(filter) => drop(manager.list_tasks(filter.clone()).await?),
        }
        Ok(())
    }
}
