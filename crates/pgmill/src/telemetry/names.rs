//! All metrics. A name that was released stays what it is.

use std::time::Duration;

use jiff::Timestamp;
use metrics::{Counter, Gauge, Unit};
use pgmill_store::Tick;

use super::metric::{Kind, Metric};

macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal in $unit:ident by $labels:expr, $meaning:literal;)*) => {
        $(pub(super) const $constant: Metric = Metric {
            name: $name,
            kind: Kind::$kind,
            unit: Unit::$unit,
            labels: &$labels,
            meaning: $meaning,
        };)*

        /// In the order of the page.
        const ALL: &[&Metric] = &[$(&$constant),*];
    };
}

metrics! {
    TASKS_CREATED = Counter "pgmill_tasks_created_total" in Count by ["namespace", "queue"],
        "Tasks that this process created, once they were committed. Not those of a caller's own transaction.";
    TASKS_RETAINED = Counter "pgmill_tasks_retained_total" in Count by ["namespace", "queue"],
        "Tasks that this process retained, for whichever caller.";
    TASKS_RELEASED = Counter "pgmill_tasks_released_total" in Count by ["namespace", "queue", "outcome"],
        "Releases that this process committed, for whichever caller.";
    ATTEMPTS_ENDED = Counter "pgmill_attempts_ended_total" in Count by ["namespace", "queue", "outcome"],
        "Attempts of worker pools that are over.";
    PICKUP = Histogram "pgmill_task_pickup_seconds" in Seconds by ["namespace", "queue"],
        "From when a task was due until its handler was started.";
    RUN = Histogram "pgmill_task_run_seconds" in Seconds by ["namespace", "queue"],
        "How long handlers ran.";
    POOL_SLOTS = Gauge "pgmill_pool_slots" in Count by ["namespace"],
        "How many handlers the worker pools of this process may run at once.";
    HANDLERS_RUNNING = Gauge "pgmill_handlers_running" in Count by ["namespace", "queue"],
        "Handlers that run.";
    TASKS_HELD = Gauge "pgmill_tasks_held" in Count by ["namespace", "queue"],
        "Tasks that worker pools hold: retained, and their release not yet committed.";
    LEASES_LOST = Counter "pgmill_leases_lost_total" in Count by ["namespace", "queue"],
        "Attempts of worker pools that lost their lease, or were stopped because it could not be extended.";
    LEASE_EXTENSIONS = Counter "pgmill_lease_extensions_total" in Count by ["namespace", "outcome"],
        "Statements by which worker pools extended their leases.";
    NOTICES_MISSED = Counter "pgmill_notices_missed_total" in Count by ["namespace", "queue"],
        "New tasks that were found by looking, while this process was to be told of them.";
    LISTENING = Gauge "pgmill_listening" in Count by [],
        "Whether this process is told of tasks by others: 1, or 0 while it can only look.";
    NOTICES_SENT = Counter "pgmill_notices_sent_total" in Count by [],
        "Notices sent to other processes.";
    NOTICES_RECEIVED = Counter "pgmill_notices_received_total" in Count by [],
        "Notices received from other processes.";
    EVENT_WATCHERS = Gauge "pgmill_event_watchers" in Count by [],
        "Who watch tasks change in this process.";
    EVENT_WATCHERS_DROPPED = Counter "pgmill_event_watchers_dropped_total" in Count by [],
        "Those of them who were dropped, for they did not fetch what there was.";
    EVENTS_LOST = Counter "pgmill_events_lost_total" in Count by [],
        "Changes of tasks that were left out for those who watch in this process, as far as they can be counted.";
    CALLS_WAITING = Gauge "pgmill_calls_waiting" in Count by ["batcher"],
        "Calls that wait for the next statement.";
    FLIGHTS = Gauge "pgmill_flights" in Count by ["batcher"],
        "Batches that are under way.";
    BATCH_ROWS = Histogram "pgmill_batch_rows" in Count by ["batcher"],
        "How many rows a statement carried, or was to retain.";
    STATEMENT = Histogram "pgmill_statement_seconds" in Seconds by ["batcher"],
        "How long a statement took, with its wait for a connection and its commit.";
    STATEMENTS_FAILED = Counter "pgmill_statements_failed_total" in Count by ["batcher", "reason"],
        "Statements that failed, before they were tried again or given up.";
    STATEMENTS_RETRIED = Counter "pgmill_statements_retried_total" in Count by ["batcher"],
        "Statements that were sent once more after a failure.";
    LOSSES_SETTLED = Counter "pgmill_losses_settled_total" in Count by ["batcher", "outcome"],
        "Batches whose answer was lost, by whether it was found out what became of them.";
    TICKS = Counter "pgmill_ticks_total" in Count by ["namespace", "outcome"],
        "Ticks that this process took.";
    TICK_LATENESS = Histogram "pgmill_tick_lateness_seconds" in Seconds by ["namespace"],
        "From when a tick was due until it was taken.";
    JOBS = Counter "pgmill_maintenance_runs_total" in Count by ["job", "outcome"],
        "Runs of maintenance jobs in this process.";
    JOB_RUN = Histogram "pgmill_maintenance_seconds" in Seconds by ["job"],
        "How long a run of a maintenance job took.";
}

