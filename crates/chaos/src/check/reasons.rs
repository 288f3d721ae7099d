//! What fails, expires or costs an attempt has a reason to.
//!
//! A task fails because its handler said so, or because its last attempt failed or lapsed; it expires because its deadline has
//! passed, or would have by its next attempt. An attempt costs something only if its handler failed, or its lease lapsed
//! ([`lapses`](super::lapses) asks why). What a handler has done, or failed for good, is not put off, unless its worker was told that
//! the task was given back: it had given the handler up before it came to its end.

use std::collections::HashSet;

use super::Index;
use crate::evidence::{Entry, Evidence, Op};
use crate::history::{CANCELLED, EXPIRED, FAILED, Fate, Fence, Ran};
use crate::roles::RETRY;

pub(super) fn find(evidence: &Evidence, index: &Index<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let given_back = evidence.told.iter().filter(|told| told.fate == Fate::GivenBack);
    let given_back: HashSet<Fence> = given_back.map(|told| told.fence).collect();
    for entry in &evidence.ledger {
        let (fence, costs) = (entry.before, entry.spared == entry.spared_before);
        let ran = ran(index, fence);
        let has_reason = match entry.op {
            Op::Created | Op::Extended => costs,
            Op::Retained => costs || index.is_taken_back(entry),
            Op::Returned if costs => is_failure(ran),
            Op::Returned => !matches!(ran, Some(Ran::Done | Ran::Failed)) || given_back.contains(&fence),
            Op::Ended => costs && has_end(index, entry, ran),
        };
        if !has_reason {
            let status = index.status(fence.task).filter(|_| entry.op == Op::Ended);
            let spared = entry.spared - entry.spared_before;
            wrong.push(format!(
                "{:?} after {fence:?} (spared {spared}, status {status:?}), whose handler came to {ran:?}",
                entry.op
            ));
        }
    }
    wrong
}

fn ran(index: &Index<'_>, fence: Fence) -> Option<Ran> {
    index.runs.get(&fence).and_then(|run| run.ran)
}

/// A handler that was dropped is released as one that is to be tried again.
fn is_failure(ran: Option<Ran>) -> bool {
    matches!(ran, Some(Ran::Retry | Ran::Dropped))
}

/// Whether a task may end as it did. What is done has a rule of its own.
fn has_end(index: &Index<'_>, entry: &Entry, ran: Option<Ran>) -> bool {
    let used_up = entry.spent() >= entry.retries;
    let next = entry.at + 2 * i64::try_from(RETRY.as_micros()).unwrap_or(0);
    let found = index.by_id.get(&entry.after.task).and_then(|found| found.first());
    let is_swept = found.is_some_and(|found| found.fence.holder == 0);
    match index.status(entry.after.task) {
        Some(FAILED) if is_swept => entry.has_lapsed() && used_up,
        Some(FAILED) => ran == Some(Ran::Failed) || (is_failure(ran) && used_up),
        Some(EXPIRED) if is_swept => entry.dies_at.is_some_and(|dies_at| dies_at <= entry.at),
        // Its next attempt would come too late: pauses have some jitter.
        Some(EXPIRED) => entry.dies_at.is_some_and(|dies_at| dies_at <= next),
        // Nobody cancels anything here.
        Some(CANCELLED) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::super::planted::{clean, ended_as, only_rule, recount, returned};
    use super::*;

    const RULE: &str = "what fails, expires or costs an attempt has a reason to";

    #[test]
    fn a_task_that_failed_though_its_handler_is_done_is_found() {
        let mut evidence = clean();
        ended_as(&mut evidence, FAILED);
        only_rule(&evidence, &[RULE]);
        evidence.runs[0].ran = Some(Ran::Failed);
        only_rule(&evidence, &[]);
    }

    #[test]
    fn a_task_that_failed_before_its_attempts_were_used_up_is_found() {
        let mut evidence = clean();
        ended_as(&mut evidence, FAILED);
        evidence.runs[0].ran = Some(Ran::Retry);
        only_rule(&evidence, &[RULE]);
        for entry in &mut evidence.ledger {
            entry.retries = 1;
        }
        only_rule(&evidence, &[]);
    }

    #[test]
    fn a_task_that_was_swept_while_it_was_leased_is_found() {
        let mut evidence = clean();
        ended_as(&mut evidence, FAILED);
        evidence.tasks[0].fence.holder = 0;
        evidence.told[0].fate = Fate::Lost;
        evidence.ledger.iter_mut().for_each(|entry| entry.retries = 1);
        only_rule(&evidence, &[RULE]);
        let ended = evidence.ledger.iter_mut().find(|entry| entry.op == Op::Ended).unwrap();
        ended.at = 5_000;
        evidence.signals.push((1_050, "worker-1.0".to_owned()));
        only_rule(&evidence, &[]);
    }

    #[test]
    fn a_task_that_expired_without_a_deadline_or_before_it_is_found() {
        let mut evidence = clean();
        ended_as(&mut evidence, EXPIRED);
        evidence.tasks[0].fence.holder = 0;
        evidence.told[0].fate = Fate::Lost;
        only_rule(&evidence, &[RULE]);
        evidence.ledger.iter_mut().for_each(|entry| entry.dies_at = Some(entry.at + 1));
        only_rule(&evidence, &[RULE]);
        evidence.ledger.iter_mut().for_each(|entry| entry.dies_at = Some(entry.at));
        only_rule(&evidence, &[]);
    }

    #[test]
    fn a_task_that_somebody_cancelled_is_found() {
        let mut evidence = clean();
        ended_as(&mut evidence, CANCELLED);
        only_rule(&evidence, &[RULE]);
    }

    #[test]
    fn an_attempt_that_costs_something_though_nothing_failed_is_found() {
        let mut evidence = clean();
        returned(&mut evidence);
        only_rule(&evidence, &[]);
        evidence.runs[0].ran = Some(Ran::Snoozed);
        only_rule(&evidence, &[RULE]);
    }

    #[test]
    fn what_is_done_and_put_off_is_found_unless_the_handler_was_given_up() {
        let mut evidence = clean();
        returned(&mut evidence);
        evidence.runs[0].ran = Some(Ran::Done);
        for entry in evidence.ledger.iter_mut().filter(|entry| entry.after.task == 1) {
            let is_later = entry.before.attempt > 0 && entry.op != Op::Returned;
            entry.spared = i32::from(is_later || entry.op == Op::Returned);
            entry.spared_before = i32::from(is_later);
        }
        evidence.tasks[0].spared = 1;
        only_rule(&evidence, &[RULE]);
        evidence.told[0].fate = Fate::GivenBack;
        only_rule(&evidence, &[]);
    }

    #[test]
    fn an_attempt_that_is_spared_for_nothing_is_found() {
        let mut evidence = clean();
        let ended = evidence.ledger.iter_mut().find(|entry| entry.op == Op::Ended).unwrap();
        ended.spared = 1;
        evidence.tasks[0].spared = 1;
        recount(&mut evidence);
        only_rule(&evidence, &[RULE]);
    }
}
