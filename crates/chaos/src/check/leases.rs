//! A task is retained only while nobody holds it: it was never held, was returned, or its lease had lapsed by the clock of the
//! database, and not within the time for which a start of the server keeps what was leased before.
//!
//! One more case: a retain whose answer was lost. The process that sent it says so with its next one, which takes the task back
//! at no cost; nobody else knew of it, so that nobody ran it.

use super::Index;
use crate::evidence::{Evidence, Op};

pub(super) fn find(evidence: &Evidence, index: &Index<'_>) -> Vec<String> {
    let retains = evidence.ledger.iter().filter(|entry| entry.op == Op::Retained && entry.lease.is_some());
    retains
        .filter(|entry| !entry.has_lapsed() && !index.is_taken_back(entry))
        .map(|entry| format!("{:?} was given out while {:?} had its lease", entry.after, entry.before))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::planted::{clean, end, handed_on, only_rule, taken_back};
    use crate::evidence::{AMNESTY, Entry, Lease, Op, Run, Told};
    use crate::history::{Fate, Fence, Ran};

    const RULE: &str = "no two leases of a task run at the same time";
    const OVERLAP: &str = "handlers of a task overlap only after a lapse or a crash";
    const REASON: &str = "what fails, expires or costs an attempt has a reason to";

    #[test]
    fn a_second_lease_beside_the_first_is_found() {
        let mut evidence = clean();
        handed_on(&mut evidence);
        for entry in evidence.ledger.iter_mut().filter(|entry| entry.op == Op::Retained) {
            entry.at = entry.lease.map_or(entry.at, |lease| lease.until);
        }
        only_rule(&evidence, &[RULE, OVERLAP]);
    }

    #[test]
    fn a_lease_from_before_a_start_of_the_server_that_is_given_to_another_too_early_is_found() {
        let mut evidence = clean();
        handed_on(&mut evidence);
        for entry in evidence.ledger.iter_mut().filter(|entry| entry.op == Op::Retained) {
            // Between the two retains.
            entry.server_start = 1_050;
        }
        only_rule(&evidence, &[RULE, OVERLAP]);
        for entry in &mut evidence.ledger {
            entry.server_start = 1_050 - AMNESTY;
        }
        only_rule(&evidence, &[]);
    }

    #[test]
    fn a_retain_that_nobody_heard_of_may_be_taken_back() {
        let mut evidence = clean();
        taken_back(&mut evidence);
        only_rule(&evidence, &[]);
    }

    #[test]
    fn a_retain_that_is_taken_back_by_another_process_is_found() {
        let mut evidence = clean();
        taken_back(&mut evidence);
        for entry in
            evidence.ledger.iter_mut().filter(|entry| entry.op == Op::Retained && entry.lease.is_some())
        {
            entry.before.holder += 1 << 40;
        }
        for entry in
            evidence.ledger.iter_mut().filter(|entry| entry.after.task == 1 && entry.after.attempt == 1)
        {
            entry.after.holder += 1 << 40;
        }
        only_rule(&evidence, &[RULE, REASON]);
    }

    #[test]
    fn a_retain_that_is_taken_back_though_its_handler_ran_is_found() {
        let mut evidence = clean();
        let first = evidence.runs[0].clone();
        taken_back(&mut evidence);
        let to = first.from + 10;
        let (process, fence) = (first.process.clone(), first.fence);
        evidence.told.push(Told { at: 5_000, process, fence, fate: Fate::Lost });
        evidence.runs.push(Run { to, ran: Some(Ran::Dropped), ..first });
        only_rule(&evidence, &[RULE, REASON]);
    }

    #[test]
    fn a_lease_from_before_a_start_of_the_server_lapses_half_a_minute_later() {
        let fence = Fence { task: 1, attempt: 1, holder: 2 };
        let has_lapsed = |(started, at)| {
            let end = end(fence, Lease { started, until: 150 }, at);
            Entry { server_start: 100, ..end }.has_lapsed()
        };
        let lapsed = [(50, 200), (100, 140), (100, 150), (100, 151), (50, 100 + AMNESTY)].map(has_lapsed);
        assert_eq!(lapsed, [false, false, false, true, true]);
    }
}
