//! A task is retained only while nobody holds it: it was never held, was returned, or its lease had lapsed.
//!
//! One more case: a retain whose answer was lost. Whoever sent it says so, and since nobody knows of it, nobody runs it.

use std::collections::HashSet;

use super::Index;
use crate::evidence::{Evidence, Op};
use crate::history::Fence;

pub(super) fn find(evidence: &Evidence, _: &Index<'_>) -> Vec<String> {
    let started: HashSet<Fence> = evidence.runs.iter().map(|run| run.fence).collect();
    let retains = evidence.ledger.iter().filter(|entry| entry.op == Op::Retained);
    retains
        .filter(|entry| entry.leased_before && !entry.lapsed && started.contains(&entry.before))
        .map(|entry| format!("{:?} was given out while {:?} ran under its lease", entry.after, entry.before))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::planted::{clean, handed_on, only_rule};

    #[test]
    fn a_second_lease_beside_the_first_is_found() {
        let mut evidence = clean();
        handed_on(&mut evidence);
        evidence.ledger.iter_mut().for_each(|entry| entry.lapsed = false);
        let rules = [
            "no two leases of a task run at the same time",
            "handlers of a task overlap only after a lapse or a crash",
        ];
        only_rule(&evidence, &rules);
    }

    #[test]
    fn a_retain_that_nobody_heard_of_may_be_taken_back() {
        let mut evidence = clean();
        handed_on(&mut evidence);
        evidence.ledger.iter_mut().for_each(|entry| entry.lapsed = false);
        evidence.runs.retain(|run| run.fence.attempt == 2 || run.fence.task != 1);
        evidence.told.clear();
        only_rule(&evidence, &[]);
    }
}
