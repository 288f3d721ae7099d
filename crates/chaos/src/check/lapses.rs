//! A lease lapses only where something kept its holder from extending it, or from releasing the task: a fault that all feel, a
//! signal to its process, a machine that had too much to do, which is measured, or the deadline of its task, which no lease
//! outlasts. A worker over HTTP extends nothing, so that its lease lapses too where the handler takes longer.

use clap::ValueEnum;

use super::Index;
use crate::evidence::{Disturbance, Entry, Evidence, Op, Span};
use crate::plan::{Kind, Lane};

/// How long a fault is felt when it is over, in microseconds: what is not answered is given up after 2 s, connections are made anew, and
/// all that has waited is done at once.
const AFTERMATH: i64 = 5_000_000;

pub(super) fn find(evidence: &Evidence, index: &Index<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for entries in index.entries.values() {
        for (at, entry) in entries.iter().enumerate().filter(|(_, entry)| is_lapse(index, entry)) {
            let given = entries[..at].last().map_or(i64::MIN, |before| before.at);
            if !has_cause(evidence, index, entry, given) {
                let process = index.process_of(entry.before).unwrap_or("nobody who ran anything");
                wrong.push(format!(
                    "the lease of {:?} lapsed, and nothing kept {process} from it",
                    entry.before
                ));
            }
        }
    }
    wrong
}

/// Whether the entry makes something of a lapse: a release that comes late, while nobody else has the task, does not.
fn is_lapse(index: &Index<'_>, entry: &Entry) -> bool {
    let is_swept = || {
        let found = index.by_id.get(&entry.after.task).and_then(|found| found.first());
        found.is_some_and(|found| found.fence.holder == 0)
    };
    match entry.op {
        Op::Retained => entry.has_lapsed() && !index.is_taken_back(entry),
        Op::Ended => entry.has_lapsed() && is_swept(),
        _ => false,
    }
}

fn has_cause(evidence: &Evidence, index: &Index<'_>, entry: &Entry, given: i64) -> bool {
    let Some(lease) = entry.lease else { return false };
    let span = Span { from: given, to: lease.until };
    let process = index.process_of(entry.before);
    let is_over_http = process.is_some_and(|process| process.starts_with("remote-"));
    // Its leases are those of the server. Who has run nothing may be anybody.
    let is_hit = |hit: &str| match process {
        Some(process) => hit == process || (is_over_http && hit.starts_with("server-")),
        None => true,
    };
    let outlasted =
        || index.runs.get(&entry.before).is_some_and(|run| evidence.moment(run.to) >= lease.until);
    let felt = |at: i64| after(Span { from: at, to: at }).meets(span);
    entry.dies_at == Some(lease.until)
        || is_disturbed(evidence, span)
        || evidence.slow.iter().any(|slow| after(*slow).meets(span))
        || evidence.signals.iter().any(|(at, hit)| is_hit(hit) && felt(*at))
        || (is_over_http && outlasted())
}

/// Whether a fault was felt at that time which is felt by more than the process that it hits.
pub(super) fn is_disturbed(evidence: &Evidence, span: Span) -> bool {
    evidence.faults.iter().any(|Disturbance { kind, span: its }| {
        let is_of_one = Kind::from_str(kind, false).is_ok_and(|kind| kind.lane() == Lane::Processes);
        !is_of_one && after(*its).meets(span)
    })
}

/// With the time in which it is still felt.
fn after(its: Span) -> Span {
    Span { from: its.from, to: its.to.saturating_add(AFTERMATH) }
}

#[cfg(test)]
mod tests {
    use super::super::planted::{clean, fault, handed_on, only_rule};
    use crate::evidence::Span;

    const RULE: &str = "a lease lapses only where something kept it from being extended";

    #[test]
    fn a_lease_that_lapses_though_nothing_happened_is_found() {
        let mut evidence = clean();
        handed_on(&mut evidence);
        evidence.signals.clear();
        only_rule(&evidence, &[RULE]);
        evidence.faults.push(fault("clock-jump", 1_000, 2_000));
        only_rule(&evidence, &[RULE]);
        evidence.faults.push(fault("cut-all", 1_000, 2_000));
        only_rule(&evidence, &[]);
    }

    #[test]
    fn a_signal_to_another_process_is_no_excuse() {
        let mut evidence = clean();
        handed_on(&mut evidence);
        for (_, process) in &mut evidence.signals {
            "worker-2.0".clone_into(process);
        }
        only_rule(&evidence, &[RULE]);
    }

    #[test]
    fn a_lease_may_lapse_while_the_machine_has_too_much_to_do_and_not_long_after() {
        let mut evidence = clean();
        handed_on(&mut evidence);
        evidence.signals.clear();
        evidence.slow.push(Span { from: -40_000_000, to: -30_000_000 });
        only_rule(&evidence, &[RULE]);
        evidence.slow.push(Span { from: 1_000, to: 2_000 });
        only_rule(&evidence, &[]);
    }

    #[test]
    fn a_fault_that_was_over_long_before_is_no_excuse() {
        let mut evidence = clean();
        handed_on(&mut evidence);
        evidence.signals.clear();
        evidence.faults.push(fault("crash", -40_000_000, -30_000_000));
        only_rule(&evidence, &[RULE]);
    }

    #[test]
    fn a_lease_over_http_lapses_where_the_handler_takes_longer() {
        let mut evidence = clean();
        handed_on(&mut evidence);
        evidence.signals.clear();
        let first =
            evidence.runs.iter_mut().find(|run| run.fence.task == 1 && run.fence.attempt == 1).unwrap();
        "remote-0.0".clone_into(&mut first.process);
        let told = evidence.told.iter_mut().find(|told| told.fence == first.fence).unwrap();
        "remote-0.0".clone_into(&mut told.process);
        only_rule(&evidence, &[]);
    }

    #[test]
    fn no_lease_outlasts_the_deadline_of_its_task() {
        let mut evidence = clean();
        handed_on(&mut evidence);
        evidence.signals.clear();
        for entry in &mut evidence.ledger {
            entry.dies_at = entry.lease.map(|lease| lease.until);
        }
        only_rule(&evidence, &[]);
    }
}