/// Tells the recorder what all of them mean.
pub(crate) fn describe() {
    ALL.iter().for_each(|metric| metric.describe());
}

/// Whether this process is told of tasks by others: the handle shows from then on that it is not.
pub(crate) fn listening() -> Gauge {
    LISTENING.gauge(&[])
}

pub(crate) fn notices_sent() -> Counter {
    NOTICES_SENT.counter(&[])
}

pub(crate) fn notices_received() -> Counter {
    NOTICES_RECEIVED.counter(&[])
}

pub(crate) fn event_watchers() -> Gauge {
    EVENT_WATCHERS.gauge(&[])
}

pub(crate) fn event_watchers_dropped() -> Counter {
    EVENT_WATCHERS_DROPPED.counter(&[])
}

pub(crate) fn events_lost() -> Counter {
    EVENTS_LOST.counter(&[])
}

/// Ticks were taken at this time, both by the database's clock.
pub(crate) fn ticks_taken(ticks: &[Tick], now: Timestamp) {
    for tick in ticks {
        let namespace = tick.ticker.namespace.as_str();
        let outcome = match (&tick.ticker.queue, tick.task) {
            (None, _) => "handed_out",
            (Some(_), Some(_)) => "task",
            (Some(_), None) => "dropped",
        };
        TICKS.counter(&[namespace, outcome]).increment(1);
        if let Some(due) = tick.ticker.timestamp {
            let late = Duration::try_from(now.duration_since(due)).unwrap_or_default();
            TICK_LATENESS.histogram(&[namespace]).record(late);
        }
    }
}

/// A maintenance job has ended.
pub(crate) fn job_ended(job: &str, took: Duration, done: bool) {
    JOBS.counter(&[job, if done { "done" } else { "failed" }]).increment(1);
    JOB_RUN.histogram(&[job]).record(took);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The cells of the page's table of metrics of the library, without the last two.
    fn documented() -> Vec<Vec<String>> {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/telemetry.md");
        let page = std::fs::read_to_string(page).unwrap();
        let (page, _) = page.split_once("\n## Metrics of the server\n").unwrap();
        let rows = page.lines().filter(|line| line.starts_with("| `pgmill_"));
        rows.map(|row| row.split('|').skip(1).take(4).map(|cell| cell.trim().replace('`', "")).collect())
            .collect()
    }

    #[test]
    fn every_metric_is_in_the_table_with_its_type_unit_and_labels() {
        let expected: Vec<Vec<String>> = ALL
            .iter()
            .map(|metric| {
                let kind = format!("{:?}", metric.kind).to_lowercase();
                let unit = if metric.unit == Unit::Seconds { "s" } else { "" };
                vec![metric.name.to_owned(), kind, unit.to_owned(), metric.labels.join(", ")]
            })
            .collect();
        assert_eq!(documented(), expected);
    }

    #[test]
    fn names_say_what_they_are() {
        for metric in ALL {
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
            let seconds = metric.unit == Unit::Seconds;
            assert_eq!(metric.name.ends_with("_seconds"), seconds, "{}", metric.name);
            let bounded = ["namespace", "queue", "outcome", "batcher", "reason", "job"];
            assert!(metric.labels.iter().all(|label| bounded.contains(label)), "{}", metric.name);
        }
    }
}
