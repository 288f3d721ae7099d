//! What a worker was told of a release is what the ledger has of its attempt: recorded if it was, and not if it was told lost.

use std::collections::HashSet;

use super::Index;
use crate::evidence::{Evidence, Op};
use crate::history::{Fate, Fence, RELEASED};

pub(super) fn find(evidence: &Evidence, index: &Index<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let of = |op: Op| -> HashSet<Fence> {
        evidence.ledger.iter().filter(|entry| entry.op == op).map(|entry| entry.before).collect()
    };
    let (ended, returned) = (of(Op::Ended), of(Op::Returned));
    for told in &evidence.told {
        let fence = told.fence;
        let there = index.by_id.get(&fence.task).and_then(|found| found.first());
        match told.fate {
            Fate::Recorded(status) if status >= RELEASED => {
                if !ended.contains(&fence) {
                    wrong.push(format!("{fence:?} was told to have ended its task, and did not"));
                } else if there.is_some_and(|found| found.status != Some(status)) {
                    let status_now = there.and_then(|found| found.status);
                    wrong.push(format!("{fence:?} was told status {status}, and it is {status_now:?}"));
                }
            }
            Fate::Recorded(_) | Fate::GivenBack => {
                if !returned.contains(&fence) && !ended.contains(&fence) {
                    wrong.push(format!("{fence:?} was told to have returned its task, and did not"));
                }
            }
            Fate::Lost => {
                if there.is_some_and(|found| found.fence == fence && found.status == Some(RELEASED)) {
                    wrong.push(format!("{fence:?} was told that its result is dropped, and it is not"));
                }
            }
            Fate::Unknown => {}
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::super::planted::{clean, handed_on, only_rule};
    use crate::history::{FAILED, Fate};

    const RULE: &str = "a release ends the attempt that it was meant for";

    #[test]
    fn a_release_after_the_lease_that_was_told_to_count_is_found() {
        let mut evidence = clean();
        handed_on(&mut evidence);
        let first = evidence.told.iter_mut().find(|told| told.fence.task == 1 && told.fence.attempt == 1);
        first.unwrap().fate = Fate::Recorded(3);
        only_rule(&evidence, &[RULE]);
    }

    #[test]
    fn a_release_that_counts_and_was_told_lost_is_found() {
        let mut evidence = clean();
        evidence.told[0].fate = Fate::Lost;
        only_rule(&evidence, &[RULE]);
    }

    #[test]
    fn another_status_than_was_told_is_found() {
        let mut evidence = clean();
        evidence.told[0].fate = Fate::Recorded(FAILED);
        only_rule(&evidence, &[RULE]);
    }
}
