//! What only the database knows, asked for at each scrape: a few statements over counters and the heads of indexes, which take
//! no longer however many tasks there are.

use pgmill::{Manager, QueueError, QueueStatus};

use super::exposition::Exposition;
use super::recorder::Recorder;

/// Everything, as text. What the process counted is there also while the database is away, which `pgmill_database_up` tells.
pub(crate) async fn gather(manager: &Manager, recorder: Option<&Recorder>) -> String {
    let mut exposition = Exposition::default();
    let asked = ask(manager, &mut exposition).await;
    if let Err(error) = &asked {
        tracing::warn!(error = error as &dyn std::error::Error, "the database cannot be asked for metrics");
    }
    let up = Some(if asked.is_ok() { 1.0 } else { 0.0 });
    exposition.single("pgmill_database_up", "Whether the database answered this scrape.", up);
    let recorded = recorder.map(Recorder::render).unwrap_or_default();
    exposition.into_text() + &recorded
}

async fn ask(manager: &Manager, exposition: &mut Exposition) -> Result<(), QueueError> {
    tasks(&manager.list_queue_statuses().await?, exposition);
    Ok(())
}

/// The gauge of the contract: a line for each queue and status, zeros too, sorted by queue and status.
fn tasks(statuses: &[QueueStatus], exposition: &mut Exposition) {
    if statuses.is_empty() {
        return;
    }
    let mut statuses: Vec<_> = statuses.iter().collect();
    statuses.sort_by_key(|it| (it.namespace.as_str(), it.queue.as_str(), it.status.as_str()));
    exposition.gauge("queue_tasks", "Number of tasks in each queue by status");
    for it in statuses {
        let labels = [
            ("namespace", it.namespace.as_str()),
            ("queue", it.queue.as_str()),
            ("status", it.status.as_str()),
        ];
        exposition.sample("queue_tasks", &labels, it.count as f64);
    }
}
