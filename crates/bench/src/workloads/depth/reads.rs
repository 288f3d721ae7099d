//! What people and monitors look at: counts, lists and metrics.

use std::time::{Duration, Instant};

use pgmill::{ListRequest, Manager, QueueName, Status, TaskFilter};
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

/// One way to look.
enum Look {
    QueueStatuses,
    QueueCounts,
    QueueStatus,
    OldestWaiting,
    Tasks(TaskFilter),
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
    for (name, look) in looks(queue, tasks)? {
        let took = sample(manager, queue, &look).await;
        let slow = took.iter().any(|took| *took >= GIVEN_UP);
        if slow {
            report::note(&format!("{name} with {what} was given up after {} s", GIVEN_UP.as_secs()));
        }
        let figure = Figure::new(workload, format!("{name}, {what}"), took.len() as u64);
        figures.push(figure.timing(&Latencies::new(took)).with_bar(BAR));
    }
    Ok(figures)
}

fn looks(queue: &str, tasks: u32) -> anyhow::Result<Vec<(String, Look)>> {
    let of_queue = || Ok::<_, pgmill::NameError>(TaskFilter::new().queue(QueueName::new(queue)?));
    let deep = u64::from(tasks / 2);
    let mut looks = vec![
        ("list_queue_statuses".to_owned(), Look::QueueStatuses),
        ("list_queue_counts".to_owned(), Look::QueueCounts),
        ("queue_status".to_owned(), Look::QueueStatus),
        ("oldest_waiting".to_owned(), Look::OldestWaiting),
        ("list_tasks".to_owned(), Look::Tasks(TaskFilter::new())),
        ("list_tasks of a queue".to_owned(), Look::Tasks(of_queue()?)),
        ("list_tasks from the middle".to_owned(), Look::Tasks(TaskFilter::new().offset(deep))),
        ("list_tasks of a queue from the middle".to_owned(), Look::Tasks(of_queue()?.offset(deep))),
    ];
    for status in [Status::New, Status::Retained, Status::Released, Status::Failed] {
        looks.push((format!("list_tasks that are {status}"), Look::Tasks(TaskFilter::new().status(status))));
    }
    for status in [Status::New, Status::Released, Status::Failed] {
        let filter = of_queue()?.status(status);
        looks.push((format!("list_tasks of a queue that are {status}"), Look::Tasks(filter)));
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
