//! What to think of the queues.

use std::time::Duration;

use pgmill_store::{Miscount, QueueState};

use super::report::{Check, span};

/// Fewer failures of a queue than this are its own business.
const FEW_FAILURES: u64 = 10;

pub(super) fn all(queues: &[QueueState], stuck_after: Duration) -> [Check; 3] {
    [stuck(queues, stuck_after), failing(queues), unused(queues)]
}

fn stuck(queues: &[QueueState], after: Duration) -> Check {
    let name = "stuck";
    let stuck: Vec<String> = queues.iter().filter_map(|queue| why_stuck(queue, after)).collect();
    if stuck.is_empty() {
        return Check::ok(name, format!("no task has been due for {}", span(after)));
    }
    let advice = "Nobody asks: start workers for the queue, in its namespace. Leases lapsed: workers died, and nobody asks since. Paused: \
        `pgmill resume-queue`. Behind: start more workers, or see what makes them slow.";
    Check::warn(name, format!("{} queues", stuck.len()), advice).details(stuck)
}

/// In the order of what says most.
fn why_stuck(queue: &QueueState, after: Duration) -> Option<String> {
    let name = &queue.name;
    let long = |time: Option<Duration>| time.filter(|time| *time >= after).map(span);
    if let Some(paused) = queue.paused {
        let waited = long(queue.waited)?;
        return Some(format!("{name}: paused for {}, and a task has waited for {waited}", span(paused)));
    }
    if let Some(lapsed) = long(queue.lapsed) {
        let lapses = queue.lapses;
        return Some(format!(
            "{name}: {lapses} leases lapsed, the first {lapsed} ago, and nobody took the tasks"
        ));
    }
    let waited = long(queue.waited)?;
    Some(match queue.asked || queue.held {
        false => format!("{name}: nobody asks for its tasks, one of which has been due for {waited}"),
        true => format!("{name}: workers are behind: a task has been due for {waited}"),
    })
}

fn failing(queues: &[QueueState]) -> Check {
    let name = "failing";
    let fails =
        |queue: &&QueueState| queue.keeps && queue.failed >= FEW_FAILURES && queue.failed > queue.done;
    let failing = queues.iter().filter(fails).map(|queue| {
        format!(
            "{}: {} failed for good and {} were done since yesterday",
            queue.name, queue.failed, queue.done
        )
    });
    let failing: Vec<String> = failing.collect();
    if failing.is_empty() {
        return Check::ok(name, "in every queue more tasks are done than fail");
    }
    let advice = "`pgmill tasks QUEUE --status failed`, and `pgmill task ID` for the errors of its attempts. When the cause is mended, \
        `pgmill retry-task ID` runs a task once more.";
    Check::warn(name, format!("{} queues in which more tasks fail than are done", failing.len()), advice)
        .details(failing)
}

pub(super) fn counts(miscounts: &[Miscount]) -> Check {
    let name = "counts";
    if miscounts.is_empty() {
        return Check::ok(name, "the counters equal the tables");
    }
    let words = |it: &Miscount| {
        format!("{}: {} {} by the counters, {} in the tables", it.queue, it.counted, it.status, it.held)
    };
    let advice = "Lists and work are right all the same; what is shown as counts is not. Somebody changed rows by hand, or it is a defect of \
        pgmill: report it, with what happened before.";
    Check::warn(name, format!("{} counters are not what the tables hold", miscounts.len()), advice)
        .details(miscounts.iter().map(words))
}

/// A queue may be young, or for what is rare: it is told, and is no fault.
fn unused(queues: &[QueueState]) -> Check {
    let name = "unused";
    let unused = queues.iter().filter(|queue| !queue.seen && !queue.asked && !queue.ticked);
    let unused: Vec<String> = unused.map(|queue| queue.name.clone()).collect();
    if unused.is_empty() {
        return Check::ok(name, format!("none of {} queues", queues.len()));
    }
    let seen = format!(
        "{} of {} queues have no task, no history, no worker and no ticker",
        unused.len(),
        queues.len()
    );
    let advice = "Delete those that nobody needs: `pgmill delete-queue`.";
    Check { advice: Some(advice), ..Check::ok(name, seen) }.details(unused)
}
