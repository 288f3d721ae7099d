//! What only the database knows, asked for at each scrape: a few statements over counters and the heads of indexes, which take
//! no longer however many tasks there are.

use std::error::Error;
use std::time::Duration;

use pgmill::{DatabaseHealth, Manager, PoolUsage, QueueName, QueueStatus};

use tokio::time::timeout;

use super::exposition::Exposition;
use super::recorder::Recorder;

/// How long the database may take to answer. A scrape is given up after 10 s by default, and is to tell of it before that.
const PATIENCE: Duration = Duration::from_secs(5);

/// Everything, as text. What the process counted is there also while the database is away, which `pgmill_database_up` tells.
///
/// What is of the process and of the server of the database is only for those who may see all namespaces (`everywhere`).
pub(crate) async fn gather(manager: &Manager, recorder: Option<&Recorder>, everywhere: bool) -> String {
    let mut exposition = Exposition::default();
    let asked = timeout(PATIENCE, ask(manager, everywhere, &mut exposition)).await;
    let asked = asked.unwrap_or_else(|late| Err(late.into()));
    if let Err(error) = &asked {
        // An outage is told once, by who has work to do. Here it would be told at each scrape.
        tracing::debug!(error = &**error as &dyn Error, "the database cannot be asked for metrics");
    }
    if everywhere {
        connections(manager.pool_usage(), &mut exposition);
    }
    let up = Some(if asked.is_ok() { 1.0 } else { 0.0 });
    exposition.single("pgmill_database_up", "Whether the database answered this scrape.", up);
    let recorded = recorder.filter(|_| everywhere).map(Recorder::render).unwrap_or_default();
    exposition.into_text() + &recorded
}

async fn ask(
    manager: &Manager,
    everywhere: bool,
    exposition: &mut Exposition,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    tasks(&manager.list_queue_statuses().await?, exposition);
    waiting(manager, &manager.oldest_waiting().await?, exposition);
    if everywhere {
        database(&manager.database_health().await?, exposition);
    }
    Ok(())
}

fn waiting(manager: &Manager, oldest: &[(QueueName, Duration)], exposition: &mut Exposition) {
    const NAME: &str = "pgmill_oldest_waiting_seconds";
    if oldest.is_empty() {
        return;
    }
    exposition.gauge(NAME, "For how long the oldest task has been due that waits, of queues that have one.");
    for (queue, age) in oldest {
        let labels = [("namespace", manager.namespace().as_str()), ("queue", queue.as_str())];
        exposition.sample(NAME, &labels, age.as_secs_f64());
    }
}

fn database(health: &DatabaseHealth, exposition: &mut Exposition) {
    let gauges = [
        (
            "pgmill_oldest_xmin_transactions",
            "How many transactions ago the oldest snapshot was taken that is still held.",
            health.oldest_xmin as f64,
        ),
        (
            "pgmill_oldest_transaction_seconds",
            "How long ago the oldest transaction began that holds a snapshot.",
            health.oldest_transaction.as_secs_f64(),
        ),
        (
            "pgmill_server_connections",
            "Connections to the PostgreSQL server, of all databases and programs.",
            health.connections as f64,
        ),
        (
            "pgmill_server_connections_allowed",
            "How many connections the PostgreSQL server allows.",
            health.connections_allowed as f64,
        ),
    ];
    for (name, help, value) in gauges {
        exposition.single(name, help, Some(value));
    }
}

fn connections(pool: PoolUsage, exposition: &mut Exposition) {
    let gauges = [
        ("pgmill_connections_allowed", "Connections that the pool of this process may have.", pool.allowed),
        ("pgmill_connections_open", "Connections that the pool of this process has.", pool.open),
        ("pgmill_connections_in_use", "Connections of the pool that are in use.", pool.in_use),
        ("pgmill_connections_waited_for", "Calls that wait for a connection of the pool.", pool.waiting),
    ];
    for (name, help, value) in gauges {
        exposition.single(name, help, Some(value as f64));
    }
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
